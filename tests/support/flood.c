/* flood KIND DIR PORT ADDRESSES LINES RATE: attack the server at 127.0.0.1:PORT from so many
 * addresses, 127.1.0.1 and on, with at most so many lines at once and so many new ones a second.
 * Prepares what it needs, with DIR/operator.key, says `ready`, begins at an octet on standard
 * input, and goes on until that ends; then says what it did, one object of JSON.
 *
 *   slow      a hello of one octet a second
 *   bad       bad hellos: of two one has a wrong mac1; the other everything but the signature
 *   replay    hellos of subscribers, who said them before
 *   silent    connections, and nothing else
 *   return    each line a subscriber who waits; who is lost dials again as PROTOCOL.md 5.6 says,
 *             whatever the rate
 *   hoard     one subscriber, who waits on every line, under as many tags as a message takes
 *   linger    one subscriber, who waits on every line, and keeps those that are refused
 *   mute      each two lines a pair, who are joined, say READY and no prologue
 *   trickle   each two lines a pair, whose call has one octet a second from each
 *
 * Whoever is closed comes again; of bad and replay the oldest make room for others. */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "subscriber.h"

enum {
    EVENTS = 512,
    SCAN_US = 5000,
    DRIP_US = 1000000,
    AGAIN_US = 100000, /* PROTOCOL.md 5.6 */
    AGAIN_US_MAX = 30000000,
    HELLOS = 64,
    LINGER_US = 6000000, /* longer than the server does */
    ONE_EACH = 0x7fffffff
};

struct kind {
    const char *name;
    size_t hello_count; /* made in advance, at most one for each line; 0: none is said */
    bool bad;
    bool drips;     /* octets, one by one */
    bool leaves;    /* so that others come */
    bool registers; /* and reads what it is told */
    bool backs_off;
    bool lingers; /* when the server has said its last */
    bool pairs;
    bool prologues; /* said by pairs */
    uint16_t entry_count;
};

static const struct kind kinds[] = {
    { .name = "slow", .drips = true },
    { .name = "bad", .hello_count = HELLOS, .bad = true, .leaves = true },
    { .name = "replay", .hello_count = HELLOS, .leaves = true },
    { .name = "silent" },
    { .name = "return",
      .hello_count = ONE_EACH,
      .registers = true,
      .backs_off = true,
      .entry_count = 4 },
    { .name = "hoard",
      .hello_count = 1,
      .registers = true,
      .entry_count = CN_ADMISSION_ENTRY_COUNT_MAX },
    { .name = "linger", .hello_count = 1, .registers = true, .lingers = true, .entry_count = 1 },
    { .name = "mute", .hello_count = ONE_EACH, .registers = true, .pairs = true, .entry_count = 1 },
    { .name = "trickle",
      .hello_count = ONE_EACH,
      .registers = true,
      .pairs = true,
      .prologues = true,
      .drips = true,
      .entry_count = 1 },
};

/* What a subscriber says first; said again on every line. */
struct hello {
    struct cn_noise noise;
    uint8_t octets[CN_ADMISSION_SIZE];
};

enum state { CLOSED, CONNECTING, SAID, REGISTERED, SETTLED, LINGERING };

struct line {
    int fd;
    enum state state;
    double due_us;   /* of the next octet, or its end; if closed, it does not come again before */
    double pause_us; /* before it comes again */
    bool again;      /* it comes when it is due, at whatever rate others come */
    struct cn_admission_line keys;
    uint8_t in[CN_ADMISSION_SIZE];
    size_t in_size;
};

static struct {
    unsigned long connected, said, closed, verdicts, waiting, joined, refused;
    unsigned long open;
} count;

static const struct kind *kind;
static struct server server;
static struct sockaddr_in server_address;
static struct hello *hellos;
static size_t hello_count;
static struct line *lines;
static size_t line_count;
static uint32_t address_count;
static double rate;
static uint64_t salt; /* tags of this run are no other's */
static int epoll;

/* --- hellos ---------------------------------------------------------------------------------- */

static void hello_make(struct hello *h, bool bad, bool wrong_mac1)
{
    struct cn_fingerprint f = fingerprint_make(&server, 0, UINT64_MAX);
    uint8_t ephemeral[CN_X25519_SIZE];

    f.certificate.signature[0] ^= bad;
    random_fill(ephemeral, sizeof ephemeral);
    need(cn_admission_hello_write(&h->noise, &server.crypto, &f, ephemeral, h->octets) == CN_OK,
         "hello");
    h->octets[CN_ADMISSION_SIZE - 1] ^= wrong_mac1;
}

static void hellos_make(void)
{
    hello_count = kind->hello_count < line_count ? kind->hello_count : line_count;
    hellos = calloc(hello_count + 1, sizeof *hellos);
    need(hellos, "memory");
    for (size_t i = 0; i < hello_count; i++)
        hello_make(&hellos[i], kind->bad, kind->bad && i % 2);
}

