/* table.cu: struct kernels on a CUDA device.
 *
 * One stream holds everything that a step does, in order; the host waits only where it reads an
 * answer. An error of the runtime is kept: operations after it do nothing, and `check` says so. */
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <set>
#include <vector>

#include "kernels/cuda/cuda.h"

extern "C" {
#include "kernels/format.h"
}

using namespace assay;

namespace assay
{

/* Device memory that grows and is not kept over growing. */
struct scratch {
    void *p = nullptr;
    size_t bytes = 0;
};

} // namespace assay

struct device {
    int ordinal;
    cudaStream_t stream = nullptr;
    cudaError_t failed = cudaSuccess;
    const char *doing = ""; /* when it failed */

    struct rows batch = {};
    std::vector<tile> tiles; /* of the batch, for `tile_rows` rows each */
    int tile_rows = 0;
    const struct batch *begun = nullptr;

    scratch positions, sequences, page_table, tile_list, ids, more_ids; /* of the host's */
    std::set<void *> buffers;    /* all of buffer_new's that live */
    std::set<matrix *> matrices; /* all of weight_pack's */
    scratch tokens, sums, scales, floats, logits, answers, top, wanted; /* between kernels */
};

namespace
{

enum { LOGIT_ROWS = 64 }; /* whose logits exist at once */

bool fine(struct device *d, cudaError_t e, const char *doing)
{
    if (d->failed == cudaSuccess && e != cudaSuccess) {
        d->failed = e;
        d->doing = doing;
    }
    return d->failed == cudaSuccess;
}

/* ---- memory ---- */

void *buffer_new(struct device *d, size_t bytes)
{
    void *p = nullptr;
    if (bytes > SIZE_MAX / 2 || d->failed != cudaSuccess)
        return nullptr;
    cudaError_t e = cudaMalloc(&p, bytes ? bytes : 1);
    if (e == cudaErrorMemoryAllocation) {
        cudaGetLastError(); /* this one is the caller's to tell */
        return nullptr;
    }
    if (!fine(d, e, "allocating memory"))
        return nullptr;
    d->buffers.insert(p);
    return p;
}

void buffer_free(struct device *d, void *p)
{
    if (p) {
        cudaStreamSynchronize(d->stream); /* which may still use it */
        cudaFree(p);
        d->buffers.erase(p);
    }
}

void copy(struct device *d, void *to, const void *from, size_t bytes, cudaMemcpyKind kind)
{
    if (bytes > 0 && d->failed == cudaSuccess &&
        fine(d, cudaMemcpyAsync(to, from, bytes, kind, d->stream), "copying"))
        fine(d, cudaStreamSynchronize(d->stream), "copying");
}

void to_device(struct device *d, void *to, const void *from, size_t bytes)
{
    copy(d, to, from, bytes, cudaMemcpyHostToDevice);
}

void to_host(struct device *d, void *to, const void *from, size_t bytes)
{
    copy(d, to, from, bytes, cudaMemcpyDeviceToHost);
}

/* Room for n values; the device is marked as failed where there is none. */
template <class T> T *room(struct device *d, scratch *s, size_t n)
{
    size_t bytes = n * sizeof(T);
    if (bytes > s->bytes) {
        buffer_free(d, s->p);
        *s = scratch();
        s->p = buffer_new(d, bytes);
        s->bytes = s->p ? bytes : 0;
        if (!s->p)
            fine(d, cudaErrorMemoryAllocation, "making room for a step");
    }
    return static_cast<T *>(s->p);
}

/* The host's values on the device; NULL where that failed. */
template <class T> const T *uploaded(struct device *d, scratch *s, const T *from, size_t n)
{
    T *to = room<T>(d, s, n ? n : 1);
    if (to)
        to_device(d, to, from, n * sizeof(T));
    return d->failed == cudaSuccess ? to : nullptr;
}

/* ---- weights ---- */

const matrix &matrix_of(const struct weight *w)
{
    return *static_cast<const matrix *>(w->packed);
}

void weight_free(struct device *d, struct weight *w)
{
    matrix *m = static_cast<matrix *>(w->packed);
    if (!m)
        return;
    const void *parts[] = {m->data, m->scales, m->zeros, m->perm};
    for (const void *p : parts)
        buffer_free(d, const_cast<void *>(p));
    d->matrices.erase(m);
    delete m;
    w->packed = nullptr;
}

/* A copy of `bytes` of the host's; NULL stays NULL, and `ok` falls where there is no memory. */
template <class T> const T *part(struct device *d, const T *from, size_t bytes, bool *ok)
{
    void *to = from && *ok ? buffer_new(d, bytes) : nullptr;
    *ok = *ok && (!from || to);
    if (to)
        to_device(d, to, from, bytes);
    return static_cast<const T *>(to);
}

size_t scale_bytes(const struct weight *w)
{
    if (!format_info[w->format].codes)
        return 0;
    int64_t rows = (w->rows + w->group_rows - 1) / w->group_rows;
    return static_cast<size_t>(rows * codes_groups(w)) * format_row_bytes(w->scale_format, 1);
}

int weight_pack(struct device *d, struct weight *w, struct error *err)
{
    int r = weight_check(w, err);
    if (r < 0)
        return r;
    bool codes = format_info[w->format].codes, ok = true;
    size_t rows = static_cast<size_t>(w->rows), bytes = format_row_bytes(w->format, w->cols);
    size_t groups = codes ? static_cast<size_t>(codes_groups(w)) : 0;
    matrix *m = new matrix();
    m->format = w->format;
    m->rows = static_cast<int>(w->rows);
    m->cols = static_cast<int>(w->cols);
    m->row_bytes = bytes;
    m->fragments = fragments_fit(w);
    if (m->fragments) {
        std::vector<uint8_t> made(fragments_bytes(w));
        fragments_pack(made.data(), w);
        m->data = part(d, made.data(), made.size(), &ok);
    } else {
        m->data = part(d, static_cast<const uint8_t *>(w->data), rows * bytes, &ok);
    }
    m->scales = codes ? part(d, w->scales, scale_bytes(w), &ok) : nullptr;
    m->scale_format = w->scale_format;
    m->scale = w->scale;
    m->zeros = codes ? part(d, w->zeros, rows * groups, &ok) : nullptr;
    m->group = w->group;
    m->group_rows = w->group_rows;
    m->groups = static_cast<int>(groups);
    m->perm = codes ? part(d, w->perm, static_cast<size_t>(w->cols) * sizeof(int), &ok) : nullptr;
    m->x = w->x.kind;
    m->x_group = w->x.group;
    m->x_scale = w->x.scale;
    m->x_reach = w->x.kind != X_INT8 ? 448 : w->x.reach > 0 ? w->x.reach : 127.5f;
    w->packed = m;
    d->matrices.insert(m);
    if (ok)
        return 0;
    weight_free(d, w);
    return error_set(err, E_MEMORY,
                     "out of GPU memory: a %s weight of %lld rows and %lld columns needs %zu MiB",
                     format_info[w->format].name, static_cast<long long>(w->rows),
                     static_cast<long long>(w->cols), weight_bytes(w) >> 20);
}

size_t packed_bytes(struct device *, const struct weight *w)
{
    size_t rows = static_cast<size_t>(w->rows) * format_row_bytes(w->format, w->cols);
    return weight_bytes(w) + (fragments_fit(w) ? fragments_bytes(w) - rows : 0) +
           (w->perm ? static_cast<size_t>(w->cols) * sizeof(int) : 0);
}

/* ---- the step ---- */

void begin(struct device *d, const struct batch *b)
{
    size_t T = static_cast<size_t>(b->n_rows);
    size_t pages = static_cast<size_t>(b->n_sequences) * static_cast<size_t>(b->max_pages);
    d->batch.n = b->n_rows;
    d->batch.max_pages = b->max_pages;
    d->batch.positions = uploaded(d, &d->positions, b->positions, T);
    d->batch.sequences = uploaded(d, &d->sequences, b->sequences, T);
    d->batch.page_table = uploaded(d, &d->page_table, b->page_table, pages);
    d->begun = b;
    d->tile_rows = 0;
}

/* Runs of neighbouring rows of one sequence, at most `rows` long. */
void make_tiles(struct device *d, const struct batch *b, int rows)
{
    d->tiles.clear();
    for (int i = 0; i < b->n_rows; i++) {
        bool more =
            !d->tiles.empty() && d->tiles.back().n < rows && b->sequences[i] == b->sequences[i - 1];
        if (!more)
            d->tiles.push_back({i, 0, -1});
        tile &last = d->tiles.back();
        last.n++;
        last.last = b->positions[i] > last.last ? b->positions[i] : last.last;
    }
    d->tile_rows = rows;
    uploaded(d, &d->tile_list, d->tiles.data(), d->tiles.size());
}

cache cache_of(const struct kv_cache *kv, int layer)
{
    return {kv->data, kv->n_layers, layer, kv->n_kv_heads, kv->head_size, kv->page_positions};
}

/* The table stays with the host: a step needs few of its rows. */
void embed_rows(struct device *d, float *x, const struct weight *table, const int32_t *tokens,
                int T)
{
    size_t D = static_cast<size_t>(table->cols);
    std::vector<float> rows(static_cast<size_t>(T) * D);
    for (size_t t = 0; t < static_cast<size_t>(T); t++)
        weight_row_to_f32(table, tokens[t], &rows[t * D]);
    to_device(d, x, rows.data(), rows.size() * sizeof(float));
}

void norm(struct device *d, float *y, float *x, const float *more, const float *w, int T, int D,
          float eps, enum format dtype)
{
    add_rmsnorm(d->stream, y, x, more, w, T, D, eps, dtype);
}

void angles(struct device *d, float *ret, const int32_t *positions, const float *inv_freq,
            float scale, int T, int S)
{
    const int *at = uploaded(d, &d->ids, positions, static_cast<size_t>(T));
    if (at)
        rope_angles(d->stream, ret, at, inv_freq, scale, T, S);
}

void rotate(struct device *d, float *x, const float *angles, int T, int n_heads, int S,
            enum rope_kind kind, enum format dtype)
{
    rope(d->stream, x, angles, T, n_heads, S, kind, dtype);
}

void product(struct device *d, float *y, const float *x, const struct weight *weight,
             const float *bias, int T)
{
    const matrix &w = matrix_of(weight);
    size_t rows = static_cast<size_t>(T);
    if (T == 0 || d->failed != cudaSuccess)
        return;
    if (int8_exact(weight)) {
        size_t wide = static_cast<size_t>(int8_row(w.cols));
        int8_rows q = {room<int8_t>(d, &d->tokens, rows * wide),
                       room<int>(d, &d->sums, rows * wide / 32), room<float>(d, &d->scales, rows)};
        if (d->failed != cudaSuccess)
            return;
        quantize_int8(d->stream, q, x, w, T);
        gemm_w8a8(d->stream, y, q, w, bias, T);
        return;
    }
    if (w.x != X_F32) {
        float *made = room<float>(d, &d->floats, rows * static_cast<size_t>(w.cols));
        if (!made)
            return;
        quantized_floats(d->stream, made, x, w, T);
        x = made;
    }
    void *terms = w.fragments ? room<char>(d, &d->tokens, w4a16_room(T, w.cols)) : nullptr;
    if (w.fragments && terms)
        gemm_w4a16(d->stream, y, x, terms, w, bias, T);
    else if (!w.fragments)
        linear(d->stream, y, x, w, bias, T);
}

void write_kv(struct device *d, const struct kv_cache *kv, int layer, const float *k,
              const float *v, const struct batch *)
{
    if (d->failed == cudaSuccess)
        kv_write(d->stream, cache_of(kv, layer), k, v, d->batch);
}

void copy_kv(struct device *d, const struct kv_cache *kv, int layer, const struct kv_copy *copies,
             int n)
{
    assay::kv_copy(d->stream, cache_of(kv, layer), copies, n);
}

void attend(struct device *d, float *y, const float *q, const struct kv_cache *kv, int layer,
            const struct batch *b, int H, float scale)
{
    int group = H / kv->n_kv_heads, rows = group < TILE_HEADS ? TILE_HEADS / group : 1;
    if (d->tile_rows != rows)
        make_tiles(d, b, rows);
    if (d->failed == cudaSuccess)
        attention(d->stream, y, q, cache_of(kv, layer), d->batch,
                  static_cast<const tile *>(d->tile_list.p), static_cast<int>(d->tiles.size()), H,
                  scale);
}

void gate(struct device *d, float *y, const float *g, const float *up, size_t n, enum format dtype)
{
    silu_mul(d->stream, y, g, up, n, dtype);
}

void gate_relu2(struct device *d, float *y, const float *g, const float *up, size_t n,
                enum format dtype)
{
    relu2_mul(d->stream, y, g, up, n, dtype);
}

void sum(struct device *d, float *y, const float *x, size_t n, enum format dtype)
{
    add(d->stream, y, x, n, dtype);
}

void round_values(struct device *d, float *x, size_t n, enum format dtype)
{
    round_to(d->stream, x, n, dtype);
}

void gather_rows(struct device *d, float *y, const float *x, const int32_t *rows, int n, int D)
{
    const int *ids = uploaded(d, &d->ids, rows, static_cast<size_t>(n));
    if (ids)
        gather(d->stream, y, x, ids, n, D);
}

/* ---- answers ---- */

/* Rows first .. first+T-1 and their targets. */
struct some_asked {
    int first, T;
    int target, n_targets;
};

void answer(struct device *d, struct token_logprob *ret, struct top_token *top,
            const struct weight *head, const struct asked *a, const some_asked &s)
{
    int vocab = static_cast<int>(head->rows), k = a->k;
    size_t T = static_cast<size_t>(s.T), n = static_cast<size_t>(s.n_targets);
    std::vector<int> rows(n);
    for (int t = 0, i = 0; t < s.T; t++)
        for (int end = (a->ends ? a->ends[s.first + t] : s.first + t + 1) - s.target; i < end; i++)
            rows[static_cast<size_t>(i)] = t;
    float *logits = room<float>(d, &d->logits, T * static_cast<size_t>(vocab));
    row_answer *answers = room<row_answer>(d, &d->answers, T);
    float *wanted = room<float>(d, &d->wanted, n + 1);
    top_logit *best = room<top_logit>(d, &d->top, T * static_cast<size_t>(k) + 1);
    const int *targets = uploaded(d, &d->ids, a->targets + s.target, n);
    const int *of = uploaded(d, &d->more_ids, rows.data(), n);
    if (!logits || !answers || !wanted || !best || !targets || !of)
        return;
    size_t D = static_cast<size_t>(head->cols);
    product(d, logits, a->x + static_cast<size_t>(s.first) * D, head, nullptr, s.T);
    answer_rows(d->stream, answers, logits, vocab, s.T);
    wanted_logits(d->stream, wanted, logits, vocab, of, targets, s.n_targets);
    top_logits(d->stream, best, k, logits, vocab, s.T);
    std::vector<row_answer> all(T);
    std::vector<float> logit(n);
    std::vector<top_logit> tops(T * static_cast<size_t>(k));
    to_host(d, all.data(), answers, T * sizeof(row_answer));
    to_host(d, logit.data(), wanted, n * sizeof(float));
    to_host(d, tops.data(), best, tops.size() * sizeof(top_logit));
    if (d->failed != cudaSuccess)
        return;
    for (size_t i = 0; i < n; i++) {
        const row_answer &row = all[static_cast<size_t>(rows[i])];
        size_t at = static_cast<size_t>(s.target) + i;
        double lp = a->targets[at] < 0 ? 0 : static_cast<double>(logit[i]) - row.all;
        ret[at] = {lp, row.argmax, static_cast<double>(row.greatest) - row.all};
    }
    for (size_t i = 0; i < tops.size(); i++) {
        const row_answer &row = all[i / static_cast<size_t>(k)];
        double lp = tops[i].token < 0 ? NAN : static_cast<double>(tops[i].logit) - row.all;
        top[static_cast<size_t>(s.first) * static_cast<size_t>(k) + i] = {tops[i].token, lp};
    }
}

void answer_all(struct device *d, struct token_logprob *ret, struct top_token *top,
                const struct weight *head, const struct asked *a)
{
    some_asked s = {};
    for (; s.first < a->T && d->failed == cudaSuccess; s.first += s.T) {
        s.T = a->T - s.first < LOGIT_ROWS ? a->T - s.first : LOGIT_ROWS;
        int end = a->ends ? a->ends[s.first + s.T - 1] : s.first + s.T;
        s.n_targets = end - s.target;
        answer(d, ret, top, head, a, s);
        s.target = end;
    }
}

/* ---- opening and closing ---- */

int check(struct device *d, struct error *err)
{
    fine(d, cudaStreamSynchronize(d->stream), "computing");
    if (d->failed == cudaSuccess)
        return 0;
    return error_set(err, E_DEVICE, "the CUDA device %d failed while %s: %s", d->ordinal, d->doing,
                     cudaGetErrorString(d->failed));
}

void close_device(struct device *d)
{
    cudaStreamSynchronize(d->stream);
    for (matrix *m : d->matrices)
        delete m;
    for (void *p : d->buffers)
        cudaFree(p);
    cudaStreamDestroy(d->stream);
    delete d;
}

const struct kernels table = {
    .numerics = "cuda-1",
    .dev = nullptr,
    .on_device = true,
    .buffer_new = buffer_new,
    .buffer_free = buffer_free,
    .to_device = to_device,
    .to_host = to_host,
    .weight_pack = weight_pack,
    .weight_free = weight_free,
    .packed_bytes = packed_bytes,
    .begin = begin,
    .embed = embed_rows,
    .add_rmsnorm = norm,
    .linear = product,
    .rope_angles = angles,
    .rope = rotate,
    .kv_write = write_kv,
    .kv_copy = copy_kv,
    .attention = attend,
    .silu_mul = gate,
    .relu2_mul = gate_relu2,
    .add = sum,
    .round_to = round_values,
    .gather = gather_rows,
    .logprobs = answer_all,
    .check = check,
    .close = close_device,
};

} // namespace

