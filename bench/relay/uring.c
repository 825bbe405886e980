/* uring: a relay on io_uring, to compare ours with; it is no part of the server.
 *
 *   uring copy|splice PORT BACK CALLS      from PORT to BACK, on loopback; CALLS at most at a time
 *
 * copy: each way receives into a buffer out of a ring that all share, which the kernel takes when
 * octets have come, and sends it; linked behind is the request for what comes next, unless others
 * wait for a buffer.
 * splice: each way has a pipe; a poll, a splice into the pipe and one out of it are linked, so that
 * the kernel may do all three at once. Its workers, who do every splice, stay on our cores.
 *
 * In both a way that has octets which the far end does not take reads no more. */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net.h"

enum {
    SUBMIT_COUNT = 4096,
    ROOM_COUNT = 32, /* more than follow from one that has completed */
    CALL_COUNT_MAX = 20000,
    BUFFER_SIZE = 256 * 1024,
    BUFFER_COUNT = 128,
    OFFER_COUNT = 16, /* a power of two: buffers that the kernel may take at a time */
    BUFFER_GROUP = 0,
    PIPE_SIZE = 1024 * 1024,
    FILE_COUNT_OWN = 16
};

enum op { ACCEPT, READ, WRITE, POLL, OP_COUNT }; /* what has completed */

enum file { ENDS, PIPES = 2, FILE_COUNT = 6 }; /* of a call: two sockets, and two for each pipe */

struct call;

struct way {
    struct call *call;
    unsigned i;      /* of the socket it comes from; it goes to the other */
    size_t held;     /* octets that are read and not written yet */
    unsigned buffer; /* which holds them, if we copy */
    unsigned busy;   /* requests that have not completed */
    struct way *next_waiting;
    bool is_linked; /* what reads next, behind what writes */
    bool has_more;  /* octets to be received, as far as is known */
    bool ended;     /* the source said its end */
    bool done;      /* and the far end has been told, or is gone */
};

struct call {
    struct way way[2];
    int file[FILE_COUNT];
    struct call *next_free;
};

struct mode {
    const char *name;
    unsigned file_count;
    void (*open)(void);
    bool (*call_open)(struct call *call); /* NULL: nothing more is needed */
    void (*begin)(struct way *way);
    void (*completed)(struct way *way, enum op op, int result, unsigned flags);
};

static struct io_uring ring;
static const struct mode *mode;
static struct call *calls;
static struct call *calls_free;
static int listener;
static bool is_accepting;
static uint16_t back;

static void sure(int result, const char *what)
{
    if (result < 0) {
        errno = -result;
        die(what);
    }
}

/* --- requests -------------------------------------------------------------------------------- */

static struct io_uring_sqe *request(void)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

    if (!sqe)
        give_up("uring: no room for a request");
    return sqe;
}

/* The registered file of the way's call. */
static int file_index(const struct way *way, size_t file)
{
    return (int)((size_t)(way->call - calls) * mode->file_count + file);
}

static size_t source(const struct way *way)
{
    return ENDS + way->i;
}

static size_t target(const struct way *way)
{
    return ENDS + 1 - way->i;
}

static void mark(struct io_uring_sqe *sqe, struct way *way, enum op op, unsigned flags)
{
    sqe->user_data = ((size_t)(way->call - calls) * 2 + way->i) * OP_COUNT + op;
    sqe->flags |= (uint8_t)(IOSQE_FIXED_FILE | flags);
    way->busy += (flags & IOSQE_CQE_SKIP_SUCCESS) == 0;
}

/* Nothing more comes through the call: what still waits for one of its ends finds that out. */
static void way_break(struct way *way)
{
    way->done = true;
    (void)shutdown(way->call->file[source(way)], SHUT_RDWR);
    (void)shutdown(way->call->file[target(way)], SHUT_RDWR);
}

static void way_end(struct way *way)
{
    way->done = true;
    (void)shutdown(way->call->file[target(way)], SHUT_WR);
}

/* --- copying --------------------------------------------------------------------------------- */

