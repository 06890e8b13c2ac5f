/* The sandbox: what passes, what fails, and what a hostile program cannot do. Each case runs under
 * bubblewrap where that works, and without it, as --allow-unsandboxed does. */
#include "tasks/sandbox.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/pool.h"
#include "tests/check.h"

static struct sandbox *isolated, *plain;
static struct arena arena;

static void open_both(void)
{
    struct error err;
    if (!plain)
        EXPECT_OK(sandbox_open(&(struct sandbox_options){.allow_unsandboxed = true,
                                                         .n_workers = 8,
                                                         .bwrap = "/nonexistent/bwrap"},
                               &plain, &err),
                  &err);
    if (!isolated && sandbox_open(&(struct sandbox_options){.n_workers = 8}, &isolated, &err) < 0)
        snprintf(check_skip, sizeof check_skip, "%.200s", err.msg);
}

static struct sandbox_result run(const struct sandbox *s, const char *program,
                                 struct sandbox_limits limits)
{
    struct error err;
    struct sandbox_result r = {.verdict = SANDBOX_FAILED};
    EXPECT_OK(sandbox_run(s, &arena, str_of(program), &limits, &r, &err), &err);
    return r;
}

static const struct sandbox_limits quick = {
    .cpu_s = 2,
    .idle_s = 4,
    .memory_bytes = (size_t)256 << 20,
    .disk_bytes = 4 << 20,
    .output_bytes = 2000,
    .n_files = 32,
};

struct expectation {
    const char *program;
    enum sandbox_verdict verdict;
    const char *says; /* part of its output, or NULL */
};

/* Several programs at once, which is also how the harness runs them. */
struct crowd {
    const struct sandbox *s;
    const struct expectation *e;
    struct arena *arenas; /* one a program */
    struct sandbox_result *results;
};

static void run_one(void *arg, size_t part, int thread)
{
    const struct crowd *c = arg;
    struct error err;
    (void)thread;
    c->results[part] = (struct sandbox_result){.output = STR("")};
    if (sandbox_run(c->s, &c->arenas[part], str_of(c->e[part].program), &quick, &c->results[part],
                    &err) < 0)
        c->results[part].output = str_copy(&c->arenas[part], str_of(err.msg));
}

static void expect_all(const struct sandbox *s, const struct expectation *e, int n)
{
    enum { MAX = 64 };
    static struct arena arenas[MAX];
    struct sandbox_result results[MAX];
    struct crowd c = {s, e, arenas, results};
    struct pool *pool = pool_new(8);
    if (s && n <= MAX)
        pool_run(pool, (size_t)n, run_one, &c);
    pool_free(pool);
    for (int i = 0; s && i < n; i++) {
        const struct sandbox_result *r = &results[i];
        if (r->verdict != e[i].verdict || (e[i].says && !strstr(r->output.p, e[i].says)))
            check_fail(__FILE__, __LINE__, "%s: verdict %d, not %d; said: %s", e[i].program,
                       (int)r->verdict, (int)e[i].verdict, r->output.p);
        arena_free(&arenas[i]);
    }
}

#define EXPECT_ALL(s, ...)                                                                         \
    do {                                                                                           \
        static const struct expectation e_[] = {__VA_ARGS__};                                      \
        expect_all(s, e_, (int)(sizeof e_ / sizeof *e_));                                          \
    } while (0)

