#include "backends/local/speed.h"

#include <stdlib.h>

#include "backends/local/foresee.h"
#include "base/arena.h"
#include "base/clock.h"
#include "base/philox.h"

/* What a row of the model's layers takes: operations in its matrices, and all their bytes. */
struct cost {
    double flops, bytes;           /* of the layers' matrices */
    double head_flops, head_bytes; /* of the vocabulary's */
    double kv_flops, kv_bytes;     /* of attention, for each position that a row sees */
};

static void add_weight(const struct weight *w, double *flops, double *bytes)
{
    *flops += 2.0 * (double)w->rows * (double)w->cols;
    *bytes += (double)weight_bytes(w);
}

static struct cost cost_of(const struct model *m)
{
    struct cost c = {0};
    for (int i = 0; i < m->n_layers; i++) {
        const struct layer *l = &m->layers[i];
        const struct weight *all[] = {&l->q, &l->k, &l->v, &l->o, &l->gate, &l->up, &l->down};
        for (size_t j = 0; j < sizeof all / sizeof *all; j++)
            add_weight(all[j], &c.flops, &c.bytes);
    }
    add_weight(&m->head, &c.head_flops, &c.head_bytes);
    c.kv_flops = 4.0 * m->n_layers * m->n_heads * m->head_size;
    c.kv_bytes = (double)position_bytes(m);
    return c;
}

/* Random ids; each sequence and each turn begins with another. */
static void fill_tokens(int32_t *ids, int n, int vocab, uint64_t turn, int sequence)
{
    for (int i = 0; i < n; i++) {
        uint32_t bits[4];
        philox((uint32_t[4]){(uint32_t)i, (uint32_t)sequence}, turn, bits);
        ids[i] = (int32_t)(bits[0] % (uint32_t)vocab);
    }
}

static bool always(void *arg, int32_t token)
{
    (void)arg;
    (void)token;
    return true;
}

static void nothing(void *arg, struct engine_job *job)
{
    (void)arg;
    (void)job;
}

static bool all_began(const struct engine_job *jobs, int n)
{
    for (int i = 0; i < n; i++)
        if (jobs[i].n_new == 0)
            return false;
    return true;
}

/* Steps until everything is done. The clock of a generation starts when each prompt is computed and
 * gave its first token. */
static int run(struct engine *e, const struct engine_job *jobs, int n, bool generates,
               double *seconds, struct error *err)
{
    double begun = generates ? 0 : now_seconds();
    while (!engine_idle(e)) {
        int r = engine_step(e, nothing, NULL, err);
        if (r < 0)
            return r;
        if (begun == 0 && all_began(jobs, n))
            begun = now_seconds();
    }
    *seconds = now_seconds() - begun;
    return 0;
}

/* A generated token reads all weights once a step, for the whole batch; and its own past. */
static void rate(const struct cost *c, const struct backend_load *load, double seconds,
                 struct backend_speed *ret)
{
    double B = load->batch, prompt = load->n_prompt;
    if (load->n_new == 0) {
        double flops = prompt * (c->flops + c->kv_flops * (prompt + 1) / 2) + c->head_flops;
        *ret = (struct backend_speed){B * prompt / seconds, B * flops / seconds, 0};
        return;
    }
    double steps = load->n_new - 1, seen = prompt + load->n_new / 2.0;
    double flops = B * (c->flops + c->head_flops + c->kv_flops * seen),
           bytes = c->bytes + c->head_bytes + B * c->kv_bytes * seen;
    *ret = (struct backend_speed){B * steps / seconds, steps * flops / seconds,
                                  steps * bytes / seconds};
}

int speed_measure(struct engine *e, const struct model *m, const struct backend_load *load,
                  uint64_t turn, struct backend_speed *ret, struct error *err)
{
    int n = load->n_new ? load->n_prompt : load->n_prompt + 1; /* the last one is only scored */
    size_t width = (size_t)(n + load->n_new);
    struct engine_job *jobs = mem_alloc((size_t)load->batch, sizeof *jobs);
    int32_t *ids = mem_alloc((size_t)load->batch * width, sizeof *ids);
    int r = 0;
    for (int i = 0; i < load->batch && r == 0; i++) {
        jobs[i] = (struct engine_job){.tokens = ids + (size_t)i * width,
                                      .n_tokens = n,
                                      .n_scored = load->n_new ? 0 : 1,
                                      .max_new = load->n_new,
                                      .wants_more = always};
        fill_tokens(jobs[i].tokens, n, m->vocab, turn, i);
        r = engine_check(e, &jobs[i], err);
    }
    for (int i = 0; i < load->batch && r == 0; i++)
        engine_submit(e, &jobs[i]);
    double seconds = 0;
    if (r == 0)
        r = run(e, jobs, load->batch, load->n_new > 0, &seconds, err);
    if (r == 0) {
        struct cost c = cost_of(m);
        rate(&c, load, seconds, ret);
    }
    free(ids);
    free(jobs);
    return r;
}
