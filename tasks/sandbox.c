/* sandbox.c: one child process a program, under bubblewrap, watched by the calling thread.
 *
 *     descriptors of the child    0  memory: the word, two factors, their product, the program,
 *                                    each but the last with a newline
 *                                 1, 2  pipe: what is kept of its output
 *                                 3  pipe: the word comes back when the program has passed
 *                                 4  memory: the system-call filter, read by bwrap */
#include "tasks/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/pool.h"
#include "base/utf8.h"
#include "tasks/sandbox_clock.h"
#include "tasks/sandbox_filter.h"

const struct sandbox_limits sandbox_limits = {
    .cpu_s = 3,
    .idle_s = 20,
    .memory_bytes = (size_t)1 << 30,
    .disk_bytes = (size_t)64 << 20,
    .output_bytes = 16 << 10,
    .n_files = 64,
};

struct sandbox {
    struct arena arena; /* the strings */
    const char *bwrap;  /* NULL: without */
    const char *python;
    const char *prefix; /* folder that holds the interpreter when it is not below /usr, or NULL */
    struct sandbox_filter filter;
};

/* As execution.py: an empty name space, so that __name__ is "builtins". What it needs afterwards
 * it takes first, since the program may replace anything. */
static const char judge[] =
    "import os, sys, traceback\n"
    "def judge(write=os.write, leave=os._exit, show=traceback.print_exc, int=int):\n"
    "    with open(0, 'rb', closefd=False) as f:\n"
    "        word, x, y, product, program = f.read().split(b'\\n', 4)\n"
    "    null = os.open(os.devnull, os.O_RDONLY)\n"
    "    os.dup2(null, 0), os.close(null)\n"
    "    passed = False\n"
    "    try:\n"
    "        exec(compile(program.decode(), '<program>', 'exec', dont_inherit=True), {})\n"
    "        passed = True\n"
    "        sys.stdout.flush()\n"
    "    except BaseException:\n"
    "        if not passed:\n"
    "            try: show()\n"
    "            finally: leave(1)\n"
    "    if int(x) * int(y) == int(product): write(3, word)\n"
    "    leave(0)\n"
    "judge()\n";

/* ---- the command line ---- */

struct command {
    const char *argv[96];
    int n;
    char disk[32];
};

static void say(struct command *c, const char *word)
{
    c->argv[c->n++] = word;
}

static void say_all(struct command *c, const char *const *words)
{
    while (*words)
        say(c, *words++);
}

static void bind(struct command *c, const char *how, const char *path)
{
    say_all(c, (const char *const[]){how, path, path, NULL});
}

/* Mounts in bwrap's order: the last ones make read-only what --dev and the root leave writable. */
static void say_bwrap(struct command *c, const struct sandbox *s, const struct sandbox_limits *l)
{
    static const char *const system[] = {
        "/lib", "/lib32", "/lib64", "/bin", "/etc/ld.so.cache", "/etc/alternatives", NULL,
    };
    snprintf(c->disk, sizeof c->disk, "%zu", l->disk_bytes);
    say_all(c, (const char *const[]){s->bwrap, "--unshare-all", "--die-with-parent",
                                     "--new-session", "--cap-drop", "ALL", NULL});
    bind(c, "--ro-bind", "/usr");
    for (int i = 0; system[i]; i++)
        bind(c, "--ro-bind-try", system[i]);
    if (s->prefix)
        bind(c, "--ro-bind", s->prefix);
    say_all(c, (const char *const[]){"--proc",       "/proc", "--dev",        "/dev",
                                     "--size",       c->disk, "--tmpfs",      "/tmp",
                                     "--chdir",      "/tmp",  "--remount-ro", "/dev",
                                     "--remount-ro", "/proc", "--remount-ro", "/",
                                     "--seccomp",    "4",     "--",           NULL});
}

/* -s: no packages from a home folder; -B: no .pyc files. */
static void command_fill(struct command *c, const struct sandbox *s, const struct sandbox_limits *l)
{
    c->n = 0;
    if (s->bwrap)
        say_bwrap(c, s, l);
    say_all(c, (const char *const[]){s->python, "-sB", "-c", judge, NULL});
    say(c, NULL);
}

/* The hash seed fixes the order of sets, and so the verdict on programs that lean on it. Numeric
 * libraries start a thread a core, whose stacks would use up the memory limit on large machines. */
