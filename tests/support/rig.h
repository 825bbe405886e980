/* rig.h - a gate and a switch worker in this process, with a clock that stands still until told,
 * and subscribers at the other ends of socket pairs. For unit tests and fuzzing; include after a
 * struct cn_crypto is at hand. */
#ifndef CN_TEST_RIG_H
#define CN_TEST_RIG_H

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gate.h"
#include "worker.h"

enum { RIG_LINES = 32 };

struct rig {
    const struct cn_crypto *crypto;
    struct cn_loop loop;
    struct cn_config config;
    struct cn_random random;
    uint64_t seed;
    struct cn_admission_server server;
    struct cn_server_public server_key;
    struct cn_operator_secret operator_secret;
    struct cn_settings settings;
    struct cn_who_secret who_secret;
    struct cn_page_map page; /* of the gate */
    struct cn_page_map worker_page;
    struct cn_gate *gate;
    struct cn_worker *worker;
    uint32_t calls_cut; /* as the gate was told last */
};

/* A subscriber's end of a line. */
struct peer {
    int fd; /* -1: closed */
    struct cn_fingerprint fingerprint;
    struct cn_noise noise;
    struct cn_admission_line line;
};

static uint64_t rig_now_ms;

static inline uint64_t rig_clock(void)
{
    return rig_now_ms;
}

static inline enum cn_err rig_fill(void *context, uint8_t *out, size_t size)
{
    uint64_t *state = context;

    for (size_t i = 0; i < size; i++) {
        *state = *state * 6364136223846793005U + 1442695040888963407U;
        out[i] = (uint8_t)(*state >> 56);
    }
    return CN_OK;
}

/* An error here is the rig's own. */
static inline void rig_need(bool fine)
{
    if (!fine)
        abort();
}

static inline int rig_after(void *context)
{
    struct rig *rig = (struct rig *)context;

    cn_gate_turn(rig->gate);
    return rig->worker && cn_worker_turn(rig->worker);
}

static inline void rig_was_cut(void *context, uint32_t count)
{
    ((struct rig *)context)->calls_cut = count;
}

static inline struct cn_page_map rig_page(void)
{
    struct cn_page_map map = { 0 };
    int fd = -1;

    rig_need(cn_page_make(&fd, RIG_LINES) == CN_OK && cn_page_map(&map, fd, true) == CN_OK);
    close(fd);
    return map;
}

static inline struct cn_switch_limits rig_limits(const struct rig *rig)
{
    return (struct cn_switch_limits) { .pairs_max = RIG_LINES / 2 + 1,
                                       .owner_max = RIG_LINES,
                                       .pipes_max = rig->config.pipes_max,
                                       .turn_size = rig->config.turn_size,
                                       .idle_ms = (uint64_t)rig->config.idle_timeout * 1000,
                                       .stall_ms = (uint64_t)rig->config.stall_timeout * 1000 };
}

/* A channel between the gate and the worker. */
static inline void rig_connect(struct rig *rig)
{
    int channel[2];

    rig_need(cn_channel_make(channel) == CN_OK &&
             cn_worker_gate(rig->worker, channel[0]) == CN_OK &&
             cn_gate_worker(rig->gate, channel[1], 1, false) == CN_OK);
}

/* The gate with rig->config, nobody on it. */
static inline void rig_start(struct rig *rig)
{
    struct cn_gate_setup setup = { &rig->loop,   rig->crypto,  &rig->random,
                                   &rig->server, &rig->config, &rig->who_secret,
                                   &rig->page,   RIG_LINES,    NULL };
    struct cn_switch_limits limits = rig_limits(rig);
    uint32_t cut;

    rig->page = rig_page();
    rig->worker_page = rig_page();
    rig_need(cn_loop_init(&rig->loop, 4 * RIG_LINES) == CN_OK);
    rig_now_ms = 1000000;
    rig->loop.clock_ms = rig_clock;
    rig->loop.now_ms = rig_now_ms;
    rig->loop.after = rig_after;
    rig->loop.after_context = rig;
    rig_need(cn_gate_create(&rig->gate, &setup) == CN_OK);
    rig_need(cn_worker_create(&rig->worker, &rig->loop, &rig->worker_page, &limits) == CN_OK);
    cn_worker_rate(rig->worker, 0, rig->config.rate_per_subscriber);
    cn_gate_on_cut(rig->gate, rig_was_cut, rig);
    rig_connect(rig);
    rig_need(cn_gate_registry(rig->gate, &rig->settings, NULL, 0, &cut) == CN_OK);
}

static inline void rig_stop(struct rig *rig)
{
    cn_gate_destroy(rig->gate);
    cn_worker_destroy(rig->worker);
    cn_loop_wipe(&rig->loop);
    cn_page_unmap(&rig->page);
    cn_page_unmap(&rig->worker_page);
    rig->gate = NULL;
    rig->worker = NULL;
}

