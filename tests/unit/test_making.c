/* Whatever the server's parts are made of fails, each call in its turn: it is told as what it is,
 * the caller gets nothing, and nothing is left of what had been made by then: no memory, no
 * descriptor, no mapping. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control_socket.h"
#include "keyfile.h"
#include "listener.h"
#include "outfile.h"
#include "random.h"
#include "rig.h"
#include "state.h"
#include "switchboard.h"
#include "upgrade.h"
#include "workers.h"

/* --- calls that fail, and what they leave ----------------------------------------------------- */

static unsigned until_failure; /* calls; 0: none fails */
static bool failed;
static long blocks, mappings;

static bool fails(int number)
{
    if (until_failure == 0 || --until_failure > 0)
        return false;
    failed = true;
    errno = number;
    return true;
}

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void __real_free(void *block);
void __wrap_free(void *block);
int __real_memfd_create(const char *name, unsigned flags);
int __wrap_memfd_create(const char *name, unsigned flags);
int __real_ftruncate64(int fd, off_t size);
int __wrap_ftruncate64(int fd, off_t size);
int __real_fcntl64(int fd, int command, ...);
int __wrap_fcntl64(int fd, int command, ...);
int __real_fstat64(int fd, struct stat *st);
int __wrap_fstat64(int fd, struct stat *st);
void *__real_mmap64(void *at, size_t size, int rights, int flags, int fd, off_t offset);
void *__wrap_mmap64(void *at, size_t size, int rights, int flags, int fd, off_t offset);
int __real_munmap(void *at, size_t size);
int __wrap_munmap(void *at, size_t size);
ssize_t __real_pwrite64(int fd, const void *octets, size_t size, off_t offset);
ssize_t __wrap_pwrite64(int fd, const void *octets, size_t size, off_t offset);
ssize_t __real_write(int fd, const void *octets, size_t size);
ssize_t __wrap_write(int fd, const void *octets, size_t size);
int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __real_epoll_create1(int flags);
int __wrap_epoll_create1(int flags);
int __real_epoll_ctl(int fd, int what, int watched, struct epoll_event *event);
int __wrap_epoll_ctl(int fd, int what, int watched, struct epoll_event *event);
int __real_socket(int family, int type, int protocol);
int __wrap_socket(int family, int type, int protocol);
int __real_socketpair(int family, int type, int protocol, int fd[2]);
int __wrap_socketpair(int family, int type, int protocol, int fd[2]);
int __real_setsockopt(int fd, int level, int name, const void *value, socklen_t size);
int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t size);
int __real_bind(int fd, const struct sockaddr *address, socklen_t size);
int __wrap_bind(int fd, const struct sockaddr *address, socklen_t size);
int __real_listen(int fd, int backlog);
int __wrap_listen(int fd, int backlog);
int __real_linkat(int dir, const char *name, int to, const char *new_name, int flags);
int __wrap_linkat(int dir, const char *name, int to, const char *new_name, int flags);
ssize_t __real_getrandom(void *out, size_t size, unsigned flags);
ssize_t __wrap_getrandom(void *out, size_t size, unsigned flags);

void *__wrap_malloc(size_t size)
{
    void *block = fails(ENOMEM) ? NULL : __real_malloc(size);

    blocks += block != NULL;
    return block;
}

void *__wrap_calloc(size_t count, size_t size)
{
    void *block = fails(ENOMEM) ? NULL : __real_calloc(count, size);

    blocks += block != NULL;
    return block;
}

void __wrap_free(void *block)
{
    blocks -= block != NULL;
    __real_free(block);
}

int __wrap_memfd_create(const char *name, unsigned flags)
{
    return fails(EMFILE) ? -1 : __real_memfd_create(name, flags);
}

int __wrap_ftruncate64(int fd, off_t size)
{
    return fails(EIO) ? -1 : __real_ftruncate64(fd, size);
}

/* The server has only commands with a number, or none. */
int __wrap_fcntl64(int fd, int command, ...)
{
    va_list list;
    int number;

    va_start(list, command);
    number = va_arg(list, int);
    va_end(list);
    return fails(EPERM) ? -1 : __real_fcntl64(fd, command, number);
}

int __wrap_fstat64(int fd, struct stat *st)
{
    return fails(EIO) ? -1 : __real_fstat64(fd, st);
}