static const char *const child_environment[] = {
    "PATH=/usr/bin:/bin",
    "HOME=/tmp",
    "LANG=C.UTF-8",
    "PYTHONHASHSEED=0",
    "PYTHONIOENCODING=utf-8:backslashreplace",
    "OMP_NUM_THREADS=1",
    "OPENBLAS_NUM_THREADS=1",
    NULL,
};

/* ---- taking turns ---- */

/* Cores are the machine's, not a task's: one count for all sandboxes of the process. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t freed;
    int running, most;
} turns = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, 1};

static void turns_set(int most)
{
    pthread_mutex_lock(&turns.lock);
    turns.most = most > 0 ? most : limits_cores();
    pthread_cond_broadcast(&turns.freed);
    pthread_mutex_unlock(&turns.lock);
}

static int turns_most(void)
{
    pthread_mutex_lock(&turns.lock);
    int most = turns.most;
    pthread_mutex_unlock(&turns.lock);
    return most;
}

static void turn_take(void)
{
    pthread_mutex_lock(&turns.lock);
    while (turns.running >= turns.most)
        pthread_cond_wait(&turns.freed, &turns.lock);
    turns.running++;
    pthread_mutex_unlock(&turns.lock);
}

static void turn_give(void)
{
    pthread_mutex_lock(&turns.lock);
    turns.running--;
    pthread_cond_signal(&turns.freed);
    pthread_mutex_unlock(&turns.lock);
}

/* ---- starting ---- */

struct child {
    pid_t pid;
    int output, verdict; /* our ends of the pipes; -1 once at their end */
    char word[33];
};

enum { N_CHILD_FDS = 5 };

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* An anonymous file with these contents, read from its start. -1 and errno. */
static int memory_file(const struct str *parts, int n)
{
    int fd = memfd_create("assay", MFD_CLOEXEC);
    for (int i = 0; fd >= 0 && i < n; i++)
        for (size_t at = 0; at < parts[i].n;) {
            ssize_t k = write(fd, parts[i].p + at, parts[i].n - at);
            if (k < 0 && errno == EINTR)
                continue;
            if (k <= 0) {
                close_fd(&fd);
                return -1;
            }
            at += (size_t)k;
        }
    if (fd >= 0)
        lseek(fd, 0, SEEK_SET);
    return fd;
}

static void limit(int what, size_t soft, size_t hard)
{
    setrlimit((__rlimit_resource_t)what, &(struct rlimit){.rlim_cur = soft, .rlim_max = hard});
}

/* Runs in the forked child of a program with threads: nothing here may lock or allocate. */
static void become(const struct command *c, const int fds[N_CHILD_FDS], const struct sandbox *s,
                   const struct sandbox_limits *l, bool filtered)
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (int i = 0; i < N_CHILD_FDS; i++)
        if (dup2(fds[i], i) < 0)
            _exit(127);
    syscall(SYS_close_range, N_CHILD_FDS, ~0u, 0);
    if (chdir("/tmp") < 0)
        _exit(127);
    umask(077);
    limit(RLIMIT_CORE, 0, 0);
    limit(RLIMIT_CPU, (size_t)l->cpu_s, (size_t)l->cpu_s + 1);
    limit(RLIMIT_AS, l->memory_bytes, l->memory_bytes);
    limit(RLIMIT_FSIZE, l->disk_bytes, l->disk_bytes);
    limit(RLIMIT_NOFILE, (size_t)l->n_files, (size_t)l->n_files);
    if (filtered) {
        struct sock_fprog program = {s->filter.n, (struct sock_filter *)s->filter.code};
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
            prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
            _exit(127);
    }
    execve(c->argv[0], (char *const *)c->argv, (char *const *)child_environment);
    _exit(127);
}

/* Moves a descriptor to 10 or above, out of the way of the child's 0 to 4. */
static int lift(int fd)
{
    int high = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 10);
    if (fd >= 0)
        close(fd);
    return high;
}

/* What the judge reads before the program. In a control run the product is wrong. */
static int draw_secrets(bool control, char word[33], char secrets[128])
{
    unsigned char random[16];
    uint32_t factors[2], off;
    if (getrandom(random, sizeof random, 0) != sizeof random ||
        getrandom(factors, sizeof factors, 0) != sizeof factors ||
        getrandom(&off, sizeof off, 0) != sizeof off)
        return -1;
    for (int i = 0; i < 16; i++)
        snprintf(word + 2 * i, 3, "%02x", random[i]);
    uint64_t product = (uint64_t)factors[0] * factors[1];
    snprintf(secrets, 128, "%s\n%u\n%u\n%llu\n", word, factors[0], factors[1],
             (unsigned long long)(control ? product ^ (1 + off % 65535) : product));
    return 0;
}

