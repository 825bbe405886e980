/* The sandboxes: whatever is not allowed ends the process with SIGSYS, what is needed works. */
#include "unit.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sandbox.h"

enum {
    CALLS = 470,
    ENTERED = 7,
    URETPROBE = 335, /* these two no filter sees: the kernel lets only itself make them */
    UPROBE = 336
};

/* What either may do, then each one alone. Anything else may not, whatever its arguments. */
static const int common[] = {
    SYS_poll,    SYS_ppoll,           SYS_brk,          SYS_clock_gettime,
    SYS_close,   SYS_epoll_ctl,       SYS_epoll_pwait,  SYS_epoll_wait,
    SYS_exit,    SYS_exit_group,      SYS_munmap,       SYS_recvfrom,
    SYS_recvmsg, SYS_restart_syscall, SYS_rt_sigreturn, SYS_sendmsg,
    SYS_sendto,  SYS_setsockopt,      SYS_shutdown,     SYS_getpid,
    SYS_gettid,  SYS_rt_sigprocmask,
};
static const int of_switch[] = { SYS_pipe2, SYS_splice };
static const int of_gate[] = { SYS_accept4, SYS_fstat,  SYS_futex,  SYS_getrandom,
                               SYS_madvise, SYS_mremap, SYS_sysinfo };
static const int of_metrics[] = { SYS_accept4, SYS_futex,   SYS_getsockopt, SYS_madvise,
                                  SYS_mremap,  SYS_sysinfo, SYS_pread64,    SYS_writev };

static bool is_in(int call, const int *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (list[i] == call)
            return true;
    }
    return false;
}

static bool is_allowed(enum cn_sandbox role, int call)
{
    if (is_in(call, common, COUNT(common)))
        return true;
    if (role == CN_SANDBOX_SWITCH)
        return is_in(call, of_switch, COUNT(of_switch));
    return role == CN_SANDBOX_GATE ? is_in(call, of_gate, COUNT(of_gate))
                                   : is_in(call, of_metrics, COUNT(of_metrics));
}