static void everywhere(const struct sandbox *s)
{
    EXPECT_ALL(
        s, {"", SANDBOX_PASSED, NULL}, {"print('\\u00e9')", SANDBOX_PASSED, "\xc3\xa9"},
        {"assert 1 + 1 == 3", SANDBOX_FAILED, "AssertionError"},
        {"def f(:", SANDBOX_FAILED, "SyntaxError"},
        {"x = 'caf\xc3\xa9'\nassert len(x) == 4", SANDBOX_PASSED, NULL},
        {"assert __name__ == 'builtins'", SANDBOX_PASSED, NULL},
        {"import re, math, collections, hashlib, datetime", SANDBOX_PASSED, NULL},
        {"import threading\nt = threading.Thread(target=print, args=('thread',))\nt.start()\n"
         "t.join()",
         SANDBOX_PASSED, "thread"},
        {"input()", SANDBOX_FAILED, "EOFError"},
        /* ending early is no pass, however it is done */
        {"import sys; sys.exit(0)", SANDBOX_FAILED, NULL},
        {"raise SystemExit", SANDBOX_FAILED, NULL},
        {"import os; os._exit(0)", SANDBOX_FAILED, NULL},
        {"import os; os.execv('/bin/true', ['true'])", SANDBOX_FAILED, NULL},
        {"import os; os.write(3, b'1' * 32); os._exit(0)", SANDBOX_FAILED, NULL},
        {"import os; os.write(3, os.pread(0, 32, 0)); os._exit(0)", SANDBOX_FAILED, NULL},
        {"import os; os.lseek(0, 0, 0); os.write(3, os.read(0, 32)); os._exit(0)", SANDBOX_FAILED,
         NULL},
        /* nor is the judge's word, from its frame or from memory, by a program that would fail */
        {"import os, sys\nf = sys._getframe()\nwhile 'word' not in f.f_locals: f = f.f_back\n"
         "os.write(3, f.f_locals['word']); os._exit(0)",
         SANDBOX_FAILED, "its own success"},
        {"import os, sys\nword = sys._getframe(1).f_locals['word']\nos.write(3, word)\n"
         "assert False",
         SANDBOX_FAILED, "its own success"},
        {"import gc, os\nfor x in gc.get_objects():\n"
         "  for y in gc.get_referents(x):\n"
         "    if isinstance(y, bytes) and len(y) == 32 and y.isalnum(): os.write(3, y)\n"
         "assert False",
         SANDBOX_FAILED, NULL},
        {"import os, re\nfor line in open('/proc/self/maps'):\n"
         "  if '[heap]' in line:\n"
         "    a, b = (int(x, 16) for x in line.split()[0].split('-'))\n"
         "    with open('/proc/self/mem', 'rb', 0) as m: m.seek(a); heap = m.read(b - a)\n"
         "    for w in re.findall(rb'[0-9a-f]{32}(?=\\0)', heap): os.write(3, w); break\n"
         "os._exit(0)",
         SANDBOX_FAILED, NULL},
        {"import sys\nsys._getframe(1).f_locals['int']", SANDBOX_PASSED, NULL},
        {"import builtins\nbuiltins.int = lambda x: 0", SANDBOX_PASSED, NULL},
        /* signals */
        {"import os, signal; signal.raise_signal(signal.SIGSEGV)", SANDBOX_FAILED, NULL},
        {"import os; os.abort()", SANDBOX_FAILED, NULL},
        {"import os; os.kill(os.getppid(), 9)", SANDBOX_FAILED, "PermissionError"},
        {"import os; os.kill(-1, 9)", SANDBOX_FAILED, "PermissionError"},
        {"import ctypes, os\n"
         "calls = {'x86_64': (200, 234, 129, 297), 'aarch64': (130, 131, 138, 240)}\n"
         "c = ctypes.CDLL(None, use_errno=True)\n"
         "for nr in calls.get(os.uname().machine, ()):\n"
         "    assert c.syscall(nr, os.getpid(), os.getpid(), 0, 0) == -1\n"
         "    assert ctypes.get_errno() == 1, nr",
         SANDBOX_PASSED, NULL},
        /* time */
        {"while True: pass", SANDBOX_TIMED_OUT, NULL},
        {"import signal\nsignal.signal(signal.SIGXCPU, lambda *a: None)\nwhile True: pass",
         SANDBOX_TIMED_OUT, NULL},
        {"import time; time.sleep(100)", SANDBOX_TIMED_OUT, NULL},
        {"import os, time\nfor i in range(4): os.close(i)\ntime.sleep(100)", SANDBOX_TIMED_OUT,
         NULL},
        {"import threading\ndef f():\n  while True: pass\nfor i in range(4):\n"
         "  threading.Thread(target=f).start()",
         SANDBOX_PASSED, NULL}, /* the program's end is reached; its threads die with it */
        /* memory, files, processes, network */
        {"x = bytearray(1 << 30)", SANDBOX_FAILED, "MemoryError"},
        {"x = []\nwhile True: x.append(bytearray(1 << 26))", SANDBOX_FAILED, "MemoryError"},
        {"f = [open('/dev/null') for i in range(100)]", SANDBOX_FAILED, "Too many open files"},
        {"import os\nwhile True: os.fork()", SANDBOX_FAILED, "PermissionError"},
        {"import subprocess; subprocess.run(['/bin/true'])", SANDBOX_FAILED, "PermissionError"},
        {"import socket; socket.create_connection(('127.0.0.1', 80), 1)", SANDBOX_FAILED,
         "PermissionError"},
        {"import os; os.unshare(0)" /* Python 3.12's, else AttributeError */, SANDBOX_FAILED, NULL},
        {"def f(): return f()\nf()", SANDBOX_FAILED, "RecursionError"});
}

