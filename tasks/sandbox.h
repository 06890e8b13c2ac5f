/* sandbox.h: runs a Python program that a model wrote, and says whether it ran to its end.
 *
 * The verdict is that of HumanEval's execution.py and of the code_eval metric that
 * lm-evaluation-harness uses: a program passes when exec(program, {}) returns within its time; any
 * exception, SystemExit included, a signal, or running out of a limit is a failure.
 *
 * Under bubblewrap the program sees the system's /usr read-only, no other file of the machine, no
 * network, a process table of its own and a /tmp that vanishes with it. With or without bubblewrap
 * a system-call filter keeps it one process (threads are allowed), so that limits on CPU time and
 * memory are limits on all it does, and keeps it from signalling, tracing and opening sockets.
 *
 * Programs run side by side, each with namespaces and limits of its own; the process runs at most
 * one a core at a time, unless told otherwise, and sandbox_run waits for its turn.
 *
 * Two differences from execution.py, on purpose. The 3 seconds are CPU time, and the clock that
 * ends what sleeps stands still while the program works or waits for a core: a loaded machine does
 * not turn a right answer into a wrong one. And a program cannot pass by answering for the few
 * lines that judge it, though it shares their interpreter. They report success by a word drawn at
 * random, so that os._exit(0) is no pass; and what passes is run once more as a control, in which
 * the judge, which checks a random product first, has a wrong one and stays silent. A program that
 * finds the word (in the interpreter's frames, in memory) and sends it itself passes the control
 * too, and that is a failure. */
#ifndef ASSAY_TASKS_SANDBOX_H
#define ASSAY_TASKS_SANDBOX_H

#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"

struct sandbox; /* what this machine can do; immutable, any number of threads may run programs */

struct sandbox_options {
    bool allow_unsandboxed; /* where bubblewrap does not work, do without it */
    int n_workers;      /* programs at a time, of all sandboxes of this process; 0: one a core */
    const char *bwrap;  /* NULL: "bwrap" on PATH */
    const char *python; /* NULL: the system's python3, else the one on PATH */
};

/* Looks for bubblewrap and Python and runs an empty program to see that they work (about 50 ms).
 * E_UNSUPPORTED: they do not; err says how to get them. */
int sandbox_open(const struct sandbox_options *o, struct sandbox **ret, struct error *err);
void sandbox_close(struct sandbox *s); /* takes NULL */

bool sandbox_isolates(const struct sandbox *s); /* bubblewrap is used */

struct sandbox_limits {
    int cpu_s;           /* of all its threads */
    int idle_s;          /* of the wall clock, less what it worked or waited for a core */
    size_t memory_bytes; /* address space */
    size_t disk_bytes;   /* /tmp in all, and one file */
    size_t output_bytes; /* kept of what it prints: the last so many */
    int n_files;         /* open at once */
};
extern const struct sandbox_limits sandbox_limits; /* 3 s, 20 s, 1 GiB, 64 MiB, 16 KiB, 64 */

enum sandbox_verdict {
    SANDBOX_PASSED,
    SANDBOX_FAILED,
    SANDBOX_TIMED_OUT,
};

struct sandbox_result {
    enum sandbox_verdict verdict;
    struct str output; /* stdout and stderr as they came, valid UTF-8, in the arena */
};

/* E_IO: no process could be started; a failing program is no error. */
int sandbox_run(const struct sandbox *s, struct arena *a, struct str program,
                const struct sandbox_limits *limits, struct sandbox_result *ret, struct error *err);

/* How many of the programs pass, run side by side. */
int sandbox_count(const struct sandbox *s, const struct str *programs, size_t n,
                  const struct sandbox_limits *limits, int64_t *ret_passed, struct error *err);

#endif