void *__wrap_mmap64(void *at, size_t size, int rights, int flags, int fd, off_t offset)
{
    void *mapped = fails(ENOMEM) ? MAP_FAILED : __real_mmap64(at, size, rights, flags, fd, offset);

    mappings += mapped != MAP_FAILED;
    return mapped;
}

int __wrap_munmap(void *at, size_t size)
{
    mappings--;
    return __real_munmap(at, size);
}

ssize_t __wrap_pwrite64(int fd, const void *octets, size_t size, off_t offset)
{
    return fails(ENOSPC) ? -1 : __real_pwrite64(fd, octets, size, offset);
}

ssize_t __wrap_write(int fd, const void *octets, size_t size)
{
    return fails(ENOSPC) ? -1 : __real_write(fd, octets, size);
}

int __wrap_fsync(int fd)
{
    return fails(EIO) ? -1 : __real_fsync(fd);
}

int __wrap_epoll_create1(int flags)
{
    return fails(EMFILE) ? -1 : __real_epoll_create1(flags);
}

int __wrap_epoll_ctl(int fd, int what, int watched, struct epoll_event *event)
{
    return fails(ENOSPC) ? -1 : __real_epoll_ctl(fd, what, watched, event);
}

int __wrap_socket(int family, int type, int protocol)
{
    return fails(EMFILE) ? -1 : __real_socket(family, type, protocol);
}

int __wrap_socketpair(int family, int type, int protocol, int fd[2])
{
    return fails(EMFILE) ? -1 : __real_socketpair(family, type, protocol, fd);
}

int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t size)
{
    return fails(ENOBUFS) ? -1 : __real_setsockopt(fd, level, name, value, size);
}

int __wrap_bind(int fd, const struct sockaddr *address, socklen_t size)
{
    return fails(EADDRINUSE) ? -1 : __real_bind(fd, address, size);
}

int __wrap_listen(int fd, int backlog)
{
    return fails(EADDRINUSE) ? -1 : __real_listen(fd, backlog);
}

int __wrap_linkat(int dir, const char *name, int to, const char *new_name, int flags)
{
    return fails(EIO) ? -1 : __real_linkat(dir, name, to, new_name, flags);
}

ssize_t __wrap_getrandom(void *out, size_t size, unsigned flags)
{
    return fails(ENOSYS) ? -1 : __real_getrandom(out, size, flags);
}

static int descriptors(void)
{
    int count = 0;

    for (int fd = 0; fd < 128; fd++)
        count += __real_fcntl64(fd, F_GETFD, 0) >= 0;
    return count;
}

/* --- what is made ----------------------------------------------------------------------------- */

static struct rig rig;
static char dir[] = "/tmp/test_making.XXXXXX";
static int dir_fd, back_fd;
static int made_fd;
static struct cn_page_map made_page;
static struct cn_loop made_loop;
static struct cn_switchboard board;
static struct cn_gate *gate;
static struct cn_workers *workers;
static struct cn_owners owners;
static struct cn_worker *worker;
static struct cn_control *control;
static struct cn_listeners listeners;
static const struct cn_state *state_mapped;
static struct cn_blocklist blocklist;
static struct cn_noticelist noticelist;
static struct cn_outfile outfile;
static int ends[2];

static enum cn_err page_make(void)
{
    return cn_page_make(&made_fd, 8);
}

static void fd_unmake(void)
{
    close(made_fd);
}

static enum cn_err page_map(void)
{
    int fd = -1;
    enum cn_err err = cn_page_make(&fd, 8);

    if (err == CN_OK)
        err = cn_page_map(&made_page, fd, true);
    if (fd >= 0)
        close(fd);
    return err;
}

static void page_unmap(void)
{
    cn_page_unmap(&made_page);
}

static enum cn_err bucket_make(void)
{
    return cn_page_bucket_make(&made_fd);
}

static enum cn_err loop_init(void)
{
    return cn_loop_init(&made_loop, 8);
}

static void loop_wipe(void)
{
    cn_loop_wipe(&made_loop);
}

static enum cn_err board_init(void)
{
    return cn_switchboard_init(&board, 8, &cn_system_random);
}

static void board_wipe(void)
{
    cn_switchboard_wipe(&board);
}

static enum cn_err gate_create(void)
{
    struct cn_gate_setup setup = { &rig.loop,   rig.crypto,  &cn_system_random,
                                   &rig.server, &rig.config, &rig.who_secret,
                                   &rig.page,   RIG_LINES,   NULL };