extern "C" int kernels_cuda(int ordinal, struct kernels *ret, struct error *err)
{
    int n = 0;
    cudaError_t e = cudaGetDeviceCount(&n);
    if (e != cudaSuccess || n == 0)
        return error_set(err, E_DEVICE, "there is no CUDA device: %s",
                         e == cudaSuccess ? "none was found" : cudaGetErrorString(e));
    if (ordinal < 0 || ordinal >= n)
        return error_set(err, E_DEVICE, "there is no CUDA device %d: they are 0 to %d", ordinal,
                         n - 1);
    struct device *d = new device();
    d->ordinal = ordinal;
    if (!fine(d, cudaSetDevice(ordinal), "opening it") ||
        !fine(d, cudaStreamCreateWithFlags(&d->stream, cudaStreamNonBlocking), "opening it")) {
        int r = error_set(err, E_DEVICE, "cannot open the CUDA device %d: %s", ordinal,
                          cudaGetErrorString(d->failed));
        delete d;
        return r;
    }
    *ret = table;
    ret->dev = d;
    return 0;
}

extern "C" size_t kernels_cuda_memory(int ordinal)
{
    size_t free_bytes = 0, total = 0;
    bool ok =
        cudaSetDevice(ordinal) == cudaSuccess && cudaMemGetInfo(&free_bytes, &total) == cudaSuccess;
    return ok ? free_bytes : 0;
}
