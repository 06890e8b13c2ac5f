#include "tasks/fewshot.h"

/* Whether pool document i is equal to `self`, as Python compares dicts. */
static int is_self(const struct shots *s, struct arena *a, size_t i, const struct value *self,
                   struct error *err)
{
    const struct value *doc;
    struct arena_mark m = arena_mark(a);
    int r = docs_get(s->pool, a, (int64_t)i, &doc, err);
    if (r == 0)
        r = value_eq(doc, self);
    arena_reset(a, m);
    return r;
}

/* Keeps those of items[n] that differ from `self`, at most `most` of them; their number. */
static int drop_self(const struct shots *s, struct arena *a, const size_t *items, size_t n,
                     const struct value *self, size_t *ret, int most, struct error *err)
{
    int kept = 0;
    for (size_t i = 0; i < n && kept < most; i++) {
        int same = is_self(s, a, items[i], self, err);
        if (same < 0)
            return same;
        if (!same)
            ret[kept++] = items[i];
    }
    return kept;
}

static int too_few(const struct shots *s, size_t have, struct error *err)
{
    return error_set(err, E_INPUT,
                     "%d few-shot examples are asked for, but there are only %zu documents to take "
                     "them from%s; lower num_fewshot",
                     s->n, have,
                     s->without_self ? " (one of which may be the document that is asked)" : "");
}

static int draw_first(const struct shots *s, struct arena *a, size_t n, const struct value *self,
                      size_t *ret, struct error *err)
{
    size_t have = 0;
    for (size_t i = 0; i < n && have < (size_t)s->n; i++) {
        int same = self ? is_self(s, a, i, self, err) : 0;
        if (same < 0)
            return same;
        if (!same)
            ret[have++] = i;
    }
    return have == (size_t)s->n ? 0 : too_few(s, have, err);
}

/* random.sample of one document more than needed, so that one equal to the asked one can go. Where
 * more than one goes, all of them are taken out of the pool and the sample is drawn again. */
static int draw_random(struct shots *s, struct arena *a, size_t n, const struct value *self,
                       size_t *ret, struct error *err)
{
    size_t k = (size_t)s->n + (self ? 1 : 0);
    if (k > n)
        return too_few(s, n, err);
    if (!self) {
        pyrandom_sample(&s->random, n, k, ret);
        return 0;
    }
    size_t *drawn = arena_array(a, k, sizeof *drawn);
    pyrandom_sample(&s->random, n, k, drawn);
    int kept = drop_self(s, a, drawn, k, self, ret, s->n, err);
    if (kept < 0 || kept == s->n)
        return kept < 0 ? kept : 0;
    size_t *pool = arena_array(a, n, sizeof *pool), left = 0;
    for (size_t i = 0; i < n; i++) {
        int same = is_self(s, a, i, self, err);
        if (same < 0)
            return same;
        if (!same)
            pool[left++] = i;
    }
    if (left < (size_t)s->n)
        return too_few(s, left, err);
    pyrandom_sample(&s->random, left, (size_t)s->n, ret);
    for (int i = 0; i < s->n; i++)
        ret[i] = pool[ret[i]];
    return 0;
}

/* Equal documents count once. */
static int read_pool(struct shots *s, struct arena *a, size_t n, struct error *err)
{
    uint64_t *pooled = arena_array(s->arena, n, sizeof *pooled);
    for (size_t i = 0; i < n; i++) {
        const struct value *doc;
        struct arena_mark m = arena_mark(a);
        int r = docs_get(s->pool, a, (int64_t)i, &doc, err);
        pooled[i] = r < 0 ? 0 : draws_document(a, doc);
        arena_reset(a, m);
        if (r < 0 && !s->skip_bad_rows)
            return error_prefix(err, "a document of the few-shot pool: ");
    }
    s->pooled = pooled;
    return 0;
}

/* The n documents of lowest rank, in that order, kept sorted while the pool goes by. The document
 * that is asked is never one of them. */
static int draw_keyed(struct shots *s, struct arena *a, int64_t doc_id, size_t *ret,
                      struct error *err)
{
    const struct value *doc;
    size_t n = (size_t)docs_count(s->pool), have = 0, want = (size_t)s->n;
    uint64_t *ranks = arena_array(a, want + 1, sizeof *ranks);
    int r = docs_get(s->eval, a, doc_id, &doc, err);
    if (r == 0 && !s->pooled)
        r = read_pool(s, a, n, err);
    if (r < 0)
        return r;
    uint64_t self = draws_document(a, doc), key = draws_key(&s->draws, self);
    for (size_t i = 0; i < n; i++) {
        uint64_t rank = draws_rank(key, s->pooled[i]);
        if (s->pooled[i] == 0 || s->pooled[i] == self || (have == want && rank >= ranks[want - 1]))
            continue;
        size_t k = have;
        while (k > 0 && ranks[k - 1] > rank)
            k--;
        if (k > 0 && ranks[k - 1] == rank)
            continue;
        have += have < want;
        for (size_t j = have - 1; j > k; j--) {
            ranks[j] = ranks[j - 1];
            ret[j] = ret[j - 1];
        }
        ranks[k] = rank;
        ret[k] = i;
    }
    return have == want ? 0 : too_few(s, have, err);
}

static int draw(struct shots *s, struct arena *a, int64_t doc_id, size_t *ret, struct error *err)
{
    const struct value *self = NULL;
    size_t n = (size_t)docs_count(s->pool);
    int r = s->without_self ? docs_get(s->eval, a, doc_id, &self, err) : 0;
    if (r < 0)
        return r;
    return s->sampler == SAMPLER_FIRST_N ? draw_first(s, a, n, self, ret, err)
                                         : draw_random(s, a, n, self, ret, err);
}

int shots_draw(struct shots *s, struct arena *a, int64_t doc_id, size_t *ret, struct error *err)
{
    if (s->draws.keyed && s->sampler == SAMPLER_DEFAULT)
        return draw_keyed(s, a, doc_id, ret, err);
    if (s->next > doc_id || s->next == 0) {
        pyrandom_seed(&s->random, s->draws.seed);
        s->next = 0;
    }
    if (s->sampler == SAMPLER_FIRST_N)
        s->next = doc_id; /* nothing is drawn for the documents in between */
    int r = 0;
    for (; s->next <= doc_id; s->next++) { /* a damaged document's draw is its own affair */
        struct arena_mark m = arena_mark(a);
        r = draw(s, a, s->next, ret, s->next == doc_id ? err : NULL);
        arena_reset(a, m);
    }
    return r;
}