/* Keys and default limits; rig_start comes next. */
static inline void rig_init(struct rig *rig, const struct cn_crypto *with)
{
    const struct cn_server_secret secret = { { 0, 1 } };

    *rig = (struct rig) { .crypto = with, .operator_secret = { { 0, 2 } } };
    rig->random = (struct cn_random) { rig_fill, &rig->seed };
    cn_config_defaults(&rig->config);
    rig_need(cn_admission_server_init(&rig->server, with, &secret) == CN_OK);
    rig_need(cn_x25519_public(secret.bytes, rig->server_key.bytes) == CN_OK);
    rig_need(cn_ed25519_public(rig->operator_secret.bytes, rig->settings.operators[0].bytes) ==
             CN_OK);
    rig->settings.operator_count = 1;
}

/* Let the gate do whatever there is to do now. */
static inline void rig_turn(struct rig *rig)
{
    for (int i = 0; i < 8 || rig->loop.more; i++)
        rig_need(cn_loop_turn(&rig->loop, false) == CN_OK);
}

static inline void rig_later(struct rig *rig, uint64_t ms)
{
    rig_now_ms += ms;
    rig_turn(rig);
}

static inline struct cn_gate_status rig_status(const struct rig *rig)
{
    struct cn_gate_status status;

    cn_gate_status(rig->gate, &status);
    return status;
}

static inline uint64_t rig_count(const struct rig *rig, enum cn_gate_count count)
{
    return rig_status(rig).count[count];
}

/* --- peers ----------------------------------------------------------------------------------- */

/* Subscriber number who. Made once, since a test may meet the same one very often. */
static inline struct cn_fingerprint peer_fingerprint(const struct rig *rig, uint8_t who)
{
    static struct cn_fingerprint made[256];
    struct cn_fingerprint *f = &made[who];

    if (f->has_secret)
        return *f;
    f->has_secret = true;
    f->server_key = rig->server_key;
    f->secret.bytes[1] = who;
    f->certificate.serial = who;
    f->certificate.not_after = UINT64_MAX;
    rig_need(cn_x25519_public(f->secret.bytes, f->certificate.admission_key) == CN_OK);
    rig_need(cn_certificate_sign(&f->certificate, &rig->operator_secret) == CN_OK);
    return *f;
}

/* The holder of that certificate, refused. */
static inline struct cn_blocked rig_blocked(const struct rig *rig, const struct cn_fingerprint *f,
                                            uint64_t serial, enum cn_verdict reason)
{
    struct cn_blocked b = { .serial = serial, .reason = reason };

    memcpy(b.admission_key, f->certificate.admission_key, sizeof b.admission_key);
    rig_need(cn_who(rig->crypto, &rig->who_secret, b.admission_key, &b.who) == CN_OK);
    return b;
}

/* Pairs that the worker has. */
static inline uint32_t rig_calls(const struct rig *rig)
{
    return rig->worker_page.page->calls.pairs;
}