    return cn_gate_create(&gate, &setup);
}

static void gate_destroy(void)
{
    cn_gate_destroy(gate);
}

static enum cn_err workers_create(void)
{
    const struct cn_workers_setup setup = { .loop = &rig.loop, .owners = &owners, .pairs_max = 8 };
    enum cn_err err = cn_owners_init(&owners, rig.page.page->owners, rig.page.owner_max);

    if (err == CN_OK)
        err = cn_workers_create(&workers, &setup);
    if (err == CN_OK)
        err = cn_channel_make(ends);
    if (err == CN_OK)
        err = cn_workers_add(workers, ends[0], 1, false);
    return err;
}

static void workers_destroy(void)
{
    cn_workers_destroy(workers);
    cn_owners_wipe(&owners);
    workers = NULL;
}

static enum cn_err worker_create(void)
{
    const struct cn_switch_limits limits = rig_limits(&rig);

    return cn_worker_create(&worker, &rig.loop, &rig.worker_page, &limits);
}

static void worker_destroy(void)
{
    cn_worker_destroy(worker);
}

static enum cn_err channel_make(void)
{
    return cn_channel_make(ends);
}

static void channel_unmake(void)
{
    close(ends[0]);
    close(ends[1]);
}

static bool no_answer(void *context, uint64_t asker, const char *request, char *reply, size_t size)
{
    (void)context;
    (void)asker;
    (void)request;
    (void)reply;
    (void)size;
    return false;
}

static enum cn_err control_open(void)
{
    return cn_control_open(&control, &rig.loop, -1, no_answer, NULL);
}

static void control_close(void)
{
    cn_control_close(control);
}

static enum cn_err listeners_bind(void)
{
    static const struct cn_settings settings = { .listen_count = 2,
                                                 .listen = { "127.0.0.1:0", "127.0.0.1:0" } };
    const char *bad = NULL;
    enum cn_err err = cn_listeners_bind(&listeners, &settings, &bad);

    assert_true((err == CN_OK) == (bad == NULL));
    return err;
}

static void listeners_close(void)
{
    cn_listeners_close(&listeners);
}

static const struct cn_blocked blocked[] = { { .serial = 5, .reason = CN_VERDICT_REVOKED } };
static const struct cn_held_notice held[] = { { .number = 1, .size = CN_NOTICE_RENEWAL_SIZE } };
static const struct cn_common_notice common = { .number = 2 };

static enum cn_err state_make(void)
{
    const struct cn_state_parts parts = { .config = &rig.config,
                                          .settings = &rig.settings,
                                          .who_secret = &rig.who_secret,
                                          .blocked = blocked,
                                          .blocked_count = COUNT(blocked),
                                          .held = held,
                                          .held_count = COUNT(held),
                                          .common = &common };

    return cn_state_make(&made_fd, &parts);
}

static enum cn_err state_map(void)
{
    enum cn_err err = state_make();

    if (err != CN_OK)
        return err;
    state_mapped = cn_state_map(made_fd);
    close(made_fd);
    made_fd = -1;
    return state_mapped ? CN_OK : CN_E_SYSTEM;
}

static void state_unmap(void)
{
    cn_state_unmap(state_mapped);
}

static enum cn_err blocklist_set(void)
{
    return cn_blocklist_set(&blocklist, blocked, COUNT(blocked));
}

static void blocklist_wipe(void)
{
    cn_blocklist_wipe(&blocklist);
}

static enum cn_err noticelist_set(void)
{
    return cn_noticelist_set(&noticelist, held, COUNT(held), &common);
}

static void noticelist_wipe(void)
{
    cn_noticelist_wipe(&noticelist);
}

static enum cn_err upgrade_write(void)
{
    static struct cn_upgrade upgrade;

    return cn_upgrade_write(&upgrade, &made_fd);
}

static enum cn_err outfile_write(void)
{
    enum cn_err err = cn_outfile_create(&outfile, dir_fd, "made", 0600);

    if (err != CN_OK)
        return err;
    err = cn_outfile_write(&outfile, "octets", 6);
    if (err == CN_OK)
        err = cn_outfile_keep(&outfile);
    cn_outfile_close(&outfile);
    return err;
}

static enum cn_err keyfile_write(void)
{
    static const uint8_t key[CN_KEYFILE_KEY_SIZE] = { 1 };