static int start(const struct sandbox *s, struct str program, const struct sandbox_limits *l,
                 bool control, struct child *c)
{
    int output[2] = {-1, -1}, verdict[2] = {-1, -1}, fds[N_CHILD_FDS] = {-1, -1, -1, -1, -1};
    char secrets[128];
    struct command command;
    c->pid = -1;
    if (draw_secrets(control, c->word, secrets) < 0 || pipe2(output, O_CLOEXEC) < 0 ||
        pipe2(verdict, O_CLOEXEC) < 0)
        goto out;
    command_fill(&command, s, l);
    fds[0] = lift(memory_file((struct str[]){str_of(secrets), program}, 2));
    fds[1] = fds[2] = output[1] = lift(output[1]);
    fds[3] = verdict[1] = lift(verdict[1]);
    struct str code = {(const char *)s->filter.code, s->filter.n * sizeof *s->filter.code};
    fds[4] = lift(memory_file(&code, 1));
    if (fds[0] >= 0 && fds[1] >= 0 && fds[3] >= 0 && fds[4] >= 0)
        c->pid = fork();
    if (c->pid == 0)
        become(&command, fds, s, l, !s->bwrap && s->filter.n > 0);
out:;
    int saved = errno;
    close_fd(&fds[0]), close_fd(&fds[4]), close_fd(&output[1]), close_fd(&verdict[1]);
    if (c->pid < 0)
        close_fd(&output[0]), close_fd(&verdict[0]);
    c->output = output[0], c->verdict = verdict[0];
    errno = saved;
    return c->pid < 0 ? -1 : 0;
}

/* ---- watching ---- */

/* Reads what is there; what goes beyond twice `keep` pushes the oldest bytes out. */
static void drain(int *fd, struct buf *b, size_t keep)
{
    char block[4096];
    ssize_t n = read(*fd, block, sizeof block);
    if (n < 0 && errno == EINTR)
        return;
    if (n <= 0) {
        close_fd(fd);
        return;
    }
    buf_add(b, block, (size_t)n);
    if (b->n > 2 * keep) {
        memmove(b->p, b->p + b->n - keep, keep);
        b->n = keep;
        b->p[keep] = '\0';
    }
}

struct watched {
    struct buf output, verdict;
    int status;
    bool late; /* it slept too long */
    double wall_s;
};

/* True once the child has ended. */
static bool reap(struct child *c, struct watched *w, int flags)
{
    pid_t pid;
    do
        pid = waitpid(c->pid, &w->status, flags);
    while (pid < 0 && errno == EINTR);
    return pid != 0;
}

/* The time that it may still sleep. */
static double patience_s(const struct child *c, const struct sandbox_limits *l, double began)
{
    return l->idle_s - (now_seconds() - began - sandbox_busy_s(c->pid));
}

/* Until both pipes are at their end and the child has gone, or it has slept too long. bwrap holds
 * the pipes open as long as anything runs inside; without it a program may close them and run on,
 * which is then looked at every few milliseconds. */
static void watch(struct child *c, const struct sandbox_limits *l, struct watched *w)
{
    double began = now_seconds(), end = began + l->idle_s;
    bool gone = false;
    while (!gone) {
        double left = end - now_seconds();
        if (left <= 0) {
            left = patience_s(c, l, began);
            if (left <= 0)
                break;
            end = now_seconds() + left;
        }
        struct pollfd fds[2] = {{.fd = c->output, .events = POLLIN},
                                {.fd = c->verdict, .events = POLLIN}};
        bool open = c->output >= 0 || c->verdict >= 0;
        int ready = poll(fds, 2, open ? (int)ceil(fmin(left, 1) * 1000) : 2);
        if (ready > 0 && fds[0].revents)
            drain(&c->output, &w->output, l->output_bytes);
        if (ready > 0 && fds[1].revents)
            drain(&c->verdict, &w->verdict, sizeof c->word);
        if (c->output < 0 && c->verdict < 0)
            gone = reap(c, w, WNOHANG);
    }
    if (!gone) {
        w->late = true;
        kill(-c->pid, SIGKILL);
        kill(c->pid, SIGKILL);
        reap(c, w, 0);
    }
    w->wall_s = now_seconds() - began;
    close_fd(&c->output);
    close_fd(&c->verdict);
}

/* The signal that ended the program, or 0; bwrap passes a signal on as an exit status. */
static int ended_by(int status)
{
    if (WIFSIGNALED(status))
        return WTERMSIG(status);
    return WIFEXITED(status) && WEXITSTATUS(status) > 128 ? WEXITSTATUS(status) - 128 : 0;
}

