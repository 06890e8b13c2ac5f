#include "results/pairs.h"

#include <stdlib.h>
#include <string.h>

/* The evaluations meant on one side. */
struct side {
    const char *name;
    struct evaluation_list list; /* one a setting, unless given by number */
    bool by_number;
};

struct finding {
    struct store *s;
    struct arena *arena;
    struct notes *notes;
    struct {
        struct evaluation_pair *items;
        size_t n, cap;
    } found;
};

static int read_side(struct finding *f, const char *name, const char *task, struct side *ret,
                     struct error *err)
{
    struct evaluation_filter filter = {.model = name, .task = task};
    struct evaluation_list all;
    *ret = (struct side){.name = name, .by_number = name[0] == '#'};
    int r = query_evaluations(f->s, f->arena, &filter, &all, err);
    filter.latest = !ret->by_number;
    if (r == 0)
        r = query_evaluations(f->s, f->arena, &filter, &ret->list, err);
    for (size_t i = 0; r == 0 && i < ret->list.n; i++) {
        const struct evaluation_line *e = &ret->list.items[i];
        struct buf others = {0};
        for (size_t k = 0; k < all.n; k++)
            if (all.items[k].id != e->id && same_setting(&all.items[k], e))
                buf_printf(&others, others.n ? ", #%lld" : "#%lld", (long long)all.items[k].id);
        if (others.n && filter.latest)
            NOTE(f->notes, f->arena,
                 "%s: \"%s\" has several evaluations in this setting; #%lld, the last used, is "
                 "compared, not %s; name one by its number to choose",
                 e->task, name, (long long)e->id, others.p);
        buf_free(&others);
    }
    return r;
}

/* Each of A's evaluations with those of B in its setting. */
static void pair_up(struct finding *f, const struct side *a, const struct side *b)
{
    bool by_task = a->by_number && b->by_number;
    for (size_t i = 0; i < a->list.n; i++) {
        const struct evaluation_line *x = &a->list.items[i];
        const char *elsewhere = NULL;
        bool paired = false;
        for (size_t k = 0; k < b->list.n; k++) {
            const struct evaluation_line *y = &b->list.items[k];
            if (strcmp(x->task, y->task) != 0)
                continue;
            if (by_task || same_setting(x, y)) {
                paired = true;
                *ARRAY_PUSH(&f->found) = (struct evaluation_pair){x, y};
            } else {
                elsewhere = arena_printf(f->arena, "#%lld", (long long)y->id);
            }
        }
        if (!paired && elsewhere)
            NOTE(f->notes, f->arena,
                 "%s: run by both, but not with the same examples and template; to compare all the "
                 "same, name #%lld and %s",
                 x->task, (long long)x->id, elsewhere);
    }
}

int pairs_find(struct store *s, struct arena *arena, const char *a, const char *b, const char *task,
               struct pairs *ret, struct notes *notes, struct error *err)
{
    struct finding f = {.s = s, .arena = arena, .notes = notes};
    struct side sides[2];
    int r = read_side(&f, a, task, &sides[0], err);
    if (r == 0)
        r = read_side(&f, b, task, &sides[1], err);
    if (r < 0)
        return r;
    pair_up(&f, &sides[0], &sides[1]);
    const struct evaluation_line *x = &sides[0].list.items[0], *y = &sides[1].list.items[0];
    *ret = (struct pairs){
        .model_a = x->model,
        .model_b = y->model,
        .example_a = arena_printf(arena, "%s%s", x->task, sides[0].list.n > 1 ? ", ..." : ""),
        .example_b = arena_printf(arena, "%s%s", y->task, sides[1].list.n > 1 ? ", ..." : ""),
        .items = arena_array(arena, f.found.n, sizeof *ret->items),
        .n = f.found.n,
    };
    if (f.found.n)
        memcpy(ret->items, f.found.items, f.found.n * sizeof *ret->items);
    free(f.found.items);
    return 0;
}

int pairs_none(const char *a, const char *b, const struct pairs *p, const struct notes *notes,
               struct error *err)
{
    if (notes->n)
        return error_set(err, E_INPUT, "\"%s\" and \"%s\" cannot be compared: %s", a, b,
                         notes->items[notes->n - 1]);
    return error_set(err, E_INPUT,
                     "\"%s\" and \"%s\" cannot be compared: no task was run by both (\"%s\" has "
                     "%s, \"%s\" has %s); run the same tasks with both",
                     a, b, a, p->example_a, b, p->example_b);
}

const char **notes_take(struct notes *notes, struct arena *arena)
{
    const char **ret = arena_array(arena, notes->n, sizeof *ret);
    if (notes->n)
        memcpy(ret, notes->items, notes->n * sizeof *ret);
    free(notes->items);
    *notes = (struct notes){0};
    return ret;
}