static void alone(void)
{
    open_both();
    everywhere(plain);
}

static void under_bubblewrap(void)
{
    open_both();
    everywhere(isolated);
}

/* Files and processes of the machine: only bubblewrap hides these. */
static void nothing_to_see(void)
{
    open_both();
    EXPECT_ALL(
        isolated,
        {"open('/tmp/x', 'w').write('1'); assert open('/tmp/x').read() == '1'", SANDBOX_PASSED,
         NULL},
        {"import os; assert os.listdir('/tmp') == []", SANDBOX_PASSED, NULL},
        {"import os; assert os.getcwd() == '/tmp'", SANDBOX_PASSED, NULL},
        {"open('/usr/x', 'w')", SANDBOX_FAILED, "Read-only"},
        {"open('/x', 'w')", SANDBOX_FAILED, "Read-only"},
        {"open('/dev/shm/x', 'w')", SANDBOX_FAILED, "Read-only"},
        {"open('/etc/passwd')", SANDBOX_FAILED, "FileNotFoundError"},
        {"import os; assert not os.path.exists('/home') and not os.path.exists('/root')",
         SANDBOX_PASSED, NULL},
        {"import os; assert len([p for p in os.listdir('/proc') if p.isdigit()]) <= 2",
         SANDBOX_PASSED, NULL},
        {"open('/proc/sys/vm/swappiness', 'w')", SANDBOX_FAILED, "Read-only"},
        {"open('/proc/sysrq-trigger', 'w')", SANDBOX_FAILED, NULL},
        {"import os\nfor i in range(100): open(f'/tmp/{i}', 'wb').write(bytes(1 << 20))",
         SANDBOX_FAILED, "No space left"},
        {"import os; assert [e for e in os.environ if 'ASSAY' in e] == []", SANDBOX_PASSED, NULL});
    if (isolated)
        EXPECT(sandbox_isolates(isolated));
    EXPECT(!sandbox_isolates(plain));
}

static void output_is_kept_from_its_end(void)
{
    open_both();
    struct sandbox_result r =
        run(plain, "for i in range(200000): print(i)\nprint('the end')", sandbox_limits);
    EXPECT_INT(r.verdict, SANDBOX_PASSED);
    EXPECT(r.output.n == sandbox_limits.output_bytes);
    EXPECT(str_ends(r.output, STR("199999\nthe end\n")));
    r = run(plain, "import sys; sys.stdout.buffer.write(b'\\xff\\xfe')", quick);
    EXPECT_STR(r.output, STR("\xef\xbf\xbd\xef\xbf\xbd"));
    const struct sandbox *both[] = {plain, isolated};
    for (int i = 0; i < 2 && both[i]; i++) {
        r = run(both[i], "while True: print('x' * 1000)", quick);
        EXPECT_INT(r.verdict, SANDBOX_TIMED_OUT);
        EXPECT(r.output.n <= quick.output_bytes + 2);
    }
}

/* How many of n copies pass, and how long all took. */
static int64_t count(const struct sandbox *s, const char *program, size_t n,
                     struct sandbox_limits limits, double *took_s)
{
    struct error err;
    struct str programs[8];
    int64_t passed = -1;
    double began = now_seconds();
    for (size_t i = 0; i < n; i++)
        programs[i] = str_of(program);
    EXPECT_OK(sandbox_count(s, programs, n, &limits, &passed, &err), &err);
    *took_s = now_seconds() - began;
    return passed;
}

/* Programs that work are not ended by the clock that ends those that sleep, though there are more
 * of them than cores. */
