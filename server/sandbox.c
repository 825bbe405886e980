#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* --- Landlock -------------------------------------------------------------------------------- */

/* The kernel's, which the headers at hand may not know whole. */
struct ruleset {
    uint64_t fs, net, scoped;
};

enum { RULESET_VERSION = 1 };

/* All that this version of Landlock can forbid. A kernel that has none is no failure. */
enum cn_err cn_sandbox_landlock(void)
{
    static const int fs_bits[] = { 0, 13, 14, 15, 15, 16 }; /* by version */
    struct ruleset r = { 0 };
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, RULESET_VERSION);
    size_t size = sizeof r.fs;
    long ruleset;

    if (version <= 0)
        return CN_OK;
    r.fs = (1ULL << fs_bits[version < 5 ? version : 5]) - 1;
    if (version >= 4) {
        r.net = 3; /* bind, connect */
        size = offsetof(struct ruleset, scoped);
    }
    if (version >= 6) {
        r.scoped = 3; /* abstract sockets, signals */
        size = sizeof r;
    }
    ruleset = syscall(SYS_landlock_create_ruleset, &r, size, 0);
    if (ruleset < 0)
        return CN_E_SYSTEM;
    if (syscall(SYS_landlock_restrict_self, ruleset, 0) != 0) {
        close((int)ruleset);
        return CN_E_SYSTEM;
    }
    close((int)ruleset);
    return CN_OK;
}

/* --- seccomp --------------------------------------------------------------------------------- */

/* A system call; if argument is not ANY, only with that value in it. */
struct rule {
    int call;
    int argument;
    uint64_t value;
};

enum { ANY = -1 };

#define CALL(name) \
    { \
        SCMP_SYS(name), ANY, 0 \
    }
#define ONLY(name, at, wanted) \
    { \
        SCMP_SYS(name), at, (uint64_t)(wanted) \
    }

static const struct rule both[] = {
    CALL(brk),          CALL(clock_gettime),
    CALL(close),        CALL(epoll_ctl),
    CALL(epoll_pwait),  CALL(epoll_wait),
    CALL(exit),         CALL(exit_group),
    CALL(munmap),       CALL(poll),
    CALL(ppoll),        CALL(recvfrom),
    CALL(recvmsg),      CALL(restart_syscall),
    CALL(rt_sigreturn), CALL(sendmsg),
    CALL(sendto),       CALL(setsockopt),
    CALL(shutdown),     ONLY(write, 0, STDERR_FILENO),
};

/* For assert, which keeps what it says, and abort; with tgkill, of itself. */
static const struct rule of_abort[] = {
    CALL(getpid),
    CALL(gettid),
    ONLY(mmap, 2, PROT_READ | PROT_WRITE),
    CALL(rt_sigprocmask),
};

static const struct rule of_switch[] = {
    ONLY(fcntl, 1, F_GETFL),
    ONLY(fcntl, 1, F_GETPIPE_SZ),
    ONLY(fcntl, 1, F_SETPIPE_SZ),
    ONLY(ioctl, 1, SIOCOUTQ),
    CALL(pipe2),
    ONLY(sched_getscheduler, 0, 0),
    ONLY(sched_setscheduler, 0, 0),
    CALL(splice),
};

static const struct rule of_gate[] = {
    ONLY(accept4, 3, SOCK_NONBLOCK | SOCK_CLOEXEC),
    ONLY(fcntl, 1, F_GET_SEALS),
    CALL(fstat),
    CALL(futex),
    CALL(getrandom),
    CALL(madvise),
    ONLY(mmap, 2, PROT_READ),
    CALL(mremap),
    CALL(sysinfo), /* qsort */
    ONLY(newfstatat, 3, AT_EMPTY_PATH),
};

static const struct rule of_metrics[] = {
    CALL(accept4), ONLY(fcntl, 1, F_GETFL), ONLY(fcntl, 1, F_SETFL),
    CALL(futex),   CALL(getsockopt),        CALL(madvise),
    CALL(mremap),  CALL(pread64),           CALL(writev),
};

static int rules_add(scmp_filter_ctx filter, const struct rule *rules, size_t count)
{
    int failed = 0;

    for (size_t i = 0; i < count && failed == 0; i++) {
        const struct rule *r = &rules[i];
        const struct scmp_arg_cmp only = {
            .arg = (unsigned)r->argument, .op = SCMP_CMP_EQ, .datum_a = r->value, .datum_b = 0
        };

        if (r->call < 0) /* there is none such on this machine */
            continue;
        failed = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, r->call, r->argument != ANY, &only);
    }
    return failed;
}

static enum cn_err seccomp_enter(enum cn_sandbox role)
{
    const struct rule itself = { SCMP_SYS(tgkill), 0, (uint64_t)getpid() };
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
    int failed = filter ? 0 : -ENOMEM;

    if (failed == 0)
        failed = rules_add(filter, both, sizeof both / sizeof both[0]);
    if (failed == 0)
        failed = rules_add(filter, of_abort, sizeof of_abort / sizeof of_abort[0]);
    if (failed == 0)
        failed = rules_add(filter, &itself, 1);
    if (failed == 0 && role == CN_SANDBOX_SWITCH)
        failed = rules_add(filter, of_switch, sizeof of_switch / sizeof of_switch[0]);
    if (failed == 0 && role == CN_SANDBOX_GATE)
        failed = rules_add(filter, of_gate, sizeof of_gate / sizeof of_gate[0]);
    if (failed == 0 && role == CN_SANDBOX_METRICS)
        failed = rules_add(filter, of_metrics, sizeof of_metrics / sizeof of_metrics[0]);
    if (failed == 0)
        failed = seccomp_load(filter);
    seccomp_release(filter);
    errno = -failed;
    return failed == 0 ? CN_OK : CN_E_SYSTEM;
}

enum cn_err cn_sandbox_enter(enum cn_sandbox role)
{
    enum cn_err err;

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return CN_E_SYSTEM;
    err = cn_sandbox_landlock();
    return err == CN_OK ? seccomp_enter(role) : err;
}
