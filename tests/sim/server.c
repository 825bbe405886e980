#include "server.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "gate.h"
#include "line.h"
#include "log.h"
#include "net.h"
#include "sim.h"

enum { LINES = 48, GATE_COUNT_MAX = 4, IDLE_TIMEOUT_S = 600 };

/* A gate, as a process of its own. */
struct process {
    struct cn_gate *gate; /* NULL: there is none */
    struct cn_loop loop;
    struct cn_page_map page;
    bool leaving;
};

static const struct cn_crypto *crypto;
static struct cn_admission_server keys;
static struct cn_settings settings;
static struct cn_who_secret who_secret;
static struct cn_fingerprint fingerprints[SERVER_PERSON_COUNT];
static struct cn_config config;
static struct process processes[GATE_COUNT_MAX];
static struct process *present; /* that accepts; NULL: the server is down */
static int64_t ahead_s;
static uint64_t random_fails;

static enum cn_err fill(void *context, uint8_t *out, size_t size)
{
    (void)context;
    if (random_fails > 0 && --random_fails == 0) {
        sim_trace("server: no randomness");
        return CN_E_RANDOM;
    }
    sim_fill(out, size);
    return CN_OK;
}

static const struct cn_random chance = { fill, NULL };

static void fingerprint_make(struct cn_fingerprint *f, uint8_t person,
                             const struct cn_server_secret *server,
                             const struct cn_operator_secret *operator)
{
    f->has_secret = true;
    f->secret.bytes[1] = person;
    f->address_count = 2;
    strcpy(f->address[0], "one.example:443");
    strcpy(f->address[1], "two.example:443");
    f->certificate.serial = person;
    f->certificate.not_after = UINT64_MAX;
    sim_need(cn_x25519_public(server->bytes, f->server_key.bytes) == CN_OK);
    sim_need(cn_x25519_public(f->secret.bytes, f->certificate.admission_key) == CN_OK);
    sim_need(cn_certificate_sign(&f->certificate, operator) == CN_OK);
}

void server_init(const struct cn_crypto *with)
{
    const struct cn_server_secret server = { { 0, 1 } };
    const struct cn_operator_secret operator= { { 0, 2 } };

    crypto = with;
    sim_need(cn_admission_server_init(&keys, crypto, &server) == CN_OK);
    sim_need(cn_ed25519_public(operator.bytes, settings.operators[0].bytes) == CN_OK);
    settings.operator_count = 1;
    for (uint8_t i = 0; i < SERVER_PERSON_COUNT; i++)
        fingerprint_make(&fingerprints[i], (uint8_t)(i + 1), &server, &operator);
    cn_config_defaults(&config);
    config.tags_max = 256;
    config.lists_max = 4;
    for (int i = 0; i < GATE_COUNT_MAX; i++) {
        struct cn_page_map *page = &processes[i].page;

        page->owner_max = LINES;
        page->page = calloc(1, sizeof *page->page + LINES * sizeof page->page->owners[0]);
        sim_need(page->page != NULL);
    }
}

const struct cn_fingerprint *server_fingerprint(int person)
{
    return &fingerprints[person];
}

/* In place of log.c: only somebody who follows one seed wants to know. */
void cn_log_at(enum cn_log_level at, const char *event, const char *format, ...)
{
    (void)at;
    (void)format;
    sim_trace("server: its log: %s", event);
}

/* --- processes ------------------------------------------------------------------------------- */

static uint64_t clock_ms(void)
{
    return sim.now_ms;
}

static void process_start(struct process *p)
{
    const struct cn_gate_setup setup = { .loop = &p->loop,
                                         .crypto = crypto,
                                         .random = &chance,
                                         .server = &keys,
                                         .config = &config,
                                         .who_secret = &who_secret,
                                         .page = &p->page,
                                         .lines_max = LINES };
    uint32_t cut;

    memset(p->page.page, 0, sizeof *p->page.page + LINES * sizeof p->page.page->owners[0]);
    sim_need(cn_loop_init(&p->loop, (size_t)2 * LINES) == CN_OK);
    p->loop.clock_ms = clock_ms;
    p->leaving = false;
    random_fails = 0;
    sim_need(cn_gate_create(&p->gate, &setup) == CN_OK);
    sim_need(cn_gate_registry(p->gate, &settings, NULL, 0, &cut) == CN_OK);
}

static void process_end(struct process *p)
{
    if (!p->gate)
        return;
    cn_gate_destroy(p->gate);
    cn_loop_wipe(&p->loop);
    p->gate = NULL;
    if (present == p)
        present = NULL;
}

