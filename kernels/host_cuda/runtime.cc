/* runtime.cc: the CUDA runtime calls that assay uses, on the host: memory, streams, events,
 * graphs, launches. The declarations are the toolkit's own. */
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <numeric>
#include <vector>

#include "kernels/host_cuda/block.h"

extern "C" {
#include "base/pool.h"
}

using host_cuda::block_job;
using work = std::function<cudaError_t()>;

/* What a stream still has to do, in order. */
struct CUstream_st {
    std::vector<work> todo;
    struct CUgraph_st *capture = nullptr;
};
struct CUgraph_st {
    std::vector<work> todo;
};
struct CUgraphExec_st {
    std::vector<work> todo;
};
struct CUevent_st {
    CUstream_st *stream = nullptr;
    struct timespec at = {};
};

namespace
{

struct state {
    std::mutex lock; /* of memory */
    std::map<void *, size_t> memory;
    size_t used = 0, limit = SIZE_MAX;
    std::mutex running; /* one launch at a time */
    uint64_t seed = 1, launches = 0;
    int lose = -1;
    cudaError_t sticky = cudaSuccess;
    std::string fault;
    struct pool *pool = nullptr;
    CUstream_st standard;
};

state &all()
{
    static state *s = new state(); /* never destroyed: kernels may end after static objects */
    return *s;
}

CUstream_st *stream_of(cudaStream_t s)
{
    return s ? s : &all().standard;
}

/* ---- launches ---- */

struct grid_run {
    const std::vector<uint64_t> *order;
    dim3 grid;
    block_job job;
    std::mutex lock;
    std::string fault;
};

void run_block(void *arg, size_t part, int)
{
    grid_run *g = static_cast<grid_run *>(arg);
    block_job job = g->job;
    uint64_t i = (*g->order)[part];
    job.index = {static_cast<unsigned>(i % g->grid.x),
                 static_cast<unsigned>(i / g->grid.x % g->grid.y),
                 static_cast<unsigned>(i / g->grid.x / g->grid.y)};
    job.seed += i * 0x9e3779b97f4a7c15u;
    std::string fault = host_cuda::block_run(job);
    if (!fault.empty()) {
        std::lock_guard<std::mutex> hold(g->lock);
        if (g->fault.empty())
            g->fault = fault;
    }
}

cudaError_t run_grid(dim3 grid, dim3 block, size_t shared_bytes,
                     const std::function<void()> &thread)
{
    state &s = all();
    std::lock_guard<std::mutex> hold(s.running);
    if (s.sticky != cudaSuccess)
        return s.sticky;
    if (s.lose >= 0 && s.lose-- == 0) {
        s.fault = "the device was lost, as host_cuda_lose asked";
        return s.sticky = cudaErrorDevicesUnavailable;
    }
    if (!s.pool)
        s.pool = pool_new(0);
    host_cuda::draws draws{s.seed + ++s.launches * 0xd1342543de82ef95u};
    std::vector<uint64_t> order(static_cast<size_t>(grid.x) * grid.y * grid.z);
    std::iota(order.begin(), order.end(), uint64_t{0});
    for (size_t i = order.size(); i > 1; i--)
        std::swap(order[i - 1], order[draws.below(i)]);
    grid_run g;
    g.order = &order;
    g.grid = grid;
    g.job = {{0, 0, 0}, block, grid, shared_bytes, draws.next(), &thread};
    pool_run(s.pool, order.size(), run_block, &g);
    if (g.fault.empty())
        return cudaSuccess;
    s.fault = g.fault;
    return s.sticky = cudaErrorLaunchFailure;
}

cudaError_t drain(CUstream_st *s)
{
    cudaError_t ret = all().sticky;
    for (size_t i = 0; i < s->todo.size() && ret == cudaSuccess; i++)
        ret = s->todo[i]();
    s->todo.clear();
    return ret;
}

cudaError_t put(cudaStream_t stream, work w)
{
    CUstream_st *s = stream_of(stream);
    (s->capture ? s->capture->todo : s->todo).push_back(std::move(w));
    return cudaSuccess;
}

} // namespace

namespace host_cuda
{

void launch(dim3 grid, dim3 block, size_t shared_bytes, cudaStream_t stream,
            std::function<void()> thread)
{
    state &s = all();
    size_t threads = static_cast<size_t>(block.x) * block.y * block.z;
    bool bad = threads == 0 || threads > 1024 || grid.x == 0 || grid.y == 0 || grid.z == 0 ||
               grid.x > 0x7fffffff || grid.y > 65535 || grid.z > 65535 || shared_bytes > 227 << 10;
    if (bad) {
        s.sticky = cudaErrorInvalidConfiguration;
        s.fault = "a launch of no possible shape";
        return;
    }
    put(stream, [=] { return run_grid(grid, block, shared_bytes, thread); });
}

} // namespace host_cuda