static struct io_uring_buf_ring *offer;
static unsigned offered;
static uint8_t *buffers;
static unsigned spare[BUFFER_COUNT], spare_count;
static struct way *waiting, **waiting_last = &waiting; /* for a buffer */

static uint8_t *buffer_at(unsigned buffer)
{
    return buffers + (size_t)buffer * BUFFER_SIZE;
}

/* The kernel takes the one that was offered first; so that few are in use, and stay in the cache,
 * it is offered few, and those that were used last. */
static void buffers_offer(void)
{
    for (; offered < OFFER_COUNT && spare_count > 0; offered++) {
        unsigned buffer = spare[--spare_count];

        io_uring_buf_ring_add(offer, buffer_at(buffer), BUFFER_SIZE, (unsigned short)buffer,
                              io_uring_buf_ring_mask(OFFER_COUNT), 0);
        io_uring_buf_ring_advance(offer, 1);
    }
}

static void buffer_give(unsigned buffer)
{
    spare[spare_count++] = buffer;
    buffers_offer();
}

static void *pages(size_t size)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (p == MAP_FAILED)
        die("mmap");
    return p;
}

static void copy_open(void)
{
    struct io_uring_buf_reg reg = { .ring_entries = OFFER_COUNT, .bgid = BUFFER_GROUP };

    offer = pages(OFFER_COUNT * sizeof(struct io_uring_buf));
    buffers = pages((size_t)BUFFER_COUNT * BUFFER_SIZE);
    reg.ring_addr = (uintptr_t)offer;
    io_uring_buf_ring_init(offer);
    sure(io_uring_register_buf_ring(&ring, &reg, 0), "io_uring_register_buf_ring");
    for (unsigned i = 0; i < BUFFER_COUNT; i++)
        buffer_give(i);
}

static void copy_begin(struct way *way)
{
    struct io_uring_sqe *sqe = request();

    io_uring_prep_recv(sqe, file_index(way, source(way)), NULL, BUFFER_SIZE, 0);
    sqe->buf_group = BUFFER_GROUP;
    if (!way->has_more)
        sqe->ioprio |= IORING_RECVSEND_POLL_FIRST;
    mark(sqe, way, READ, IOSQE_BUFFER_SELECT);
}

static void copy_write(struct way *way)
{
    struct io_uring_sqe *sqe = request();

    io_uring_prep_send(sqe, file_index(way, target(way)), buffer_at(way->buffer), way->held,
                       MSG_WAITALL | MSG_NOSIGNAL);
    way->is_linked = !waiting;
    mark(sqe, way, WRITE, way->is_linked ? IOSQE_IO_LINK : 0);
    if (way->is_linked)
        copy_begin(way);
}

static void way_wait(struct way *way)
{
    way->next_waiting = NULL;
    *waiting_last = way;
    waiting_last = &way->next_waiting;
}

/* Those for whom there is a buffer now. */
static void waiting_begin(void)
{
    for (unsigned i = 0; i < offered && waiting; i++) {
        struct way *way = waiting;

        waiting = way->next_waiting;
        if (!waiting)
            waiting_last = &waiting;
        copy_begin(way);
    }
}

static void copy_has_read(struct way *way, int result, unsigned flags)
{
    unsigned buffer = flags >> IORING_CQE_BUFFER_SHIFT;

    if (flags & IORING_CQE_F_BUFFER)
        offered--;
    if (result > 0) {
        way->held = (size_t)result;
        way->has_more = flags & IORING_CQE_F_SOCK_NONEMPTY;
        way->buffer = buffer;
        buffers_offer();
        copy_write(way);
        return;
    }
    if (flags & IORING_CQE_F_BUFFER)
        buffer_give(buffer);
    if (result == -ENOBUFS)
        way_wait(way);
    else if (result == 0)
        way_end(way);
    else if (result != -ECANCELED) /* then what it was linked to has failed */
        way_break(way);
}

static void copy_completed(struct way *way, enum op op, int result, unsigned flags)
{
    if (op == READ) {
        copy_has_read(way, result, flags);
    } else {
        buffer_give(way->buffer);
        if (result < 0 || (size_t)result < way->held)
            way_break(way);
        else if (!way->is_linked)
            way_wait(way);
    }
    waiting_begin();
}

