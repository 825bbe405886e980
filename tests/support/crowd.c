/* crowd DIR PORT COUNT TAGS: that many subscribers, each waiting on one line to the server at
 * 127.0.0.1:PORT under so many tags. Their certificates are signed with DIR/operator.key; the
 * registry does not learn of them. Says `waiting COUNT`; then reads commands, one a line:
 *
 *   join NUMBER      another subscriber comes for line NUMBER, which is joined and then leaves, as
 *                    its partner does; answers `joined MICROSECONDS`, from REGISTER to its JOINED
 *   call             two others, the same each time, meet: one waits, one comes, each hears the
 *                    prologue of the other, both leave. They dial again as PROTOCOL.md 5.6 says,
 *                    and only that. Answers `called US US US LOST`: how long it took from dialling
 *                    until the one waited, from dialling until the other was joined, and from then
 *                    until both had the prologues; and how many lines were lost before they were
 *
 * Ends with its input. Anything that does not go well ends it with 1. */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "subscriber.h"

enum {
    TIMEOUT_S = 60,
    TAGS_MAX = CN_ADMISSION_ENTRY_COUNT_MAX,
    DIAL_AGAIN_US = 100000,
    PROLOGUE_SIZE = 2 + 4096
};

struct member {
    int fd;
    struct cn_fingerprint fingerprint;
    struct cn_admission_line line;
    struct cn_entry entry[TAGS_MAX];
    uint16_t entry_count;
};

static struct server server;
static struct sockaddr_in server_address;
static uint16_t tag_count;

/* --- one subscriber -------------------------------------------------------------------------- */

static bool say(int fd, const void *octets, size_t size)
{
    return send(fd, octets, size, MSG_NOSIGNAL) == (ssize_t)size;
}

static bool hear(int fd, void *octets, size_t size)
{
    return recv(fd, octets, size, MSG_WAITALL) == (ssize_t)size;
}

static struct member member_make(enum cn_mode mode)
{
    struct member m = { .fd = -1,
                        .fingerprint = fingerprint_make(&server, 0, UINT64_MAX),
                        .entry_count = tag_count };

    for (uint16_t i = 0; i < tag_count; i++) {
        m.entry[i].mode = mode;
        random_fill(m.entry[i].tag, CN_TAG_SIZE);
    }
    return m;
}

static void leave(struct member *m)
{
    close(m->fd);
    m->fd = -1;
}