static void load_changes_no_verdict(void)
{
    struct sandbox_limits l = quick;
    double took_s;
    open_both();
    l.idle_s = 1;
    const struct sandbox *all[] = {plain, isolated};
    for (int i = 0; i < 2; i++) {
        struct sandbox *crowded = NULL;
        struct error err;
        if (!all[i])
            continue;
        struct sandbox_options o = {
            .n_workers = 6, .allow_unsandboxed = true, .bwrap = i ? NULL : "/nonexistent/bwrap"};
        EXPECT_OK(sandbox_open(&o, &crowded, &err), &err);
        const char *work = "import time\ntime.sleep(0.3)\nwhile time.process_time() < 0.5: pass";
        EXPECT_INT(count(crowded, work, 6, l, &took_s), 6);
        EXPECT_INT(count(crowded, "import time; time.sleep(60)", 2, l, &took_s), 0);
        EXPECT(took_s >= 1 && took_s < 20);
        sandbox_close(crowded);
    }
}

static void programs_take_turns(void)
{
    struct sandbox *one = NULL;
    struct error err;
    double took_s;
    struct sandbox_options o = {
        .n_workers = 1, .allow_unsandboxed = true, .bwrap = "/nonexistent/bwrap"};
    EXPECT_OK(sandbox_open(&o, &one, &err), &err);
    EXPECT_INT(count(one, "import time; time.sleep(0.2)", 4, quick, &took_s), 4);
    EXPECT(took_s >= 0.8);
    sandbox_close(one);
    o.n_workers = 8; /* as the other tests have it */
    EXPECT_OK(sandbox_open(&o, &one, &err), &err);
    EXPECT_INT(count(one, "pass", 0, quick, &took_s), 0);
    sandbox_close(one);
}

static void long_programs(void)
{
    open_both();
    struct buf b = {0};
    for (int i = 0; i < 20000; i++)
        buf_printf(&b, "x%d = %d\n", i, i);
    struct error err;
    struct sandbox_result r = {.verdict = SANDBOX_FAILED};
    EXPECT_OK(sandbox_run(plain, &arena, buf_view(&b), &sandbox_limits, &r, &err), &err);
    EXPECT_INT(r.verdict, SANDBOX_PASSED);
    buf_free(&b);
}

static void descriptors_do_not_leak(void)
{
    open_both();
    int before = open("/dev/null", O_RDONLY), secret = open("/dev/null", O_RDONLY);
    for (int i = 0; i < 20; i++)
        run(plain,
            "import os; assert sorted(int(f) for f in os.listdir('/proc/self/fd'))[:5] == "
            "[0, 1, 2, 3, 4]",
            quick);
    struct sandbox_result r =
        run(plain,
            "import os\nfor i in range(5, 64):\n  try: os.fstat(i)\n  except OSError: pass\n"
            "  else: raise Exception(i)",
            quick);
    EXPECT_INT(r.verdict, SANDBOX_PASSED);
    EXPECT_STR(r.output, STR(""));
    int after = open("/dev/null", O_RDONLY);
    EXPECT_INT(after, secret + 1);
    close(before), close(secret), close(after);
}

static void refusals(void)
{
    struct error err;
    struct sandbox *s = NULL;
    EXPECT_ERROR(sandbox_open(&(struct sandbox_options){.bwrap = "/nonexistent/bwrap"}, &s, &err),
                 &err, E_UNSUPPORTED, "apt install bubblewrap");
    EXPECT_ERROR(sandbox_open(&(struct sandbox_options){.bwrap = "/bin/false"}, &s, &err), &err,
                 E_UNSUPPORTED, "user namespaces");
    EXPECT(strstr(err.msg, "--allow-unsandboxed") != NULL);
    EXPECT_ERROR(sandbox_open(&(struct sandbox_options){.python = "/nonexistent/python"}, &s, &err),
                 &err, E_UNSUPPORTED, "apt install python3");
    EXPECT_ERROR(
        sandbox_open(&(struct sandbox_options){.python = "/bin/false", .allow_unsandboxed = true},
                     &s, &err),
        &err, E_UNSUPPORTED, "/bin/false");
    EXPECT(s == NULL);
    sandbox_close(NULL);
}

static void closes(void)
{
    sandbox_close(isolated), sandbox_close(plain);
    arena_free(&arena);
}

CHECK_MAIN({"verdicts without bubblewrap", alone}, {"verdicts under bubblewrap", under_bubblewrap},
           {"nothing of the machine is seen", nothing_to_see},
           {"the end of the output is kept", output_is_kept_from_its_end},
           {"the machine's load", load_changes_no_verdict}, {"turns", programs_take_turns},
           {"long programs", long_programs}, {"descriptors do not leak", descriptors_do_not_leak},
           {"refusals", refusals}, {"closes", closes})