/* A program may catch the signal of the soft limit; that of the hard one, a second later, kills. */
static bool out_of_time(const struct watched *w, const struct sandbox_limits *l)
{
    int by = ended_by(w->status);
    return w->late || by == SIGXCPU || (by == SIGKILL && w->wall_s > l->cpu_s);
}

static int run_once(const struct sandbox *s, struct arena *a, struct str program,
                    const struct sandbox_limits *l, bool control, struct sandbox_result *ret,
                    struct error *err)
{
    struct child c;
    struct watched w = {.status = -1};
    int r = start(s, program, l, control, &c), why = errno;
    if (r == 0)
        watch(&c, l, &w);
    if (r < 0)
        return error_set(err, E_IO,
                         "cannot start a process for a model-written program: %s; fewer of them at "
                         "a time (--score_threads) or more free memory may help",
                         strerror(why));

    size_t cut = w.output.n > l->output_bytes ? w.output.n - l->output_bytes : 0;
    struct str output = str_slice(buf_view(&w.output), cut, w.output.n);
    bool said = str_eqz(buf_view(&w.verdict), c.word);
    ret->output = str_copy(a, utf8_replace_invalid(a, output));
    ret->verdict = said ? SANDBOX_PASSED : out_of_time(&w, l) ? SANDBOX_TIMED_OUT : SANDBOX_FAILED;
    buf_free(&w.output);
    buf_free(&w.verdict);
    return 0;
}

int sandbox_run(const struct sandbox *s, struct arena *a, struct str program,
                const struct sandbox_limits *l, struct sandbox_result *ret, struct error *err)
{
    struct sandbox_result control = {.verdict = SANDBOX_FAILED};
    turn_take();
    int r = run_once(s, a, program, l, false, ret, err);
    if (r == 0 && ret->verdict == SANDBOX_PASSED)
        r = run_once(s, a, program, l, true, &control, err);
    turn_give();
    if (r == 0 && control.verdict == SANDBOX_PASSED)
        *ret = (struct sandbox_result){
            SANDBOX_FAILED, STR("the program reported its own success, whether or not it had any")};
    return r;
}

/* ---- many programs ---- */

struct batch {
    const struct sandbox *s;
    const struct str *programs;
    const struct sandbox_limits *limits;
    pthread_mutex_t lock; /* over what follows */
    int64_t passed;
    int error;
    struct error err; /* the first */
};

static void run_part(void *arg, size_t part, int thread)
{
    struct batch *b = arg;
    struct arena a = {0};
    struct error err;
    struct sandbox_result verdict = {.verdict = SANDBOX_FAILED};
    (void)thread;
    int r = sandbox_run(b->s, &a, b->programs[part], b->limits, &verdict, &err);
    pthread_mutex_lock(&b->lock);
    b->passed += r == 0 && verdict.verdict == SANDBOX_PASSED;
    if (r < 0 && b->error == 0) {
        b->error = r;
        b->err = err;
    }
    pthread_mutex_unlock(&b->lock);
    arena_free(&a);
}

int sandbox_count(const struct sandbox *s, const struct str *programs, size_t n,
                  const struct sandbox_limits *l, int64_t *ret_passed, struct error *err)
{
    struct batch b = {s, programs, l, PTHREAD_MUTEX_INITIALIZER, 0, 0, {0}};
    int most = turns_most();
    struct pool *pool = pool_new(n < (size_t)most ? (int)n + (n == 0) : most);
    pool_run(pool, n, run_part, &b);
    pool_free(pool);
    pthread_mutex_destroy(&b.lock);
    if (b.error) {
        *err = b.err;
        return b.error;
    }
    *ret_passed = b.passed;
    return 0;
}

/* ---- what the machine has ---- */

/* The executable file `name` on PATH, or NULL. */
static const char *find_program(struct arena *a, const char *name)
{
    const char *path = getenv("PATH");
    for (const char *p = path ? path : "/usr/bin:/bin"; *p;) {
        size_t n = strcspn(p, ":");
        const char *file = arena_printf(a, "%.*s/%s", (int)n, p, name);
        if (n > 0 && p[0] == '/' && access(file, X_OK) == 0)
            return file;
        p += n + (p[n] == ':');
    }
    return NULL;
}

/* What is called python3 on PATH may be a script that chooses one (pyenv), or a link into a
 * virtual environment: ask it where the interpreter really is. */