/* False: the line was lost. */
static bool admit(struct member *m)
{
    const struct timeval limit = { .tv_sec = TIMEOUT_S };
    const int on = 1;
    struct cn_admission_verdict verdict;
    struct cn_noise noise;
    uint8_t ephemeral[CN_X25519_SIZE];
    uint8_t message[CN_ADMISSION_SIZE];

    m->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    need(m->fd >= 0 && setsockopt(m->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == 0 &&
             setsockopt(m->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0 &&
             connect(m->fd, (const struct sockaddr *)&server_address, sizeof server_address) == 0,
         "connect");
    random_fill(ephemeral, sizeof ephemeral);
    need(cn_admission_hello_write(&noise, &server.crypto, &m->fingerprint, ephemeral, message) ==
             CN_OK,
         "hello");
    if (!say(m->fd, message, sizeof message) || !hear(m->fd, message, sizeof message))
        return false;
    need(cn_admission_verdict_read(&noise, message, &verdict, &m->line) == CN_OK &&
             verdict.verdict == CN_VERDICT_ADMITTED,
         "verdict");
    return true;
}

static bool say_message(struct member *m, enum cn_admission_type type)
{
    struct cn_admission_message said = { .type = type };
    uint8_t message[CN_ADMISSION_SIZE];

    if (type == CN_ADMISSION_REGISTER) {
        said.entry_count = m->entry_count;
        memcpy(said.entry, m->entry, m->entry_count * sizeof m->entry[0]);
    }
    need(cn_admission_seal(&m->line, &server.crypto, &said, message) == CN_OK, "seal");
    return say(m->fd, message, sizeof message);
}

/* False: the line was lost, or this did not come. */
static bool hears(struct member *m, enum cn_admission_type type)
{
    struct cn_admission_message heard;
    uint8_t message[CN_ADMISSION_SIZE];

    return hear(m->fd, message, sizeof message) &&
           cn_admission_open(&m->line, &server.crypto, message, &heard) == CN_OK &&
           heard.type == type;
}

static bool begin_waiting(struct member *m)
{
    return admit(m) && say_message(m, CN_ADMISSION_REGISTER) && hears(m, CN_ADMISSION_WAITING);
}

/* --- calls ----------------------------------------------------------------------------------- */

static bool say_prologue(struct member *m, uint8_t octet)
{
    uint8_t octets[PROLOGUE_SIZE];

    memset(octets, octet, sizeof octets);
    octets[0] = (PROLOGUE_SIZE - 2) >> 8;
    octets[1] = (PROLOGUE_SIZE - 2) & 0xff;
    return say_message(m, CN_ADMISSION_READY) && say(m->fd, octets, sizeof octets);
}

static bool hears_prologue(struct member *m, uint8_t octet)
{
    uint8_t octets[PROLOGUE_SIZE];

    if (!hear(m->fd, octets, sizeof octets))
        return false;
    for (size_t i = 2; i < sizeof octets; i++)
        need(octets[i] == octet, "a prologue that nobody said");
    return true;
}

/* Dial until that went well; how long it took. */
static double reach(struct member *m, bool (*how)(struct member *m), unsigned *lost)
{
    double began = now_us();
    useconds_t pause_us = DIAL_AGAIN_US;

    while (!how(m)) {
        leave(m);
        ++*lost;
        usleep(pause_us);
        pause_us *= 2;
    }
    return now_us() - began;
}

static bool come(struct member *m)
{
    return admit(m) && say_message(m, CN_ADMISSION_REGISTER) && hears(m, CN_ADMISSION_JOINED);
}

static bool pass_prologues(struct member *one, struct member *other)
{
    return hears(one, CN_ADMISSION_JOINED) && say_prologue(one, 'a') && say_prologue(other, 'b') &&
           hears_prologue(one, 'b') && hears_prologue(other, 'a');
}

static void call(struct member *one, struct member *other)
{
    unsigned lost = 0;
    double waited_us = reach(one, begin_waiting, &lost);
    double joined_us = reach(other, come, &lost);
    double began = now_us();

    need(pass_prologues(one, other), "prologues");
    printf("called %.0f %.0f %.0f %u\n", waited_us, joined_us, now_us() - began, lost);
    leave(one);
    leave(other);
}

/* --- the crowd ------------------------------------------------------------------------------- */

static void join(struct member *m)
{
    struct member visitor = member_make(CN_MODE_OUTPUT);
    double began;

    need(m->fd >= 0, "that line has left");
    need(admit(&visitor), "admission");
    memcpy(visitor.entry[0].tag, m->entry[tag_count - 1].tag, CN_TAG_SIZE);
    visitor.entry_count = 1;
    began = now_us();
    need(say_message(&visitor, CN_ADMISSION_REGISTER) && hears(&visitor, CN_ADMISSION_JOINED),
         "JOINED");
    printf("joined %.0f\n", now_us() - began);
    need(hears(m, CN_ADMISSION_JOINED), "JOINED of who waited");
    leave(&visitor);
    leave(m);
}

static void commands(struct member *members, size_t count)
{
    struct member one = member_make(CN_MODE_INPUT);
    struct member other = member_make(CN_MODE_OUTPUT);
    char text[64];

    memcpy(other.entry[0].tag, one.entry[0].tag, CN_TAG_SIZE);
    while (fgets(text, sizeof text, stdin)) {
        size_t number = strtoul(text + strcspn(text, " \n"), NULL, 10);

        if (strcmp(text, "call\n") == 0)
            call(&one, &other);
        else {
            need(strncmp(text, "join ", 5) == 0 && number < count, "no such command");
            join(&members[number]);
        }
        fflush(stdout);
    }
}

int main(int argc, char **argv)
{
    struct member *members;
    size_t count;

    if (argc != 5)
        return 2;
    count = strtoul(argv[3], NULL, 10);
    tag_count = (uint16_t)strtoul(argv[4], NULL, 10);
    members = calloc(count + 1, sizeof *members);
    need(members && tag_count > 0 && tag_count <= TAGS_MAX, "so many");
    server_address = (struct sockaddr_in) { .sin_family = AF_INET,
                                            .sin_port = htons((uint16_t)strtoul(argv[2], NULL, 10)),
                                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    descriptors_allow(count);
    server_take(&server, argv[1]);
    for (size_t i = 0; i < count; i++) {
        members[i] = member_make(CN_MODE_INPUT);
        need(begin_waiting(&members[i]), "WAITING");
    }
    printf("waiting %zu\n", count);
    fflush(stdout);
    commands(members, count);
    free(members);
    server_wipe(&server);
    return 0;
}
