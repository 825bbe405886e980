/* subscriber.c - calls through cyphernetd: two lines admitted, joined under a tag, prologues
 * passed. PROTOCOL.md 3 */
#include "admission.h"

#include <stdio.h>
#include <string.h>

#include "armor.h"
#include "net.h"
#include "random.h"
#include "way.h"

/* A prologue of the least size: the server does not read it. */
static const uint8_t prologue[] = { 0, 1, 'p' };

static struct cn_crypto crypto;
static struct cn_fingerprint fingerprint[END_COUNT];

struct hello {
    struct cn_noise noise;
    uint8_t octets[CN_ADMISSION_SIZE];
};

/* Of both ends of a call, made beforehand: else the load, which computes as much for a line as the
 * server does, would be what limits the joins. Each is used once. */
enum { MADE_COUNT_MAX = 512 };
static struct hello made[MADE_COUNT_MAX][END_COUNT];
static size_t made_count;

struct line {
    int fd;
    struct cn_noise noise;
    struct cn_admission_line keys;
};

static void must(enum cn_err err, const char *what)
{
    if (err != CN_OK) {
        fprintf(stderr, "relay: %s: ", what);
        give_up(cn_err_text(err));
    }
}

void subscriber_open(const struct way *way)
{
    static char text[CN_ARMOR_TEXT_SIZE_MAX];

    must(cn_crypto_init(&crypto), "libcrypto");
    for (int i = 0; i < END_COUNT; i++) {
        FILE *file = fopen(way->fingerprint[i], "rb");
        size_t size;

        if (!file)
            die(way->fingerprint[i]);
        size = fread(text, 1, sizeof text, file);
        fclose(file);
        must(cn_fingerprint_decode(&crypto, text, size, &fingerprint[i]), "fingerprint");
    }
}

static void hello_make(struct hello *h, int end)
{
    uint8_t ephemeral[CN_X25519_SIZE];

    must(cn_random_fill(&cn_system_random, ephemeral, sizeof ephemeral), "random");
    must(cn_admission_hello_write(&h->noise, &crypto, &fingerprint[end], ephemeral, h->octets),
         "hello");
}

void subscriber_begin(const struct way *way)
{
    (void)way;
    for (made_count = 0; made_count < MADE_COUNT_MAX; made_count++) {
        for (int i = 0; i < END_COUNT; i++)
            hello_make(&made[made_count][i], i);
    }
}

static void hello(struct line *line, const struct way *way, const struct hello *h)
{
    line->noise = h->noise;
    line->fd = net_dial(way->port);
    net_write(line->fd, h->octets, sizeof h->octets);
}

static void verdict(struct line *line)
{
    struct cn_admission_verdict v;
    uint8_t in[CN_ADMISSION_SIZE];

    net_read(line->fd, in, sizeof in);
    must(cn_admission_verdict_read(&line->noise, in, &v, &line->keys), "verdict");
    if (v.verdict != CN_VERDICT_ADMITTED)
        give_up("verdict: not admitted");
}

static void say(struct line *line, const struct cn_admission_message *message)
{
    uint8_t out[CN_ADMISSION_SIZE];

    must(cn_admission_seal(&line->keys, &crypto, message, out), "seal");
    net_write(line->fd, out, sizeof out);
}

static void expect(struct line *line, enum cn_admission_type type)
{
    struct cn_admission_message m;
    uint8_t in[CN_ADMISSION_SIZE];

    net_read(line->fd, in, sizeof in);
    must(cn_admission_open(&line->keys, &crypto, in, &m), "message");
    if (m.type != type)
        give_up("the server says something else than expected");
}

void subscriber_call(const struct way *way, int ends[END_COUNT])
{
    static const struct cn_admission_message ready = { .type = CN_ADMISSION_READY };
    struct cn_admission_message wanted = { .type = CN_ADMISSION_REGISTER, .entry_count = 1 };
    struct cn_entry *entry = &wanted.entry[0];
    struct line line[END_COUNT];

    must(cn_random_fill(&cn_system_random, entry->tag, sizeof entry->tag), "random");
    if (made_count == 0) {
        for (int i = 0; i < END_COUNT; i++)
            hello_make(&made[0][i], i);
        made_count = 1;
    }
    made_count--;
    for (int i = 0; i < END_COUNT; i++)
        hello(&line[i], way, &made[made_count][i]);
    for (int i = 0; i < END_COUNT; i++) {
        verdict(&line[i]);
        entry->mode = i == CALLER ? CN_MODE_OUTPUT : CN_MODE_INPUT;
        say(&line[i], &wanted);
        if (i == CALLER)
            expect(&line[i], CN_ADMISSION_WAITING); /* so that it is the one who waits */
    }
    for (int i = 0; i < END_COUNT; i++) {
        expect(&line[i], CN_ADMISSION_JOINED);
        say(&line[i], &ready);
        net_write(line[i].fd, prologue, sizeof prologue);
    }
    for (int i = 0; i < END_COUNT; i++) {
        uint8_t theirs[sizeof prologue];

        net_read(line[i].fd, theirs, sizeof theirs);
        if (memcmp(theirs, prologue, sizeof prologue) != 0)
            give_up("another prologue than was sent");
        cn_admission_line_wipe(&line[i].keys);
        ends[i] = line[i].fd;
    }
}