/* A connection of it from 10.0.0.address; nothing has been said. */
static inline struct peer peer_connect(struct rig *rig, uint8_t who, uint8_t address)
{
    struct sockaddr_in from = { .sin_family = AF_INET };
    struct peer p = { .fingerprint = peer_fingerprint(rig, who) };
    int ends[2];

    from.sin_addr.s_addr = htonl(0x0a000000U + address);
    rig_need(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
    p.fd = ends[0];
    cn_gate_accept(rig->gate, ends[1], (const struct sockaddr *)&from);
    return p;
}

static inline void peer_close(struct peer *p)
{
    if (p->fd >= 0)
        close(p->fd);
    p->fd = -1;
}

/* False: the other end has gone. */
static inline bool peer_raw(struct peer *p, const void *octets, size_t size)
{
    return send(p->fd, octets, size, MSG_NOSIGNAL) == (ssize_t)size;
}

static inline void peer_make_hello(struct rig *rig, struct peer *p, uint8_t out[CN_ADMISSION_SIZE])
{
    uint8_t ephemeral[CN_X25519_SIZE];

    rig_fill(&rig->seed, ephemeral, sizeof ephemeral);
    rig_need(cn_admission_hello_write(&p->noise, rig->crypto, &p->fingerprint, ephemeral, out) ==
             CN_OK);
}

static inline void peer_hello(struct rig *rig, struct peer *p)
{
    uint8_t hello[CN_ADMISSION_SIZE];

    peer_make_hello(rig, p, hello);
    (void)peer_raw(p, hello, sizeof hello);
    rig_turn(rig);
}

/* The next so many octets; false: they have not come. */
static inline bool peer_take(struct peer *p, uint8_t *out, size_t size)
{
    size_t have = 0;

    while (have < size) {
        ssize_t got = recv(p->fd, out + have, size - have, 0);

        if (got <= 0)
            return false;
        have += (size_t)got;
    }
    return true;
}

enum state { OPEN, ENDED, SPEAKS };

/* Whether the line is still there, and silent. */
static inline enum state peer_state(struct peer *p)
{
    uint8_t octet;
    ssize_t got = recv(p->fd, &octet, 1, MSG_PEEK);

    if (got > 0)
        return SPEAKS;
    return got < 0 && errno == EAGAIN ? OPEN : ENDED;
}

/* CN_VERDICT_COUNT: none came. */
static inline enum cn_verdict peer_verdict(struct peer *p)
{
    uint8_t in[CN_ADMISSION_SIZE];
    struct cn_admission_verdict verdict;

    if (!peer_take(p, in, sizeof in) ||
        cn_admission_verdict_read(&p->noise, in, &verdict, &p->line) != CN_OK)
        return CN_VERDICT_COUNT;
    return verdict.verdict;
}

/* Connected and admitted. */
static inline struct peer peer_admit(struct rig *rig, uint8_t who)
{
    struct peer p = peer_connect(rig, who, who);

    peer_hello(rig, &p);
    rig_need(peer_verdict(&p) == CN_VERDICT_ADMITTED);
    return p;
}

static inline void peer_message(struct rig *rig, struct peer *p,
                                const struct cn_admission_message *m)
{
    uint8_t out[CN_ADMISSION_SIZE];

    rig_need(cn_admission_seal(&p->line, rig->crypto, m, out) == CN_OK);
    (void)peer_raw(p, out, sizeof out);
}

/* A message of that type, with one entry if it needs one. */
static inline void peer_say(struct rig *rig, struct peer *p, enum cn_admission_type type,
                            enum cn_mode mode, uint8_t tag)
{
    struct cn_admission_message m = { .type = type, .reason = CN_VERDICT_REVOKED };

    if (type == CN_ADMISSION_REGISTER || type == CN_ADMISSION_UPDATE ||
        type == CN_ADMISSION_JOINED) {
        m.entry_count = 1;
        m.entry[0].mode = mode;
        m.entry[0].tag[0] = tag;
    }
    peer_message(rig, p, &m);
}

/* The next message's type; CN_ADMISSION_TYPE_COUNT: none, or none that can be opened. */
static inline enum cn_admission_type peer_hear(struct rig *rig, struct peer *p,
                                               struct cn_admission_message *m)
{
    struct cn_admission_message unwanted;
    uint8_t in[CN_ADMISSION_SIZE];

    if (!m)
        m = &unwanted;
    if (!peer_take(p, in, sizeof in) || cn_admission_open(&p->line, rig->crypto, in, m) != CN_OK)
        return CN_ADMISSION_TYPE_COUNT;
    return m->type;
}

/* Admitted and registered under one tag, the gate given its turn; the answer is not read. */
static inline struct peer peer_register(struct rig *rig, uint8_t who, enum cn_mode mode,
                                        uint8_t tag)
{
    struct peer p = peer_admit(rig, who);

    peer_say(rig, &p, CN_ADMISSION_REGISTER, mode, tag);
    rig_turn(rig);
    return p;
}

/* Two lines that have heard JOINED. */
static inline void peer_pair(struct rig *rig, struct peer *a, struct peer *b)
{
    *a = peer_register(rig, 1, CN_MODE_INPUT, 7);
    rig_need(peer_hear(rig, a, NULL) == CN_ADMISSION_WAITING);
    *b = peer_register(rig, 2, CN_MODE_OUTPUT, 7);
    rig_need(peer_hear(rig, a, NULL) == CN_ADMISSION_JOINED);
    rig_need(peer_hear(rig, b, NULL) == CN_ADMISSION_JOINED);
}

/* READY, and a prologue of so many octets, all of them fill. */
static inline void peer_ready(struct rig *rig, struct peer *p, size_t size, uint8_t fill)
{
    uint8_t head[2] = { (uint8_t)(size >> 8), (uint8_t)size };
    static uint8_t body[65536];

    peer_say(rig, p, CN_ADMISSION_READY, CN_MODE_INPUT, 0);
    memset(body, fill, size);
    (void)peer_raw(p, head, sizeof head);
    (void)peer_raw(p, body, size);
    rig_turn(rig);
}

/* The partner's prologue has come whole, and it is this. */
static inline bool peer_has_prologue(struct peer *p, size_t size, uint8_t fill)
{
    static uint8_t in[65538];

    if (!peer_take(p, in, size + 2) || in[0] != size >> 8 || in[1] != (size & 0xff))
        return false;
    for (size_t i = 0; i < size; i++) {
        if (in[2 + i] != fill)
            return false;
    }
    return true;
}

#endif