void server_start(void)
{
    if (present)
        return;
    for (int i = 0; i < GATE_COUNT_MAX && !present; i++) {
        if (!processes[i].gate)
            present = &processes[i];
    }
    sim_need(present != NULL);
    process_start(present);
    sim_trace("server: up");
}

void server_begin(void)
{
    ahead_s = 0;
    relay_begin();
    server_start();
}

/* A process that is killed closes nothing by itself; its descriptors are closed for it. */
static void process_kill(struct process *p, bool silently)
{
    int fd;

    if (!p->gate)
        return;
    for (unsigned i = 0; silently && (fd = net_server_end(i)) >= 0; i++) {
        if (net_watch_of(fd)->epoll == p->loop.epoll)
            net_kill(fd);
    }
    process_end(p);
}

void server_kill(bool silently)
{
    sim_trace("server: killed%s", silently ? ", and nobody hears of it" : "");
    for (int i = 0; i < GATE_COUNT_MAX; i++)
        process_kill(&processes[i], silently);
    relay_kill(silently);
}

void server_wipe(void)
{
    for (int i = 0; i < GATE_COUNT_MAX; i++)
        process_end(&processes[i]);
    relay_kill(true);
}

void server_upgrade(void)
{
    if (!present)
        return;
    for (int i = 0; i < GATE_COUNT_MAX; i++) { /* there is never more than one that leaves */
        if (processes[i].leaving)
            process_end(&processes[i]);
    }
    sim_trace("server: another program in its place");
    cn_gate_goaway(present->gate);
    present->leaving = true;
    present = NULL;
    server_start();
}

void server_gate_dies(void)
{
    if (!present)
        return;
    sim_trace("server: its gate dies");
    process_end(present);
    server_start();
}

bool server_is_up(void)
{
    return present != NULL;
}

void server_accept(int fd, int person)
{
    struct sockaddr_in address = { .sin_family = AF_INET };

    address.sin_addr.s_addr = htonl(0x0a000001U + (uint32_t)person);
    if (!present) {
        net_abort(fd);
        return;
    }
    present->loop.now_ms = sim.now_ms; /* as in the turn in which a listener is ready */
    cn_gate_accept(present->gate, fd, (const struct sockaddr *)&address);
}

void server_clock_set(int64_t ahead)
{
    ahead_s = ahead;
}

uint64_t server_utc_s(void)
{
    return (uint64_t)((int64_t)(SIM_START_UTC_S + (sim.now_ms - SIM_START_MS) / 1000) + ahead_s);
}

void server_random_fails(uint64_t after)
{
    random_fails = after;
}

/* --- turns ----------------------------------------------------------------------------------- */

static bool process_is_ready(const struct process *p)
{
    struct epoll_event event;

    if (!p->gate)
        return false;
    return p->loop.more || (p->loop.timer_count > 0 && p->loop.heap[1].due_ms <= sim.now_ms) ||
           (p->leaving && cn_gate_busy(p->gate) == 0) ||
           epoll_wait(p->loop.epoll, &event, 1, 0) > 0;
}

bool server_is_ready(void)
{
    for (int i = 0; i < GATE_COUNT_MAX; i++) {
        if (process_is_ready(&processes[i]))
            return true;
    }
    return relay_is_ready();
}

void server_turn(void)
{
    for (int i = 0; i < GATE_COUNT_MAX; i++) {
        struct process *p = &processes[i];

        if (!process_is_ready(p))
            continue;
        sim_need(cn_loop_turn(&p->loop, false) == CN_OK);
        cn_gate_turn(p->gate);
        if (p->leaving && cn_gate_busy(p->gate) == 0)
            process_end(p);
    }
    relay_turn();
}

uint64_t server_due_ms(void)
{
    uint64_t due_ms = relay_due_ms();

    for (int i = 0; i < GATE_COUNT_MAX; i++) {
        const struct cn_loop *loop = &processes[i].loop;

        if (processes[i].gate && loop->timer_count > 0 && loop->heap[1].due_ms < due_ms)
            due_ms = loop->heap[1].due_ms;
    }
    return due_ms;
}

unsigned server_busy(void)
{
    unsigned busy = relay_count();

    for (int i = 0; i < GATE_COUNT_MAX; i++)
        busy += processes[i].gate ? cn_gate_busy(processes[i].gate) : 0;
    return busy;
}