extern "C" {

void host_cuda_seed(uint64_t seed)
{
    all().seed = seed;
    all().launches = 0;
}

void host_cuda_memory(size_t bytes)
{
    all().limit = bytes;
}

void host_cuda_lose(int launches)
{
    all().lose = launches;
}

const char *host_cuda_fault(void)
{
    return all().fault.c_str();
}

void host_cuda_reset(void)
{
    state &s = all();
    s.sticky = cudaSuccess;
    s.fault.clear();
    s.lose = -1;
    s.limit = SIZE_MAX;
    s.standard.todo.clear();
}

/* ---- devices ---- */

cudaError_t cudaGetDeviceCount(int *count)
{
    *count = 1;
    return cudaSuccess;
}

cudaError_t cudaSetDevice(int device)
{
    return device == 0 ? cudaSuccess : cudaErrorInvalidDevice;
}

cudaError_t cudaDeviceGetAttribute(int *value, cudaDeviceAttr attr, int)
{
    switch (attr) {
    case cudaDevAttrMultiProcessorCount:
        *value = 4;
        return cudaSuccess;
    case cudaDevAttrComputeCapabilityMajor:
        *value = 9;
        return cudaSuccess;
    case cudaDevAttrComputeCapabilityMinor:
        *value = 0;
        return cudaSuccess;
    default:
        return cudaErrorInvalidValue;
    }
}

cudaError_t cudaMemGetInfo(size_t *free_bytes, size_t *total)
{
    state &s = all();
    std::lock_guard<std::mutex> hold(s.lock);
    *total = s.limit == SIZE_MAX ? size_t{8} << 30 : s.limit;
    *free_bytes = *total > s.used ? *total - s.used : 0;
    return cudaSuccess;
}

/* ---- memory ---- */

cudaError_t cudaMalloc(void **ret, size_t bytes)
{
    state &s = all();
    std::lock_guard<std::mutex> hold(s.lock);
    void *p = nullptr;
    if (bytes > s.limit || s.used > s.limit - bytes ||
        posix_memalign(&p, 256, bytes ? bytes : 1) != 0)
        return cudaErrorMemoryAllocation;
    memset(p, 0xff, bytes); /* NaN, read as floats */
    s.memory[p] = bytes;
    s.used += bytes;
    *ret = p;
    return cudaSuccess;
}

cudaError_t cudaFree(void *p)
{
    state &s = all();
    std::lock_guard<std::mutex> hold(s.lock);
    auto found = s.memory.find(p);
    if (p && found == s.memory.end())
        return cudaErrorInvalidValue;
    if (p) {
        s.used -= found->second;
        s.memory.erase(found);
        free(p);
    }
    return cudaSuccess;
}

cudaError_t cudaMallocHost(void **ret, size_t bytes)
{
    *ret = malloc(bytes ? bytes : 1);
    return *ret ? cudaSuccess : cudaErrorMemoryAllocation;
}

cudaError_t cudaFreeHost(void *p)
{
    free(p);
    return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, cudaMemcpyKind,
                            cudaStream_t s)
{
    return put(s, [=] {
        memmove(to, from, bytes);
        return cudaSuccess;
    });
}

cudaError_t cudaMemsetAsync(void *p, int value, size_t bytes, cudaStream_t s)
{
    return put(s, [=] {
        memset(p, value, bytes);
        return cudaSuccess;
    });
}

/* ---- streams, events, graphs ---- */

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *ret, unsigned)
{
    *ret = new CUstream_st();
    return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t s)
{
    cudaError_t r = drain(s);
    delete s;
    return r;
}

cudaError_t cudaStreamSynchronize(cudaStream_t s)
{
    return drain(stream_of(s));
}

cudaError_t cudaStreamBeginCapture(cudaStream_t s, cudaStreamCaptureMode)
{
    if (s->capture)
        return cudaErrorIllegalState;
    s->capture = new CUgraph_st();
    return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t s, cudaGraph_t *ret)
{
    if (!s->capture)
        return cudaErrorIllegalState;
    *ret = s->capture;
    s->capture = nullptr;
    return cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t *ret, cudaGraph_t g, unsigned long long)
{
    *ret = new CUgraphExec_st{g->todo};
    return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t g, cudaStream_t s)
{
    for (const work &w : g->todo)
        put(s, w);
    return cudaSuccess;
}

cudaError_t cudaGraphDestroy(cudaGraph_t g)
{
    delete g;
    return cudaSuccess;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t g)
{
    delete g;
    return cudaSuccess;
}

cudaError_t cudaEventCreate(cudaEvent_t *ret)
{
    *ret = new CUevent_st();
    return cudaSuccess;
}

cudaError_t cudaEventDestroy(cudaEvent_t e)
{
    delete e;
    return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t e, cudaStream_t s)
{
    e->stream = stream_of(s);
    return put(s, [=] {
        clock_gettime(CLOCK_MONOTONIC, &e->at);
        return cudaSuccess;
    });
}

cudaError_t cudaEventSynchronize(cudaEvent_t e)
{
    return e->stream ? drain(e->stream) : cudaErrorInvalidValue;
}

cudaError_t cudaEventElapsedTime(float *ms, cudaEvent_t from, cudaEvent_t to)
{
    *ms = static_cast<float>(to->at.tv_sec - from->at.tv_sec) * 1e3f +
          static_cast<float>(to->at.tv_nsec - from->at.tv_nsec) * 1e-6f;
    return cudaSuccess;
}

/* ---- errors ---- */

cudaError_t cudaGetLastError(void)
{
    return all().sticky;
}

const char *cudaGetErrorString(cudaError_t e)
{
    switch (e) {
    case cudaSuccess:
        return "no error";
    case cudaErrorMemoryAllocation:
        return "out of memory";
    case cudaErrorLaunchFailure:
    case cudaErrorInvalidConfiguration:
    case cudaErrorDevicesUnavailable:
        return all().fault.c_str();
    default:
        return "unspecified error";
    }
}
}
