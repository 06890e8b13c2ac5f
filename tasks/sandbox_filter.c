/* sandbox_filter.c: a seccomp program from a table of refused calls.
 *
 * It is a list of what is refused, not of what is allowed: CPython makes different calls on each
 * system and version, and what isolates is bubblewrap. The filter's part is to keep the program one
 * process, so that its CPU and memory limits hold for all it does and nothing outlives it. */
#include "tasks/sandbox_filter.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/syscall.h>

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
#elif defined(__riscv) && __riscv_xlen == 64
#define ARCH AUDIT_ARCH_RISCV64
#endif

#ifdef ARCH

static const struct {
    unsigned nr;
    unsigned error;
} refused[] = {
/* new processes; clone is looked at below, for threads use it too */
#ifdef SYS_fork
    {SYS_fork, EPERM},
    {SYS_vfork, EPERM},
#endif
    {SYS_clone3, ENOSYS}, /* its flags lie in memory; the C library then falls back to clone */
    /* other processes */
    {SYS_kill, EPERM},
    {SYS_tkill, EPERM},
    {SYS_tgkill, EPERM},
    {SYS_rt_sigqueueinfo, EPERM},
    {SYS_rt_tgsigqueueinfo, EPERM},
    {SYS_ptrace, EPERM},
    {SYS_process_vm_readv, EPERM},
    {SYS_process_vm_writev, EPERM},
    {SYS_pidfd_open, EPERM},
    {SYS_pidfd_send_signal, EPERM},
    /* the network and the system */
    {SYS_socket, EPERM},
    {SYS_unshare, EPERM},
    {SYS_setns, EPERM},
    {SYS_mount, EPERM},
    {SYS_umount2, EPERM},
    {SYS_pivot_root, EPERM},
    {SYS_chroot, EPERM},
    {SYS_add_key, EPERM},
    {SYS_request_key, EPERM},
    {SYS_keyctl, EPERM},
    /* large and rarely needed parts of the kernel */
    {SYS_bpf, EPERM},
    {SYS_perf_event_open, EPERM},
    {SYS_userfaultfd, EPERM},
    {SYS_io_uring_setup, ENOSYS},
};
enum { N_REFUSED = sizeof refused / sizeof *refused };
_Static_assert(2 * N_REFUSED + 12 <= SANDBOX_FILTER_MAX, "the filter's array is too small");

static void emit(struct sandbox_filter *f, struct sock_filter op)
{
    f->code[f->n++] = op;
}

static void load(struct sandbox_filter *f, size_t offset)
{
    emit(f, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (unsigned)offset));
}

static void answer(struct sandbox_filter *f, unsigned what)
{
    emit(f, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, what));
}

/* When `test` (BPF_JEQ, BPF_JGE, BPF_JSET) of the loaded word against k fails, skips `n`. */
static void unless_skip(struct sandbox_filter *f, unsigned test, unsigned k, unsigned char n)
{
    emit(f, (struct sock_filter)BPF_JUMP(BPF_JMP | test | BPF_K, k, 0, n));
}

bool sandbox_filter_fill(struct sandbox_filter *f)
{
    f->n = 0;
    load(f, offsetof(struct seccomp_data, arch));
    emit(f, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCH, 1, 0));
    answer(f, SECCOMP_RET_KILL_PROCESS);
    load(f, offsetof(struct seccomp_data, nr));
    unless_skip(f, BPF_JGE, 0x40000000, 1); /* x86-64's x32 calls, which have other numbers */
    answer(f, SECCOMP_RET_ERRNO | ENOSYS);
    for (int i = 0; i < N_REFUSED; i++) {
        unless_skip(f, BPF_JEQ, refused[i].nr, 1);
        answer(f, SECCOMP_RET_ERRNO | refused[i].error);
    }
    unless_skip(f, BPF_JEQ, SYS_clone, 3);
    load(f, offsetof(struct seccomp_data, args[0])); /* the low half, on these processors */
    emit(f, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, CLONE_THREAD, 1, 0));
    answer(f, SECCOMP_RET_ERRNO | EPERM);
    answer(f, SECCOMP_RET_ALLOW);
    return true;
}

#else

bool sandbox_filter_fill(struct sandbox_filter *f)
{
    f->n = 0;
    return false;
}

#endif