/* How a child ends that enters the sandbox and does this. */
static int ends_how(enum cn_sandbox role, void (*act)(const long *arguments), const long *arguments)
{
    pid_t pid = fork();
    int status = 0;

    assert_true(pid >= 0);
    if (pid == 0) {
        const struct rlimit none = { 0, 0 };

        (void)setrlimit(RLIMIT_CORE, &none);
        if (cn_sandbox_enter(role) != CN_OK)
            syscall(SYS_exit_group, 99);
        act(arguments);
        syscall(SYS_exit_group, ENTERED);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static bool killed(int status)
{
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS;
}

static bool went_on(int status)
{
    return WIFEXITED(status) && WEXITSTATUS(status) == ENTERED;
}

static void call(const long *a)
{
    (void)syscall(a[0], a[1], a[2], a[3], a[4], a[5], a[6]);
}

static void whatever_is_not_allowed_ends_the_process(void **state)
{
    (void)state;
    for (int role = 0; role < CN_SANDBOX_COUNT; role++) {
        for (int number = 0; number < CALLS; number++) {
            /* descriptors and addresses that are none: a call that is let through does no harm */
            const long a[7] = { number, -1, -1, -1, -1, -1, -1 };

            if (number == URETPROBE || number == UPROBE ||
                is_allowed((enum cn_sandbox)role, number))
                continue;
            if (!killed(ends_how((enum cn_sandbox)role, call, a)))
                fail_msg("role %d: call %d is let through", role, number);
        }
    }
}

/* Of calls that are allowed for one purpose. */
static void no_other_purpose_is_allowed(void **state)
{
    static const long switch_only[][7] = {
        { SYS_write, 1 },
        { SYS_write, 3 },
        { SYS_ioctl, 0, FIONREAD },
        { SYS_fcntl, 0, F_SETFL, O_NONBLOCK },
        { SYS_fcntl, 0, F_DUPFD, 0 },
        { SYS_sched_setscheduler, 1, 0 },
        { SYS_mmap, 0, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1 },
        { SYS_mmap, 0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1 },
        { SYS_accept4, 0 },
    };
    static const long gate_only[][7] = {
        { SYS_write, 1 },
        { SYS_mmap, 0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1 },
        { SYS_mmap, 0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1 },
        { SYS_fcntl, 0, F_SETFL, O_NONBLOCK },
        { SYS_newfstatat, AT_FDCWD, 0, 0, 0 },
        { SYS_splice, 0 },
        { SYS_pipe2, 0 },
        { SYS_accept4, 0, 0, 0, 0 },
    };
    static const long metrics_only[][7] = {
        { SYS_write, 1 },
        { SYS_mmap, 0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1 },
        { SYS_fcntl, 0, F_DUPFD, 0 },
        { SYS_openat, AT_FDCWD, 0, 0, 0 },
        { SYS_connect, 0 },
        { SYS_socket, 2, 1, 0 },
    };

    const long other_process[7] = { SYS_tgkill, getppid(), getppid(), 0 };

    (void)state;
    for (int role = 0; role < CN_SANDBOX_COUNT; role++)
        assert_true(killed(ends_how((enum cn_sandbox)role, call, other_process)));
    for (size_t i = 0; i < COUNT(metrics_only); i++)
        assert_true(killed(ends_how(CN_SANDBOX_METRICS, call, metrics_only[i])));
    for (size_t i = 0; i < COUNT(switch_only); i++)
        assert_true(killed(ends_how(CN_SANDBOX_SWITCH, call, switch_only[i])));
    for (size_t i = 0; i < COUNT(gate_only); i++)
        assert_true(killed(ends_how(CN_SANDBOX_GATE, call, gate_only[i])));
}

static void be_wrong(const long *a)
{
    assert(a != NULL && "the moon is square");
}

/* What went wrong is told, and how it ended says the same. */
static void an_assertion_that_fails_is_told(void **state)
{
    (void)state;
    for (int role = 0; role < CN_SANDBOX_COUNT; role++) {
        char told[512] = "";
        int ends[2], kept = dup(STDERR_FILENO), status;

        assert_int_equal(pipe(ends), 0);
        assert_int_equal(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
        status = ends_how((enum cn_sandbox)role, be_wrong, NULL);
        assert_int_equal(dup2(kept, STDERR_FILENO), STDERR_FILENO);
        assert_true(WIFSIGNALED(status));
        assert_int_equal(WTERMSIG(status), SIGABRT);
        close(ends[1]);
        assert_true(read(ends[0], told, sizeof told - 1) > 0);
        assert_non_null(strstr(told, "the moon is square"));
        close(ends[0]);
        close(kept);
    }
}

static void move(const long *a)
{
    const struct sched_param none = { 0 };
    char octets[4];
    int queued = 0;
    int pipe[2];

    if (fcntl((int)a[0], F_GETFL) < 0 || pipe2(pipe, O_NONBLOCK) != 0 ||
        fcntl(pipe[1], F_SETPIPE_SZ, 65536) < 0 || fcntl(pipe[1], F_GETPIPE_SZ) < 0 ||
        ioctl((int)a[0], SIOCOUTQ, &queued) != 0 || send((int)a[0], "abc", 3, 0) != 3 ||
        splice((int)a[1], NULL, pipe[1], NULL, 3, SPLICE_F_NONBLOCK) != 3 ||
        splice(pipe[0], NULL, (int)a[1], NULL, 3, SPLICE_F_NONBLOCK) != 3 ||
        recv((int)a[0], octets, sizeof octets, 0) != 3 ||
        sched_setscheduler(0, SCHED_BATCH, &none) != 0 || sched_getscheduler(0) != SCHED_BATCH ||
        write(STDERR_FILENO, "", 0) != 0)
        syscall(SYS_exit_group, 1);
}

static void a_switch_can_move(void **state)
{
    int ends[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    assert_true(went_on(ends_how(CN_SANDBOX_SWITCH, move, (const long[2]) { ends[0], ends[1] })));
    close(ends[0]);
    close(ends[1]);
}

static int order(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(uint64_t));
}

/* Memory of any size, randomness, seals, a poll for the log. */
static void take(const long *a)
{
    void *much = malloc(1 << 24);
    void *more = realloc(much, 1 << 25);
    uint8_t random[16];

    static struct {
        uint64_t key, rest[5];
    } many[500];

    qsort(many, COUNT(many), sizeof many[0], order); /* which asks how much memory there is */
    if (!more || getentropy(random, sizeof random) != 0 || fcntl((int)a[0], F_GET_SEALS) < 0)
        syscall(SYS_exit_group, 1);
    free(more);
}

static void a_gate_can_allocate(void **state)
{
    int memory = memfd_create("test", 0);

    (void)state;
    assert_true(went_on(ends_how(CN_SANDBOX_GATE, take, (const long[1]) { memory })));
    close(memory);
}

/* Without the other: what no system call is forbidden for is still refused. */
static int under_landlock(void)
{
    const struct sockaddr_in nobody = { .sin_family = AF_INET,
                                        .sin_port = htons(9),
                                        .sin_addr = { htonl(INADDR_LOOPBACK) } };
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    int fd = open("/dev/null", O_RDONLY);
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, 1);

    if (version <= 0)
        return 77;
    if (fd < 0 || close(fd) != 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        cn_sandbox_landlock() != CN_OK)
        return 1;
    if (open("/dev/null", O_RDONLY) >= 0 || errno != EACCES)
        return 2;
    if (open("/tmp", O_RDONLY | O_DIRECTORY) >= 0 || errno != EACCES)
        return 3;
    if (mkdir("/tmp/test_sandbox", 0700) == 0 || errno != EACCES)
        return 4;
    if (execl("/bin/true", "true", NULL) == 0 || errno != EACCES)
        return 5;
    if (version >= 4 && (connect(listener, (const struct sockaddr *)&nobody, sizeof nobody) == 0 ||
                         errno != EACCES))
        return 6;
    return ENTERED;
}

static void landlock_alone_lets_nobody_at_files(void **state)
{
    pid_t pid = fork();
    int status = 0;

    (void)state;
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(under_landlock());
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77) {
        print_message("this kernel has no Landlock\n");
        skip();
    }
    assert_int_equal(WEXITSTATUS(status), ENTERED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whatever_is_not_allowed_ends_the_process),
        cmocka_unit_test(no_other_purpose_is_allowed),
        cmocka_unit_test(an_assertion_that_fails_is_told),
        cmocka_unit_test(a_switch_can_move),
        cmocka_unit_test(a_gate_can_allocate),
        cmocka_unit_test(landlock_alone_lets_nobody_at_files),
    };

    return cmocka_run_group_tests(tests, crypto_setup, crypto_teardown);
}