/* --- splicing -------------------------------------------------------------------------------- */

static void splice_open(void)
{
    cpu_set_t cores;

    if (sched_getaffinity(0, sizeof cores, &cores) != 0)
        die("sched_getaffinity");
    sure(io_uring_register_iowq_aff(&ring, sizeof cores, &cores), "io_uring_register_iowq_aff");
}

static size_t pipe_of(const struct way *way)
{
    return PIPES + way->i * 2;
}

static bool splice_call_open(struct call *call)
{
    for (int i = 0; i < 2; i++) {
        int *end = &call->file[PIPES + i * 2];

        if (fcntl(call->file[ENDS + i], F_SETFL, O_NONBLOCK) != 0 ||
            pipe2(end, O_NONBLOCK | O_CLOEXEC) != 0)
            return false;
        (void)fcntl(end[1], F_SETPIPE_SZ, PIPE_SIZE); /* else the size it has will do */
    }
    return true;
}

static void splice_poll(struct way *way, size_t file, unsigned events)
{
    struct io_uring_sqe *sqe = request();

    io_uring_prep_poll_add(sqe, file_index(way, file), events);
    mark(sqe, way, POLL, IOSQE_IO_HARDLINK | IOSQE_CQE_SKIP_SUCCESS);
}

static void splice_move(struct way *way, enum op op, size_t from, size_t to, unsigned flags)
{
    struct io_uring_sqe *sqe = request();

    io_uring_prep_splice(sqe, file_index(way, from), -1, file_index(way, to), -1, PIPE_SIZE,
                         SPLICE_F_FD_IN_FIXED | SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
    mark(sqe, way, op, flags);
}

static void splice_drain(struct way *way)
{
    splice_move(way, WRITE, pipe_of(way), target(way), 0);
}

static void splice_begin(struct way *way)
{
    splice_poll(way, source(way), POLLIN);
    splice_move(way, READ, source(way), pipe_of(way) + 1, IOSQE_IO_HARDLINK);
    splice_drain(way);
}

static void splice_completed(struct way *way, enum op op, int result, unsigned flags)
{
    (void)flags;
    if (result < 0 && result != -EAGAIN)
        way_break(way);
    if (op == READ) {
        way->held += result > 0 ? (size_t)result : 0;
        way->ended |= result == 0;
        return;
    }
    way->held -= result > 0 ? (size_t)result : 0;
    if (way->done) {
        return;
    } else if (way->held > 0) {
        splice_poll(way, target(way), POLLOUT);
        splice_drain(way);
    } else if (way->ended) {
        way_end(way);
    } else {
        splice_begin(way);
    }
}

/* --- calls ----------------------------------------------------------------------------------- */

static void accept_ask(void)
{
    struct io_uring_sqe *sqe;

    if (is_accepting || !calls_free)
        return;
    sqe = request();
    io_uring_prep_accept(sqe, listener, NULL, NULL, SOCK_CLOEXEC);
    sqe->user_data = ACCEPT;
    is_accepting = true;
}

static void files_register(const struct call *call, const int file[FILE_COUNT])
{
    int count = io_uring_register_files_update(&ring, (unsigned)(call - calls) * mode->file_count,
                                               file, mode->file_count);

    sure(count, "io_uring_register_files_update");
}

static void files_close(struct call *call)
{
    for (size_t i = 0; i < FILE_COUNT; i++) {
        if (call->file[i] >= 0)
            close(call->file[i]);
    }
    call->next_free = calls_free;
    calls_free = call;
}

static void call_close(struct call *call)
{
    static const int none[FILE_COUNT] = { -1, -1, -1, -1, -1, -1 };

    files_register(call, none);
    files_close(call);
    accept_ask();
}

/* On loopback that takes no time, and whoever does not listen is known at once. */
static int dialled(void)
{
    const struct sockaddr_in to = { .sin_family = AF_INET,
                                    .sin_port = htons(back),
                                    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    const int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0 ||
        connect(fd, (const struct sockaddr *)&to, sizeof to) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

/* Its descriptor without delay, which it has from the listener. */
static void accepted(int fd)
{
    struct call *call = calls_free;

    is_accepting = false;
    sure(fd, "accept");
    calls_free = call->next_free;
    *call = (struct call) { .way = { { .call = call, .i = 0 }, { .call = call, .i = 1 } },
                            .file = { fd, dialled(), -1, -1, -1, -1 } };
    if (call->file[ENDS + 1] < 0 || (mode->call_open && !mode->call_open(call))) {
        files_close(call);
    } else {
        files_register(call, call->file);
        mode->begin(&call->way[0]);
        mode->begin(&call->way[1]);
    }
    accept_ask();
}

static bool is_over(const struct way *way)
{
    return way->done && way->busy == 0;
}

static void completed(const struct io_uring_cqe *cqe)
{
    enum op op = cqe->user_data % OP_COUNT;
    size_t i = cqe->user_data / OP_COUNT;
    struct call *call = &calls[i / 2];
    struct way *way = &call->way[i % 2];

    if (io_uring_sq_space_left(&ring) < ROOM_COUNT) /* a chain must not be torn */
        sure(io_uring_submit(&ring), "io_uring_submit");
    if (op == ACCEPT) {
        accepted(cqe->res);
    } else if (op != POLL) {
        way->busy--;
        mode->completed(way, op, cqe->res, cqe->flags);
        if (is_over(&call->way[0]) && is_over(&call->way[1]))
            call_close(call);
    }
}

static void ring_open(unsigned call_count)
{
    struct io_uring_params params = { .flags = IORING_SETUP_SINGLE_ISSUER |
                                               IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_CQSIZE,
                                      .cq_entries = 4 * SUBMIT_COUNT };

    sure(io_uring_queue_init_params(SUBMIT_COUNT, &ring, &params), "io_uring_queue_init");
    sure(io_uring_register_ring_fd(&ring), "io_uring_register_ring_fd");
    sure(io_uring_register_files_sparse(&ring, call_count * mode->file_count),
         "io_uring_register_files_sparse");
}

static void relay(void)
{
    for (;;) {
        struct io_uring_cqe *cqe;
        unsigned head, count = 0;
        int submitted = io_uring_submit_and_wait(&ring, 1);

        if (submitted != -EINTR)
            sure(submitted, "io_uring_submit_and_wait");
        io_uring_for_each_cqe(&ring, head, cqe)
        {
            completed(cqe);
            count++;
        }
        io_uring_cq_advance(&ring, count);
    }
}

/* As many calls of these as there may be descriptors for. */
static unsigned long with_files(unsigned long count)
{
    struct rlimit files;
    unsigned long most;

    if (getrlimit(RLIMIT_NOFILE, &files) != 0)
        die("getrlimit");
    most = files.rlim_cur / mode->file_count - FILE_COUNT_OWN;
    return count < most ? count : most;
}

int main(int argc, char **argv)
{
    static const struct mode modes[] = {
        { "copy", PIPES, copy_open, NULL, copy_begin, copy_completed },
        { "splice", FILE_COUNT, splice_open, splice_call_open, splice_begin, splice_completed },
    };
    unsigned long count = argc == 5 ? strtoul(argv[4], NULL, 10) : 0;

    for (size_t i = 0; argc == 5 && i < sizeof modes / sizeof modes[0]; i++) {
        if (strcmp(argv[1], modes[i].name) == 0)
            mode = &modes[i];
    }
    if (!mode || count == 0 || count > CALL_COUNT_MAX)
        give_up("usage: uring copy|splice PORT BACK CALLS");
    (void)signal(SIGPIPE, SIG_IGN);
    back = (uint16_t)strtoul(argv[3], NULL, 10);
    count = with_files(count);
    calls = calloc(count, sizeof *calls);
    if (!calls)
        die("calloc");
    for (size_t i = count; i > 0; i--) {
        calls[i - 1].next_free = calls_free;
        calls_free = &calls[i - 1];
    }
    ring_open((unsigned)count);
    mode->open();
    listener = net_listen((uint16_t)strtoul(argv[2], NULL, 10));
    accept_ask();
    relay();
}
