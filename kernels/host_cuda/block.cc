/* block.cc: the threads of a block as fibers, and how they wait for each other. */
#include "kernels/host_cuda/block.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <vector>

#include <boost/context/fiber.hpp>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#else
static void __sanitizer_start_switch_fiber(void **, const void *, size_t)
{
}
static void __sanitizer_finish_switch_fiber(void *, const void **, size_t *)
{
}
#define ASAN_UNPOISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#endif

namespace host_cuda
{

namespace context = boost::context;

thread_local const place *here;

uint64_t draws::next()
{
    uint64_t z = state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

size_t draws::below(size_t n)
{
    return static_cast<size_t>(next() % n);
}

void draws::noise(void *p, size_t bytes)
{
    for (size_t i = 0; i < bytes; i += 8) {
        uint64_t x = next();
        std::memcpy(static_cast<char *>(p) + i, &x, bytes - i < 8 ? bytes - i : 8);
    }
}

/* ---- stacks: used again by the next block of the same system thread ---- */

enum : size_t { STACK = 256 << 10 };

struct stacks {
    std::vector<void *> free;
    ~stacks()
    {
        for (void *p : free)
            std::free(p);
    }
};
static thread_local stacks pool;

struct stack_source {
    const void **bottom; /* told to AddressSanitizer */
    context::stack_context allocate()
    {
        void *p;
        if (pool.free.empty()) {
            p = std::malloc(STACK);
            if (!p)
                throw std::bad_alloc();
        } else {
            p = pool.free.back();
            pool.free.pop_back();
        }
        context::stack_context s;
        s.size = STACK;
        s.sp = static_cast<char *>(p) + STACK;
        *bottom = p;
        return s;
    }
    void deallocate(context::stack_context &s)
    {
        char *p = static_cast<char *>(s.sp) - STACK;
        ASAN_UNPOISON_MEMORY_REGION(p, STACK);
        pool.free.push_back(p);
    }
};

/* ---- a block ---- */

struct copy {
    void *to;
    const void *from;
    size_t bytes, valid;
    int group;
};

struct fiber {
    place at;
    context::fiber self, back; /* where the fiber goes on; where its block's loop does */
    void *fake = nullptr;      /* AddressSanitizer's, while it does not run */
    const void *stack = nullptr;
    bool done = false;
    std::vector<copy> copies;
    int groups = 0; /* committed */
};

/* Lanes of a warp that come together. Warps may have several at once, of disjoint lanes. */
struct meeting {
    unsigned mask = 0, come = 0;
    void *what[32];
    std::vector<size_t> waiting;
};

/* Thrown in every thread of a block that has failed. */
struct abandoned {
};

struct barrier {
    size_t come = 0;
    int yes = 0, *answers[1024] = {};
    std::vector<size_t> waiting;
};

class block
{
  public:
    explicit block(const block_job &job);
    std::string run();

    void meet(unsigned mask, void *what, void (*act)(void *const *, unsigned));
    int meet_all(bool yes);
    void meet_named(int id, int n, bool wait);
    void *piece(const void *key, size_t bytes);
    [[noreturn]] void fail(const std::string &why);
    draws random;
    fiber *current = nullptr;
    const block_job &job;

  private:
    void start(fiber &f);
    void wait();
    void wake(std::vector<size_t> &who);
    void finish_barrier();
    void step();
    std::string stuck() const;

    std::string fault;
    std::vector<fiber> fibers;
    std::vector<size_t> ready; /* fibers that can go on */
    size_t n_live;
    std::vector<std::vector<meeting>> meetings; /* of each warp */
    barrier all;
    std::map<int, barrier> named;
    std::map<const void *, std::unique_ptr<char[]>> pieces;
    void *fake = nullptr;
    const void *stack = nullptr;
    size_t stack_size = 0;
};
static thread_local block *running;

block::block(const block_job &j)
    : random{j.seed}, job(j),
      fibers(static_cast<size_t>(j.block_size.x) * j.block_size.y * j.block_size.z)
{
    size_t n = fibers.size();
    ready.reserve(n);
    n_live = n;
    meetings.resize((n + 31) / 32);
    for (size_t i = 0; i < n; i++) {
        fiber *f = &fibers[i];
        unsigned t = static_cast<unsigned>(i);
        f->at.thread = {t % j.block_size.x, t / j.block_size.x % j.block_size.y,
                        t / j.block_size.x / j.block_size.y};
        f->at.block = j.index;
        f->at.block_size = j.block_size;
        f->at.grid_size = j.grid_size;
        f->at.lane = t % 32;
        f->at.warp = t / 32;
        ready.push_back(i);
    }
}

/* The fiber's own beginning and end. */
void block::start(fiber &f)
{
    stack_source source{&f.stack};
    f.self = context::fiber(std::allocator_arg, source, [this, &f](context::fiber &&back) {
        __sanitizer_finish_switch_fiber(nullptr, &stack, &stack_size);
        f.back = std::move(back);
        try {
            (*job.thread)();
        } catch (const abandoned &) {
        }
        f.done = true;
        context::fiber to = std::move(f.back);
        __sanitizer_start_switch_fiber(nullptr, stack, stack_size);
        return to;
    });
}

/* Back to the loop in run(), until somebody wakes this fiber. */
void block::wait()
{
    fiber *f = current;
    __sanitizer_start_switch_fiber(&f->fake, stack, stack_size);
    f->back = std::move(f->back).resume();
    __sanitizer_finish_switch_fiber(f->fake, &stack, &stack_size);
    if (!fault.empty())
        throw abandoned();
}

/* Ends the block: the thread that runs and, as they go on, all others. */
void block::fail(const std::string &why)
{
    if (fault.empty())
        fault = why;
    throw abandoned();
}

void block::wake(std::vector<size_t> &who)
{
    ready.insert(ready.end(), who.begin(), who.end());
    who.clear();
}

static size_t index_of(const place &p)
{
    return static_cast<size_t>(p.warp) * 32 + p.lane;
}

void block::meet(unsigned mask, void *what, void (*act)(void *const *, unsigned))
{
    const place &p = current->at;
    std::vector<meeting> &open = meetings[p.warp];
    size_t i = 0;
    while (i < open.size() && open[i].mask != mask)
        i++;
    if (i == open.size()) {
        open.emplace_back();
        open[i].mask = mask;
    }
    open[i].what[p.lane] = what;
    open[i].come |= 1u << p.lane;
    if ((open[i].come & mask) == mask) {
        act(open[i].what, mask);
        wake(open[i].waiting);
        open.erase(open.begin() + static_cast<std::ptrdiff_t>(i));
        ready.push_back(index_of(p)); /* the last to come goes on in its turn, not first */
    } else {
        open[i].waiting.push_back(index_of(p));
    }
    wait();
}

void block::finish_barrier()
{
    if (n_live == 0 || all.come < n_live || !fault.empty())
        return;
    for (size_t i = 0; i < all.come; i++)
        *all.answers[i] = all.yes;
    all.come = 0;
    all.yes = 0;
    wake(all.waiting);
}

int block::meet_all(bool yes)
{
    int answer = 0;
    all.answers[all.come++] = &answer;
    all.yes += yes;
    all.waiting.push_back(index_of(current->at));
    finish_barrier();
    wait();
    return answer;
}

void block::meet_named(int id, int n, bool waits)
{
    barrier &b = named[id];
    if (waits)
        b.waiting.push_back(index_of(current->at));
    if (++b.come >= static_cast<size_t>(n)) {
        b.come = 0;
        wake(b.waiting);
    }
    if (waits)
        wait();
}

void *block::piece(const void *key, size_t bytes)
{
    std::unique_ptr<char[]> &p = pieces[key];
    if (!p) {
        p.reset(new char[bytes]);
        random.noise(p.get(), bytes);
    }
    return p.get();
}

std::string block::stuck() const
{
    size_t n_first = 0;
    while (n_first < fibers.size() && fibers[n_first].done)
        n_first++;
    char text[256];
    snprintf(text, sizeof text,
             "block (%u, %u, %u): %zu of %zu threads wait for others that never come, the first of "
             "them thread %zu; %zu are at the block's barrier",
             job.index.x, job.index.y, job.index.z, n_live, fibers.size(), n_first, all.come);
    return text;
}

/* One of the fibers that can go on does, up to where it waits or ends. */
void block::step()
{
    size_t at = random.below(ready.size()), i = ready[at];
    ready[at] = ready.back();
    ready.pop_back();
    fiber &f = fibers[i];
    if (!f.self)
        start(f);
    current = &f;
    here = &f.at;
    void *mine = nullptr;
    __sanitizer_start_switch_fiber(&mine, f.stack, STACK);
    f.self = std::move(f.self).resume();
    __sanitizer_finish_switch_fiber(mine, nullptr, nullptr);
    if (f.done) {
        n_live--;
        finish_barrier();
    }
}

std::string block::run()
{
    running = this;
    while (!ready.empty() && fault.empty())
        step();
    if (n_live > 0) {
        if (fault.empty())
            fault = stuck();
        ready.clear();
        for (size_t i = 0; i < fibers.size(); i++)
            if (!fibers[i].done && fibers[i].self)
                ready.push_back(i); /* they unwind */
        while (!ready.empty())
            step();
    }
    running = nullptr;
    here = nullptr;
    return fault;
}

std::string block_run(const block_job &job)
{
    return block(job).run();
}

/* ---- the words ---- */

void meet_warp(unsigned mask, void *what, void (*act)(void *const *, unsigned))
{
    running->meet(mask, what, act);
}

int meet_block(bool yes)
{
    return running->meet_all(yes);
}

void meet_named(int id, int n, bool wait)
{
    running->meet_named(id, n, wait);
}

void *shared(const void *key, size_t bytes)
{
    return running->piece(key, bytes);
}

void *dynamic_shared()
{
    static const char key = 0;
    return running->piece(&key, running->job.shared_bytes);
}

void need(bool holds, const char *what)
{
    if (!holds)
        running->fail(what);
}

/* Copies are kept by the thread that asked for them. */
void copy_async(void *to, const void *from, size_t bytes, size_t valid)
{
    need(reinterpret_cast<uintptr_t>(to) % bytes == 0 &&
             (valid == 0 || reinterpret_cast<uintptr_t>(from) % bytes == 0),
         "cp.async: an address is no multiple of the size");
    fiber *f = running->current;
    running->random.noise(to, bytes);
    f->copies.push_back({to, from, bytes, valid, f->groups});
}

void copy_commit()
{
    running->current->groups++;
}

void copy_wait(int groups_left)
{
    fiber *f = running->current;
    size_t n = 0;
    for (; n < f->copies.size() && f->copies[n].group < f->groups - groups_left; n++) {
        const copy &c = f->copies[n];
        std::memcpy(c.to, c.from, c.valid);
        std::memset(static_cast<char *>(c.to) + c.valid, 0, c.bytes - c.valid);
    }
    f->copies.erase(f->copies.begin(), f->copies.begin() + static_cast<std::ptrdiff_t>(n));
}

} // namespace host_cuda
