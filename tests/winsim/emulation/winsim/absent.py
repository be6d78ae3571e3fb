"""Names that Windows does not have, by module; from CPython's documentation of availability."""

from __future__ import annotations

POSIX_MODULES = frozenset(
    [
        "_posixshmem",
        "_posixsubprocess",
        "crypt",
        "curses",
        "fcntl",
        "grp",
        "nis",
        "ossaudiodev",
        "posix",
        "pty",
        "pwd",
        "readline",
        "resource",
        "spwd",
        "syslog",
        "termios",
        "tty",
        "uvloop",
    ]
)
"""Cannot be imported. uvloop has no wheels for Windows and does not build there."""

_ABSENT = {
    "asyncio": """
        AbstractChildWatcher FastChildWatcher MultiLoopChildWatcher PidfdChildWatcher SafeChildWatcher
        ThreadedChildWatcher open_unix_connection start_unix_server unix_events
    """,
    "mmap": """
        MADV_DONTNEED MADV_HUGEPAGE MADV_POPULATE_READ MADV_POPULATE_WRITE MADV_RANDOM MADV_SEQUENTIAL
        MADV_WILLNEED MAP_ANON MAP_ANONYMOUS MAP_DENYWRITE MAP_EXECUTABLE MAP_POPULATE MAP_PRIVATE
        MAP_SHARED PROT_EXEC PROT_READ PROT_WRITE
    """,
    "os": """
        EX_OK O_ASYNC O_CLOEXEC O_DIRECT O_DIRECTORY O_DSYNC O_NOFOLLOW O_NONBLOCK O_PATH O_SYNC
        POSIX_FADV_DONTNEED POSIX_FADV_SEQUENTIAL POSIX_FADV_WILLNEED RTLD_DEEPBIND RTLD_GLOBAL RTLD_LAZY
        RTLD_LOCAL RTLD_NOW SCHED_OTHER WEXITSTATUS WIFEXITED WIFSIGNALED WNOHANG WTERMSIG chown chroot
        confstr copy_file_range ctermid eventfd fchdir fchmod fchown fdatasync fork forkpty getegid geteuid
        getgid getgroups getloadavg getpgid getpgrp getpriority getsid getuid getxattr initgroups killpg
        lchown lockf memfd_create mkfifo mknod nice openpty pathconf pidfd_open posix_fadvise
        posix_fallocate posix_spawn posix_spawnp pread preadv pwrite pwritev readv register_at_fork
        sched_getaffinity sched_getparam sched_getscheduler sched_setaffinity sched_setscheduler sched_yield
        sendfile setegid seteuid setgid setgroups setpgid setpgrp setpriority setregid setreuid setsid
        setuid setxattr splice statvfs sync sysconf sysconf_names tcgetpgrp tcsetpgrp ttyname uname unshare
        wait wait3 wait4 waitid writev
    """,
    "select": """
        EPOLLERR EPOLLHUP EPOLLIN EPOLLOUT POLLIN POLLOUT epoll poll
    """,
    "selectors": """
        EpollSelector PollSelector
    """,
    "signal": """
        SIGALRM SIGBUS SIGCHLD SIGCONT SIGHUP SIGIO SIGKILL SIGPIPE SIGPROF SIGQUIT SIGRTMAX SIGRTMIN
        SIGSTOP SIGTSTP SIGTTIN SIGTTOU SIGUSR1 SIGUSR2 SIGWINCH SIG_BLOCK SIG_SETMASK SIG_UNBLOCK alarm
        getitimer pause pidfd_send_signal pthread_kill pthread_sigmask setitimer siginterrupt sigpending
        sigtimedwait sigwait sigwaitinfo
    """,
    "socket": """
        AF_NETLINK AF_UNIX CMSG_LEN CMSG_SPACE MSG_DONTWAIT MSG_NOSIGNAL SCM_RIGHTS SO_BINDTODEVICE
        SO_REUSEPORT TCP_USER_TIMEOUT recv_fds send_fds
    """,
    "sys": """
        abiflags getdlopenflags setdlopenflags
    """,
    "time": """
        CLOCK_BOOTTIME CLOCK_MONOTONIC CLOCK_MONOTONIC_RAW CLOCK_PROCESS_CPUTIME_ID CLOCK_REALTIME
        clock_getres clock_gettime clock_gettime_ns clock_settime pthread_getcpuclockid tzset
    """,
}
ABSENT = {module: frozenset(names.split()) for module, names in _ABSENT.items()}