/* --- a line ---------------------------------------------------------------------------------- */

static size_t index_of(const struct line *line)
{
    return (size_t)(line - lines);
}

static void line_close(struct line *line)
{
    close(line->fd); /* which takes it out of epoll */
    line->state = CLOSED;
    line->again = kind->backs_off;
    line->due_us = now_us() + (kind->backs_off ? line->pause_us * (1 + drand48() / 2) : 0);
    line->pause_us *= 2;
    if (line->pause_us > AGAIN_US_MAX)
        line->pause_us = AGAIN_US_MAX;
    count.open--;
}

static void line_dial(struct line *line)
{
    static unsigned long dialled;
    const int on = 1;
    const struct sockaddr_in from = {
        .sin_family = AF_INET,
        .sin_addr.s_addr = htonl(0x7f010001U + (uint32_t)(dialled++ % address_count)),
    };
    struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP, .data.ptr = line };

    line->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    need(line->fd >= 0 &&
             setsockopt(line->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on) == 0 &&
             bind(line->fd, (const struct sockaddr *)&from, sizeof from) == 0 &&
             epoll_ctl(epoll, EPOLL_CTL_ADD, line->fd, &event) == 0,
         "socket");
    line->state = CONNECTING;
    line->in_size = 0;
    count.open++;
    if (connect(line->fd, (const struct sockaddr *)&server_address, sizeof server_address) == 0)
        return;
    need(errno == EINPROGRESS || errno == ECONNREFUSED, "connect");
    if (errno == ECONNREFUSED) /* it is being started again */
        line_close(line);
}

/* False: the line is gone. */
static bool say(struct line *line, const void *octets, size_t size)
{
    if (send(line->fd, octets, size, MSG_NOSIGNAL) == (ssize_t)size)
        return true;
    count.closed++;
    line_close(line);
    return false;
}

static void drip(struct line *line)
{
    line->due_us = now_us() + DRIP_US;
    if (say(line, "s", 1))
        count.said++;
}

static bool may_drip(const struct line *line)
{
    return kind->drips && line->state == (kind->registers ? SETTLED : SAID);
}

static void connected(struct line *line)
{
    struct epoll_event event = { .events = EPOLLIN | EPOLLRDHUP, .data.ptr = line };

    need(epoll_ctl(epoll, EPOLL_CTL_MOD, line->fd, &event) == 0, "epoll");
    count.connected++;
    line->state = SAID;
    if (may_drip(line))
        drip(line);
    else if (hello_count > 0 &&
             say(line, hellos[index_of(line) % hello_count].octets, CN_ADMISSION_SIZE))
        count.said++;
}

static bool say_message(struct line *line, const struct cn_admission_message *m)
{
    uint8_t out[CN_ADMISSION_SIZE];

    need(cn_admission_seal(&line->keys, &server.crypto, m, out) == CN_OK, "seal");
    return say(line, out, sizeof out);
}

/* Tags of its own; of a pair, the same for both. */
static void say_register(struct line *line)
{
    struct cn_admission_message m = { .type = CN_ADMISSION_REGISTER,
                                      .entry_count = kind->entry_count };
    const size_t place = kind->pairs ? index_of(line) / 2 : index_of(line);

    for (uint16_t i = 0; i < m.entry_count; i++) {
        m.entry[i].mode = kind->pairs && index_of(line) % 2 ? CN_MODE_OUTPUT : CN_MODE_INPUT;
        memcpy(m.entry[i].tag, &salt, sizeof salt);
        memcpy(m.entry[i].tag + sizeof salt, &place, sizeof place);
        memcpy(m.entry[i].tag + sizeof salt + sizeof place, &i, sizeof i);
    }
    line->state = REGISTERED;
    (void)say_message(line, &m);
}

static void verdict_came(struct line *line)
{
    struct cn_noise noise = hellos[index_of(line) % hello_count].noise;
    struct cn_admission_verdict verdict;

    count.verdicts++;
    if (!kind->registers)
        return;
    need(cn_admission_verdict_read(&noise, line->in, &verdict, &line->keys) == CN_OK &&
             verdict.verdict == CN_VERDICT_ADMITTED,
         "verdict");
    say_register(line);
}

static void say_ready(struct line *line)
{
    static const uint8_t prologue[] = { 0, 1, 'p' };
    const struct cn_admission_message ready = { .type = CN_ADMISSION_READY };

    line->state = SETTLED;
    if (say_message(line, &ready) && kind->prologues)
        (void)say(line, prologue, sizeof prologue);
    line->due_us = now_us() + DRIP_US;
}

static void message_came(struct line *line)
{
    struct cn_admission_message m;

    need(cn_admission_open(&line->keys, &server.crypto, line->in, &m) == CN_OK, "message");
    count.waiting += m.type == CN_ADMISSION_WAITING;
    count.joined += m.type == CN_ADMISSION_JOINED;
    count.refused += m.type == CN_ADMISSION_REFUSED;
    if (m.type == CN_ADMISSION_WAITING)
        line->pause_us = AGAIN_US;
    if (m.type == CN_ADMISSION_JOINED)
        say_ready(line);
}