static bool ask_python(struct sandbox *s)
{
    char file[4096] = "", prefix[4096] = "";
    FILE *f = popen("python3 -I -c 'import os, sys; print(os.path.realpath(sys.executable)); "
                    "print(os.path.realpath(sys.base_prefix))' 2>/dev/null </dev/null",
                    "re");
    if (!f)
        return false;
    bool ok = fgets(file, sizeof file, f) && fgets(prefix, sizeof prefix, f);
    ok = pclose(f) == 0 && ok && file[0] == '/' && prefix[0] == '/';
    if (ok) {
        s->python = arena_copy(&s->arena, file, strcspn(file, "\n"));
        s->prefix = arena_copy(&s->arena, prefix, strcspn(prefix, "\n"));
    }
    return ok;
}

static bool find_python(struct sandbox *s, const char *given)
{
    static const char *const usual[] = {"/usr/bin/python3", "/usr/local/bin/python3"};
    if (given) {
        s->python = arena_copy(&s->arena, given, strlen(given));
        return access(given, X_OK) == 0;
    }
    for (int i = 0; i < 2; i++)
        if (access(usual[i], X_OK) == 0) {
            s->python = usual[i];
            return true;
        }
    return ask_python(s);
}

/* Runs an empty program; on failure `why` gets the first line of what bwrap or Python said. */
static bool works(const struct sandbox *s, char why[300])
{
    struct arena a = {0};
    struct error err = {0};
    struct sandbox_result r;
    bool ok = sandbox_run(s, &a, STR("pass\n"), &sandbox_limits, &r, &err) == 0;
    if (!ok)
        snprintf(why, 300, "%.250s", err.msg);
    else
        snprintf(why, 300, "%.*s", r.output.n ? (int)strcspn(r.output.p, "\n") : 16,
                 r.output.n ? r.output.p : "it said nothing.");
    ok = ok && r.verdict == SANDBOX_PASSED;
    arena_free(&a);
    return ok;
}

#define REFUSAL "cannot run the programs that the model writes: "
#define RISK                                                                                       \
    ", or, where nothing on this machine is worth protecting, let them run without isolation "     \
    "(--allow-unsandboxed)"

static int open_isolated(struct sandbox *s, const char *bwrap, struct error *err)
{
    char why[300];
    s->bwrap =
        bwrap ? arena_copy(&s->arena, bwrap, strlen(bwrap)) : find_program(&s->arena, "bwrap");
    if (!s->bwrap || access(s->bwrap, X_OK) < 0)
        return error_set(err, E_UNSUPPORTED,
                         REFUSAL "bubblewrap is not installed (no bwrap on PATH); install it (apt "
                                 "install bubblewrap)" RISK);
    if (s->filter.n == 0)
        return error_set(err, E_UNSUPPORTED,
                         REFUSAL "no system-call filter is known for this processor; use an "
                                 "x86-64, arm64 or riscv64 machine" RISK);
    if (works(s, why))
        return 0;
    return error_set(err, E_UNSUPPORTED,
                     REFUSAL "%s does not start (%s); it needs bubblewrap 0.7 or newer, and user "
                             "namespaces: try sysctl -w "
                             "kernel.unprivileged_userns_clone=1 or "
                             "kernel.apparmor_restrict_unprivileged_userns=0, and in a container "
                             "--security-opt seccomp=unconfined" RISK,
                     s->bwrap, why);
}

static int open_plain(struct sandbox *s, struct error *err)
{
    char why[300];
    s->bwrap = NULL;
    if (works(s, why))
        return 0;
    return error_set(err, E_UNSUPPORTED, REFUSAL "%s does not run an empty program (%s)", s->python,
                     why);
}

int sandbox_open(const struct sandbox_options *o, struct sandbox **ret, struct error *err)
{
    struct sandbox *s = mem_alloc(1, sizeof *s);
    sandbox_filter_fill(&s->filter);
    turns_set(o->n_workers);
    int r;
    if (!find_python(s, o->python))
        r = error_set(err, E_UNSUPPORTED,
                      REFUSAL "there is no python3; install it (apt install python3)");
    else if ((r = open_isolated(s, o->bwrap, err)) < 0 && o->allow_unsandboxed)
        r = open_plain(s, err);
    if (r == 0)
        *ret = s;
    else
        sandbox_close(s);
    return r;
}

void sandbox_close(struct sandbox *s)
{
    if (!s)
        return;
    arena_free(&s->arena);
    free(s);
}

bool sandbox_isolates(const struct sandbox *s)
{
    return s->bwrap != NULL;
}
