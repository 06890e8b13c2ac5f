/* attention.cu: the paged cache, and attention over it, for prefill and decode in one launch.
 *
 * A page holds, for each key/value head, its P keys and then its P values, rows of S floats. A
 * block takes a tile: up to TILE_HEADS query heads of one key/value head, of neighbouring rows of
 * one sequence. Positions come CHUNK at a time: keys and values to shared memory once for the tile,
 * then for each head scores (a lane a position), the running maximum, and the mix (a lane every
 * 32nd value). A row's sums run over its own positions in chunks that begin at multiples of CHUNK,
 * so neither the tile nor the step shows in its bits.
 *
 * Bytes: a tile reads its sequence's keys and values once, 8 S bytes a position and head. */
#include "kernels/cuda/cuda.h"

namespace assay
{

namespace
{

enum { WARPS = 4, CHUNK = 32, MOST_S = 256 };

/* Where position p of a sequence lies: its key; the value is P * S floats * G behind. */
__device__ inline float *entry(const cache &kv, const int *pages, int position, int g)
{
    size_t S = static_cast<size_t>(kv.S), P = static_cast<size_t>(kv.P);
    size_t half = static_cast<size_t>(kv.G) * P * S;
    size_t page = static_cast<size_t>(pages[position / kv.P]);
    return kv.data +
           (page * static_cast<size_t>(kv.n_layers) + static_cast<size_t>(kv.layer)) * 2 * half +
           (static_cast<size_t>(g) * P + static_cast<size_t>(position % kv.P)) * S;
}

__device__ inline size_t to_values(const cache &kv)
{
    return static_cast<size_t>(kv.G) * static_cast<size_t>(kv.P) * static_cast<size_t>(kv.S);
}

__global__ void write_rows(cache kv, const float *k, const float *v, rows b)
{
    int t = static_cast<int>(blockIdx.x), GS = kv.G * kv.S;
    const int *pages =
        b.page_table + static_cast<size_t>(b.sequences[t]) * static_cast<size_t>(b.max_pages);
    for (int i = static_cast<int>(threadIdx.x); i < GS; i += static_cast<int>(blockDim.x)) {
        float *to = entry(kv, pages, b.positions[t], i / kv.S) + i % kv.S;
        size_t from = static_cast<size_t>(t) * static_cast<size_t>(GS) + static_cast<size_t>(i);
        to[0] = k[from];
        to[to_values(kv)] = v[from];
    }
}

__global__ void copy_positions(cache kv, struct kv_copy c)
{
    int g = static_cast<int>(blockIdx.x) % kv.G;
    size_t half = blockIdx.x >= static_cast<unsigned>(kv.G) ? to_values(kv) : 0;
    const float *from = entry(kv, &c.from, 0, g) + half;
    float *to = entry(kv, &c.to, 0, g) + half;
    for (int i = static_cast<int>(threadIdx.x); i < c.n * kv.S; i += static_cast<int>(blockDim.x))
        to[i] = from[i];
}

/* What a warp knows of one query head: the greatest score, the sum of weights, the mixed values. */
struct running {
    float max, sum, values[MOST_S / 32];
};

/* n of the chunk's positions are the row's. */
__device__ inline void add_chunk(running &r, const float *q, const float *keys, const float *values,
                                 int n, int S, float scale)
{
    int lane = static_cast<int>(threadIdx.x) % 32;
    float score = -INFINITY;
    if (lane < n) {
        float sum = 0;
        for (int s = 0; s < S; s++)
            sum = fmaf(q[s], keys[lane * (S + 1) + s], sum);
        score = sum * scale;
    }
    float max = fmaxf(score, r.max);
    for (int d = 16; d > 0; d /= 2)
        max = fmaxf(max, __shfl_xor_sync(ALL_LANES, max, d));
    float weight = lane < n ? expf(score - max) : 0, sum = weight;
    for (int d = 16; d > 0; d /= 2)
        sum += __shfl_xor_sync(ALL_LANES, sum, d);
    float less = expf(r.max - max);
    r.sum = fmaf(r.sum, less, sum);
    r.max = max;
#pragma unroll
    for (int i = 0; i < MOST_S / 32; i++)
        r.values[i] *= less;
    for (int p = 0; p < n; p++) {
        float w = __shfl_sync(ALL_LANES, weight, p);
#pragma unroll
        for (int i = 0; i < MOST_S / 32; i++)
            if (i * 32 + lane < S)
                r.values[i] = fmaf(w, values[p * S + i * 32 + lane], r.values[i]);
    }
}

struct place {
    int row, head; /* a query head of a row; row -1: none */
};

/* Head i of a tile whose heads of one key/value head are `group`, cut in pieces of TILE_HEADS. */
__device__ inline place place_of(const tile &at, int i, int group, int g, int piece)
{
    int heads = group < TILE_HEADS ? group : TILE_HEADS;
    int head = piece * TILE_HEADS + i % heads;
    if (i / heads >= at.n || head >= group)
        return {-1, 0};
    return {at.row + i / heads, g * group + head};
}

__global__ void __launch_bounds__(WARPS * 32)
    attend(float *y, const float *q, cache kv, rows b, const tile *tiles, int H, float scale)
{
    DYNAMIC_SHARED(float, shared);
    float *keys = shared, *values = keys + CHUNK * (kv.S + 1), *qs = values + CHUNK * kv.S;
    const tile at = tiles[blockIdx.x];
    int g = static_cast<int>(blockIdx.y) % kv.G, piece = static_cast<int>(blockIdx.y) / kv.G;
    int group = H / kv.G, S = kv.S, thread = static_cast<int>(threadIdx.x), warp = thread / 32;
    const int *pages =
        b.page_table + static_cast<size_t>(b.sequences[at.row]) * static_cast<size_t>(b.max_pages);
    for (int i = thread; i < TILE_HEADS * S; i += WARPS * 32) {
        place p = place_of(at, i / S, group, g, piece);
        size_t from =
            (static_cast<size_t>(p.row) * static_cast<size_t>(H) + static_cast<size_t>(p.head)) *
            static_cast<size_t>(S);
        qs[i] = p.row < 0 ? 0 : q[from + static_cast<size_t>(i % S)];
    }
    running r[TILE_HEADS / WARPS];
#pragma unroll
    for (int i = 0; i < TILE_HEADS / WARPS; i++) {
        r[i].max = -INFINITY;
        r[i].sum = 0;
#pragma unroll
        for (int j = 0; j < MOST_S / 32; j++)
            r[i].values[j] = 0;
    }
    for (int first = 0; first <= at.last; first += CHUNK) {
        for (int i = thread; i < CHUNK * S; i += WARPS * 32) {
            int p = i / S, s = i % S;
            if (first + p > at.last)
                continue;
            const float *from = entry(kv, pages, first + p, g) + s;
            keys[p * (S + 1) + s] = from[0];
            values[p * S + s] = from[to_values(kv)];
        }
        __syncthreads();
#pragma unroll
        for (int i = 0; i < TILE_HEADS / WARPS; i++) {
            place p = place_of(at, warp * (TILE_HEADS / WARPS) + i, group, g, piece);
            int n = p.row < 0 ? 0 : b.positions[p.row] + 1 - first;
            if (n > 0)
                add_chunk(r[i], qs + (warp * (TILE_HEADS / WARPS) + i) * S, keys, values,
                          n < CHUNK ? n : CHUNK, S, scale);
        }
        __syncthreads();
    }
#pragma unroll
    for (int i = 0; i < TILE_HEADS / WARPS; i++) {
        place p = place_of(at, warp * (TILE_HEADS / WARPS) + i, group, g, piece);
        float *to = y + (static_cast<size_t>(p.row) * static_cast<size_t>(H) +
                         static_cast<size_t>(p.head)) *
                            static_cast<size_t>(S);
#pragma unroll
        for (int j = 0; j < MOST_S / 32; j++) {
            int s = j * 32 + thread % 32;
            if (p.row >= 0 && s < S)
                to[s] = r[i].values[j] / r[i].sum;
        }
    }
}

} // namespace

void kv_write(cudaStream_t s, const cache &kv, const float *k, const float *v, const rows &b)
{
    if (b.n > 0)
        launch(write_rows, dim3(static_cast<unsigned>(b.n)), dim3(128), 0, s, kv, k, v, b);
}

void kv_copy(cudaStream_t s, const cache &kv, const struct kv_copy *copies, int n)
{
    for (int i = 0; i < n; i++)
        launch(copy_positions, dim3(2 * static_cast<unsigned>(kv.G)), dim3(128), 0, s, kv,
               copies[i]);
}

void attention(cudaStream_t s, float *y, const float *q, const cache &kv, const rows &b,
               const tile *tiles, int n_tiles, int H, float scale)
{
    if (n_tiles == 0)
        return;
    size_t S = static_cast<size_t>(kv.S), group = static_cast<size_t>(H / kv.G);
    size_t floats = CHUNK * (2 * S + 1) + TILE_HEADS * S;
    unsigned pieces = blocks_of(group, TILE_HEADS);
    launch(attend, dim3(static_cast<unsigned>(n_tiles), static_cast<unsigned>(kv.G) * pieces),
           dim3(WARPS * 32), floats * sizeof(float), s, y, q, kv, b, tiles, H, scale);
}

} // namespace assay