static void linger(struct line *line)
{
    need(epoll_ctl(epoll, EPOLL_CTL_DEL, line->fd, NULL) == 0, "epoll");
    line->state = LINGERING;
    line->due_us = now_us() + LINGER_US;
}

/* Whole messages are read one by one. */
static void readable(struct line *line)
{
    ssize_t got = recv(line->fd, line->in + line->in_size, sizeof line->in - line->in_size, 0);

    if (got == 0 && kind->lingers) {
        linger(line);
        return;
    }
    if (got <= 0) {
        if (got == 0 || errno != EAGAIN) {
            count.closed++;
            line_close(line);
        }
        return;
    }
    line->in_size += (size_t)got;
    if (line->in_size < sizeof line->in)
        return;
    line->in_size = 0;
    if (line->state == SAID)
        verdict_came(line);
    else if (line->state == REGISTERED)
        message_came(line);
}

static void happened(struct line *line, uint32_t events)
{
    if (line->state == CLOSED)
        return;
    if (line->state == CONNECTING && events & EPOLLOUT && !(events & (EPOLLERR | EPOLLHUP)))
        connected(line);
    if (line->state != CLOSED && events & (EPOLLIN | EPOLLRDHUP | EPOLLERR | EPOLLHUP))
        readable(line);
}

/* --- the flood ------------------------------------------------------------------------------- */

/* Go through the lines from where it ended last time: dial, as often as the rate allows; octets. */
static void scan(double *allowance)
{
    static size_t at;
    double now = now_us();

    for (size_t i = 0; i < line_count; i++) {
        struct line *line = &lines[at];

        if (may_drip(line) && now >= line->due_us)
            drip(line);
        if (line->state == LINGERING && now >= line->due_us)
            line_close(line);
        if (*allowance < 1 && !kind->drips && !kind->backs_off && !kind->lingers)
            return;
        if (kind->leaves && line->state == SAID && *allowance >= 1)
            line_close(line);
        if (line->state == CLOSED && now >= line->due_us && (line->again || *allowance >= 1)) {
            *allowance -= !line->again;
            line_dial(line);
        }
        at = (at + 1) % line_count;
    }
}

static void flood(void)
{
    struct epoll_event event[EVENTS];
    struct epoll_event ends = { .events = EPOLLIN, .data.ptr = NULL };
    double began = now_us();
    double scanned = began;
    double allowance = 0;
    bool over = false;

    need(epoll_ctl(epoll, EPOLL_CTL_ADD, STDIN_FILENO, &ends) == 0, "epoll");
    while (!over) {
        int got = epoll_wait(epoll, event, EVENTS, 1);
        double now = now_us();

        for (int i = 0; i < got; i++) {
            if (event[i].data.ptr)
                happened(event[i].data.ptr, event[i].events);
            else
                over = true;
        }
        if (now - scanned < SCAN_US)
            continue;
        allowance += (now - scanned) * rate / 1e6;
        if (allowance > rate / 10)
            allowance = rate / 10;
        scanned = now;
        scan(&allowance);
    }
    printf("{\"seconds\": %.3f, \"connected\": %lu, \"said\": %lu, \"closed\": %lu, "
           "\"verdicts\": %lu, \"waiting\": %lu, \"joined\": %lu, \"refused\": %lu, "
           "\"open\": %lu}\n",
           (now_us() - began) / 1e6, count.connected, count.said, count.closed, count.verdicts,
           count.waiting, count.joined, count.refused, count.open);
}

static const struct kind *kind_named(const char *name)
{
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (strcmp(kinds[i].name, name) == 0)
            return &kinds[i];
    }
    return NULL;
}

int main(int argc, char **argv)
{
    kind = argc == 7 ? kind_named(argv[1]) : NULL;
    if (!kind)
        return 2;
    server_address = (struct sockaddr_in) { .sin_family = AF_INET,
                                            .sin_port = htons((uint16_t)strtoul(argv[3], NULL, 10)),
                                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    address_count = (uint32_t)strtoul(argv[4], NULL, 10);
    line_count = strtoul(argv[5], NULL, 10);
    rate = strtod(argv[6], NULL);
    need(address_count > 0 && line_count > 0, "none");
    descriptors_allow(line_count);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    lines = calloc(line_count, sizeof *lines);
    need(epoll >= 0 && lines, "memory");
    for (size_t i = 0; i < line_count; i++)
        lines[i].pause_us = AGAIN_US;
    random_fill((uint8_t *)&salt, sizeof salt);
    server_take(&server, argv[2]);
    hellos_make();
    printf("ready\n");
    fflush(stdout);
    if (getchar() == EOF)
        return 1;
    flood();
    free(lines);
    free(hellos);
    server_wipe(&server);
    return 0;
}
