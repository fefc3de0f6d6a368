"""Build the two seccomp filters as BPF files. Needs ``pip install pyseccomp`` and libseccomp.

Run it on x86-64 and commit what it writes; running the sandbox needs neither of the two:

    python evaluation/sandbox/filters/make_filters.py

Stage 1 is loaded by bubblewrap before the interpreter starts. Stage 2 is loaded by the runner,
on all its threads, when everything is imported and before it touches a byte of the upload.
Both are lists of what is allowed; everything else fails with EPERM.
"""

from __future__ import annotations

import errno
from pathlib import Path

import pyseccomp

CLONE_THREAD = 0x10000
# CLONE_NEWTIME, NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET.
NAMESPACES = (
    0x80 | 0x20000 | 0x2000000 | 0x4000000 | 0x8000000 | 0x10000000 | 0x20000000 | 0x40000000
)

# What a running network needs: memory, threads, time, and descriptors that are already open.
RUNNING = """
arch_prctl brk clock_getres clock_gettime clock_nanosleep close dup dup2 dup3 epoll_create1
epoll_ctl epoll_pwait epoll_wait eventfd2 exit exit_group fcntl fstat futex futex_waitv
get_mempolicy getcpu getcwd getegid geteuid getgid getpid getppid getrandom getrlimit getrusage
gettid gettimeofday getuid lseek madvise mbind membarrier mincore mmap mprotect mremap munmap
nanosleep poll ppoll pread64 preadv pselect6 pwrite64 read readv recvfrom recvmsg restart_syscall
rseq rt_sigaction rt_sigprocmask rt_sigreturn rt_sigtimedwait sched_getaffinity sched_getparam
sched_getscheduler sched_setaffinity sched_yield select sendmsg sendto set_robust_list
set_tid_address sigaltstack sysinfo tgkill time times uname write writev
"""

# Looking at names. Libraries ask even when they don't need the answer; nothing can be opened.
LOOKING = "access fadvise64 fstatfs getdents64 lstat newfstatat stat statfs statx umask"

# Starting an interpreter and importing: bubblewrap's own exec, files, limits, the second filter.
STARTING = """
chdir chmod execve faccessat faccessat2 fchmod fchown fsync ftruncate getsockname getsockopt ioctl
linkat mkdir mkdirat open openat pipe2 prctl prlimit64 readlink readlinkat rename rmdir seccomp
setrlimit unlink unlinkat wait4 waitid
"""


def build(allowed: str, path: Path) -> None:
    """Write one filter."""
    rules = pyseccomp.SyscallFilter(pyseccomp.ERRNO(errno.EPERM))
    # The 32-bit and x32 doors into the kernel: other numbers, the same answer.
    rules.set_attr(pyseccomp.Attr.ACT_BADARCH, pyseccomp.ERRNO(errno.EPERM))
    for name in allowed.split():
        rules.add_rule(pyseccomp.ALLOW, name)
    # Threads, but no processes and no namespaces. clone3 hides its flags behind a pointer that a
    # filter can't follow, so it is said to be missing: libc then falls back to clone.
    thread = pyseccomp.Arg(0, pyseccomp.MASKED_EQ, CLONE_THREAD | NAMESPACES, CLONE_THREAD)
    rules.add_rule(pyseccomp.ALLOW, "clone", thread)
    rules.add_rule(pyseccomp.ERRNO(errno.ENOSYS), "clone3")
    with path.open("wb") as file:
        rules.export_bpf(file)


def main() -> None:
    """Write both filters next to this script."""
    folder = Path(__file__).parent
    build(f"{RUNNING} {LOOKING} {STARTING}", folder / "stage1.x86_64.bpf")
    build(f"{RUNNING} {LOOKING}", folder / "stage2.x86_64.bpf")


if __name__ == "__main__":
    main()