    return cn_keyfile_write(&crypto, dir_fd, "made", CN_ARMOR_SERVER_KEY, key);
}

static void file_unmake(void)
{
    assert_int_equal(unlinkat(dir_fd, "made", 0), 0);
}

/* --- each call fails -------------------------------------------------------------------------- */

struct making {
    const char *name;
    enum cn_err (*make)(void);
    void (*unmake)(void);
    void (*unmake_what_is_there)(void); /* after a failure; NULL: there is to be nothing */
};

static void what_is_there_of_workers_goes(void)
{
    if (workers)
        workers_destroy();
    else
        cn_owners_wipe(&owners);
    for (int i = 0; i < 2; i++) {
        if (ends[i] >= 0)
            close(ends[i]);
    }
}

static void workers_go(void)
{
    workers_destroy();
    close(ends[1]);
}

static const struct making makings[] = {
    { "page", page_make, fd_unmake, NULL },
    { "mapped page", page_map, page_unmap, NULL },
    { "bucket", bucket_make, fd_unmake, NULL },
    { "loop", loop_init, loop_wipe, NULL },
    { "switchboard", board_init, board_wipe, board_wipe },
    { "gate", gate_create, gate_destroy, NULL },
    { "workers", workers_create, workers_go, what_is_there_of_workers_goes },
    { "worker", worker_create, worker_destroy, NULL },
    { "channel", channel_make, channel_unmake, NULL },
    { "control", control_open, control_close, NULL },
    { "listeners", listeners_bind, listeners_close, NULL },
    { "state", state_make, fd_unmake, NULL },
    { "mapped state", state_map, state_unmap, NULL },
    { "blocklist", blocklist_set, blocklist_wipe, NULL },
    { "noticelist", noticelist_set, noticelist_wipe, NULL },
    { "upgrade", upgrade_write, fd_unmake, NULL },
    { "file", outfile_write, file_unmake, NULL },
    { "key file", keyfile_write, file_unmake, NULL },
};

struct all {
    long blocks, mappings;
    int descriptors;
};

static struct all all_that_is_there(void)
{
    return (struct all) { blocks, mappings, descriptors() };
}

static void nothing_is_left(const struct making *m, unsigned number, struct all before)
{
    const struct all after = all_that_is_there();

    if (after.blocks != before.blocks || after.mappings != before.mappings ||
        after.descriptors != before.descriptors)
        fail_msg("%s, call %u: left are %ld blocks, %ld mappings, %d descriptors", m->name, number,
                 after.blocks - before.blocks, after.mappings - before.mappings,
                 after.descriptors - before.descriptors);
}

/* False: there was no such call, and all was made. */
static bool fails_at(const struct making *m, unsigned number)
{
    const struct all before = all_that_is_there();
    enum cn_err err;

    made_fd = ends[0] = ends[1] = -1;
    failed = false;
    until_failure = number;
    err = m->make();
    until_failure = 0;
    if (!failed) {
        assert_err(err, CN_OK);
        m->unmake();
    } else {
        if (err != CN_E_MEMORY && err != CN_E_SYSTEM && err != CN_E_RANDOM && err != CN_E_FORMAT)
            fail_msg("%s, call %u: %s", m->name, number, err_name(err));
        if (m->unmake_what_is_there)
            m->unmake_what_is_there();
        else
            assert_int_equal(made_fd, -1);
        assert_int_not_equal(faccessat(dir_fd, "made", F_OK, 0), 0);
    }
    nothing_is_left(m, number, before);
    return failed;
}

static void whichever_call_fails_nothing_is_left(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(makings); i++) {
        unsigned number = 1;

        while (fails_at(&makings[i], number))
            number++;
        assert_true(number > 1);
    }
}

static int begin(void **state)
{
    if (crypto_setup(state) != 0 || !mkdtemp(dir))
        return -1;
    dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    back_fd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    rig_init(&rig, &crypto);
    rig_start(&rig);
    return dir_fd < 0 || back_fd < 0 ? -1 : fchdir(dir_fd); /* where the control socket is */
}

static int end(void **state)
{
    int left;

    rig_stop(&rig);
    left = fchdir(back_fd);
    close(dir_fd);
    close(back_fd);
    return left != 0 || rmdir(dir) != 0 ? -1 : crypto_teardown(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whichever_call_fails_nothing_is_left),
    };

    return cmocka_run_group_tests(tests, begin, end);
}
