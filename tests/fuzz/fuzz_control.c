/* Who may ask the server says anything there, in any pieces: he is told one JSON object and then
 * the end, or nothing; the state that he waits for may come into force late, or not; and after a
 * while nobody is left. The input is what happens, one octet for what and one for whom: 0 he comes
 * 1 what follows (u8 octets) is said   2 he says no more   3 he goes 4 the server has its turn   5
 * time passes (u8, 100 ms)   6 the registry is in force up to u8 7 reading the registry fails from
 * now on, or not */
#include "../../server/requests.c"

#include "fuzz.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "reader.h"

enum { PEER_COUNT = 12, STEP_COUNT_MAX = 256, TURN_COUNT = 4, SERIAL_BLOCKED = 7 };

struct cn_cyphernetd cn_cyphernetd;

static int peers[PEER_COUNT];
static bool told[PEER_COUNT];
static uint64_t clock_ms;
static uint32_t state_number;
static bool failing;

/* --- what requests stand on ----------------------------------------------------------------- */

enum cn_err cn_reloading_registry(struct cn_registry_content *content)
{
    memset(content, 0, sizeof *content);
    if (failing)
        return CN_E_ABSENT;
    content->blocked = calloc(1, sizeof *content->blocked);
    must(content->blocked != NULL);
    content->blocked[0].serial = SERIAL_BLOCKED;
    content->blocked_count = 1;
    return CN_OK;
}

void cn_reloading_wipe(struct cn_registry_content *content)
{
    free(content->blocked);
    content->blocked = NULL;
}

enum cn_err cn_reloading_apply(const struct cn_registry_content *content, uint32_t *number)
{
    must(content->blocked != NULL);
    *number = ++state_number;
    return CN_OK;
}

void cn_supervisor_status(const struct cn_supervisor *supervisor, struct cn_status *status)
{
    (void)supervisor;
    memset(status, 0, sizeof *status);
}

static uint64_t clock_now(void)
{
    return clock_ms;
}

static bool answer(void *context, uint64_t asker, const char *request, char *reply, size_t size)
{
    const size_t waiting = cn_cyphernetd.request_count;
    const bool is_now = cn_requests_answer(context, asker, request, reply, size);

    must(strlen(request) < CN_CONTROL_REQUEST_SIZE_MAX);
    must(cn_cyphernetd.request_count <= CN_REQUESTS_MAX);
    if (is_now)
        must(cn_cyphernetd.request_count == waiting && strlen(reply) < size);
    return is_now;
}

/* --- who asks ------------------------------------------------------------------------------- */

static void come(int listener, size_t who)
{
    struct sockaddr_un address;
    socklen_t size = sizeof address;

    if (peers[who] >= 0)
        return;
    peers[who] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    told[who] = false;
    must(peers[who] >= 0 && getsockname(listener, (struct sockaddr *)&address, &size) == 0);
    must(connect(peers[who], (const struct sockaddr *)&address, size) == 0);
}

static void go(size_t who)
{
    if (peers[who] >= 0)
        close(peers[who]);
    peers[who] = -1;
}

/* A reply is sent at once and whole, and nothing comes behind it. True: it is over. */
static bool hear(size_t who)
{
    static char reply[CN_CONTROL_REPLY_SIZE_MAX + 1];
    ssize_t size;

    if (peers[who] < 0)
        return true;
    size = recv(peers[who], reply, sizeof reply, MSG_DONTWAIT);
    if (size <= 0)
        return size == 0 || errno != EAGAIN;
    must(!told[who] && size < CN_CONTROL_REPLY_SIZE_MAX);
    must(reply[0] == '{' && reply[size - 1] == '\n' && reply[size - 2] == '}');
    must(memchr(reply, '\n', (size_t)size) == reply + size - 1);
    told[who] = true;
    return false;
}

/* --- all of it ------------------------------------------------------------------------------ */

static void turns(unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        must(cn_loop_turn(&cn_cyphernetd.loop, false) == CN_OK);
}

static void step(int listener, struct cn_reader *r)
{
    const uint8_t what = cn_reader_u8(r) % 8;
    const uint8_t much = cn_reader_u8(r);
    const size_t who = much % PEER_COUNT;

    if (what == 0) {
        come(listener, who);
    } else if (what == 1) {
        const size_t wanted = cn_reader_u8(r);
        const size_t size = wanted < r->left ? wanted : r->left;
        const uint8_t *said = cn_reader_take(r, size);

        if (peers[who] >= 0 && said)
            (void)send(peers[who], said, size, MSG_NOSIGNAL | MSG_DONTWAIT);
    } else if (what == 2) {
        if (peers[who] >= 0)
            (void)shutdown(peers[who], SHUT_WR);
    } else if (what == 3) {
        go(who);
    } else if (what == 4) {
        turns(1 + much % 2);
    } else if (what == 5) {
        clock_ms += (uint64_t)much * 100;
    } else if (what == 6) {
        cn_requests_applied(NULL, much, much % 3 == 0 ? CN_E_MEMORY : CN_OK, much);
    } else {
        failing = much % 2 == 1;
    }
    for (size_t i = 0; i < PEER_COUNT; i++)
        (void)hear(i);
}

static int listen_anywhere(void)
{
    const struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    /* an address of no octets: the kernel finds one that is in no directory */
    must(fd >= 0 && bind(fd, (const struct sockaddr *)&address, sizeof(sa_family_t)) == 0);
    must(listen(fd, STEP_COUNT_MAX) == 0);
    return fd;
}

/* Who has not asked is sent away after his time, with who waits for what does not come. */
static void end(void)
{
    turns(TURN_COUNT);
    for (int i = 0; i < 2; i++) {
        clock_ms += CN_CONTROL_TIMEOUT_MS;
        turns(TURN_COUNT);
    }
    for (size_t i = 0; i < PEER_COUNT; i++) {
        while (!hear(i))
            must(told[i]); /* the end comes behind it */
        go(i);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t in_size)
{
    struct cn_reader r = { .at = in, .left = in_size };
    int listener = listen_anywhere();

    memset(&cn_cyphernetd, 0, sizeof cn_cyphernetd);
    memset(peers, 0xff, sizeof peers);
    cn_log_level_set(CN_LOG_FAILURES);
    clock_ms = 1000;
    state_number = 0;
    failing = false;
    must(cn_loop_init(&cn_cyphernetd.loop, PEER_COUNT) == CN_OK);
    cn_cyphernetd.loop.clock_ms = clock_now;
    must(cn_control_open(&cn_cyphernetd.control, &cn_cyphernetd.loop, listener, answer, NULL) ==
         CN_OK);
    for (int i = 0; i < STEP_COUNT_MAX && r.left > 0; i++)
        step(listener, &r);
    end();
    cn_control_close(cn_cyphernetd.control);
    cn_loop_wipe(&cn_cyphernetd.loop);
    return 0;
}
