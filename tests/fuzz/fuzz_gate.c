/* A few subscribers do whatever the input says, octet by octet an act: connect, speak in and out of
 * turn, stop half-way, go, let time pass, be blocked. Whatever it was, when they have gone nothing
 * of them is left, and two others are joined as ever. */
#include "fuzz.h"

#include "log.h"
#include "rig.h"

enum { PEERS = 6, HONEST = 100 };

static struct rig rig;
static struct peer peers[PEERS];
static bool admitted[PEERS];

struct input {
    const uint8_t *at;
    size_t left;
};

/* Thousands a second are of no use to anybody. */
void cn_log_at(enum cn_log_level at, const char *event, const char *format, ...)
{
    (void)at;
    (void)event;
    (void)format;
}

static uint8_t next(struct input *in)
{
    if (in->left == 0)
        return 0;
    in->left--;
    return *in->at++;
}

static void make(void)
{
    static bool made;

    if (made)
        return;
    made = true;
    rig_init(&rig, fuzz_crypto());
    rig.config.tags_max = 64; /* few, so that any that got lost are missed */
    rig.config.tags_per_line = 40;
    rig.config.tags_per_subscriber = 50;
    rig.config.lines_per_subscriber = 3;
    rig.config.idle_timeout = 60;
    rig.config.waiting_time = 500;
    rig.config.pending_per_address = 2;
    rig_start(&rig);
    for (int i = 0; i < PEERS; i++)
        peers[i].fd = -1;
}

static void forget(int i)
{
    peer_close(&peers[i]);
    admitted[i] = false;
}

static void connect_one(int i, uint8_t how)
{
    forget(i);
    peers[i] = peer_connect(&rig, how % 4, how % 3);
    if (how & 0x10)
        return;
    if (how & 0x20)
        peers[i].fingerprint.certificate.not_after = 1;
    if (how & 0x20)
        rig_need(cn_certificate_sign(&peers[i].fingerprint.certificate, &rig.operator_secret) ==
                 CN_OK);
    peer_hello(&rig, &peers[i]);
    if (!(how & 0x80))
        admitted[i] = peer_verdict(&peers[i]) == CN_VERDICT_ADMITTED;
}

/* A message with any number of entries under few tags. */
static void speak(int i, struct input *in)
{
    uint8_t what = next(in);
    uint8_t count = next(in);
    struct cn_admission_message m = { .reason = CN_VERDICT_REVOKED };

    if (!admitted[i])
        return;
    m.type = (enum cn_admission_type)(1 + what % (CN_ADMISSION_TYPE_COUNT - 1));
    if (m.type == CN_ADMISSION_REGISTER || m.type == CN_ADMISSION_UPDATE) {
        m.more = what & 0x80;
        m.entry_count = (uint16_t)(count % (CN_ADMISSION_ENTRY_COUNT_MAX + 1));
    }
    for (uint16_t e = 0; e < m.entry_count; e++) {
        m.entry[e].mode = (what >> 4 & 1) ? CN_MODE_INPUT : CN_MODE_OUTPUT;
        m.entry[e].tag[0] = (uint8_t)(count / 32 + e);
    }
    peer_message(&rig, &peers[i], &m);
}

static void send_raw(int i, struct input *in)
{
    uint8_t octets[64];
    size_t size = next(in) % sizeof octets;

    for (size_t at = 0; at < size; at++)
        octets[at] = next(in);
    (void)peer_raw(&peers[i], octets, size);
}

static void send_prologue(int i, uint8_t size)
{
    uint8_t octets[2 + 255] = { 0, size };

    if (size >= 250)
        octets[0] = 0x41; /* too long */
    (void)peer_raw(&peers[i], octets, 2 + (size_t)size);
}

static void read_all(int i)
{
    static uint8_t octets[65536];

    while (recv(peers[i].fd, octets, sizeof octets, 0) > 0)
        ;
}

static void block(uint8_t who)
{
    const struct cn_fingerprint victim = peer_fingerprint(&rig, who);
    const struct cn_blocked blocked = rig_blocked(&rig, &victim, who, CN_VERDICT_SUSPENDED);
    uint32_t cut;

    rig_need(cn_gate_registry(rig.gate, &rig.settings, &blocked, who < 4, &cut) == CN_OK);
}

/* Other limits, as at SIGHUP. */
static void configure(uint8_t how)
{
    struct cn_config config = rig.config;

    config.lines_max_per_subscriber = 1 + how % 7;
    config.lines_per_subscriber = 1 + how % 3;
    config.tags_per_line = 1 + how;
    config.prologue_size_max = 1 + 64U * how;
    config.pipes_max = how % 4;
    config.idle_timeout = how % 5;
    cn_gate_configure(rig.gate, &config);
}

static void act(struct input *in)
{
    uint8_t what = next(in);
    int i = (what & 0x7f) % PEERS;

    switch ((what & 0x7f) / PEERS % 12) {
    case 0:
    case 1:
        connect_one(i, next(in));
        break;
    case 2:
    case 3:
        speak(i, in);
        break;
    case 4:
        send_raw(i, in);
        break;
    case 5:
        send_prologue(i, next(in));
        break;
    case 6:
        forget(i);
        break;
    case 7:
        if (peers[i].fd >= 0)
            (void)shutdown(peers[i].fd, SHUT_WR);
        break;
    case 8:
        rig_later(&rig, next(in) * 100ULL);
        break;
    case 9:
        read_all(i);
        break;
    case 10:
        block(next(in) % 16);
        break;
    default:
        if (i == 0)
            cn_gate_goaway(rig.gate);
        else
            configure(next(in));
    }
    if (!(what & 0x80)) /* else the next act comes in the same turn */
        rig_turn(&rig);
}

static void nothing_is_left(void)
{
    const struct cn_switch_counts *calls = &rig.worker_page.page->calls;
    struct cn_gate_status s;

    rig_later(&rig, 1000); /* pipes that are not needed any more go at the second look */
    rig_later(&rig, 1000);
    s = rig_status(&rig);
    must(s.lines == 0 && s.pending == 0 && s.waiting == 0 && s.joining == 0);
    must(s.handing == 0 && calls->pairs == 0 && calls->pipes <= rig.config.pipes_max);
    for (int i = 0; i < RIG_LINES; i++)
        must(rig.page.page->owners[i].lines == 0 && rig.worker_page.page->owners[i].lines == 0);
    must(cn_gate_busy(rig.gate) == 0);
    must(rig.loop.timer_count == 0);
}

static void all_go(void)
{
    for (int i = 0; i < PEERS; i++)
        forget(i);
    cn_gate_configure(rig.gate, &rig.config);
    block(99);
    rig_turn(&rig);
    rig_later(&rig, 6000); /* who was refused has gone by then, and who had no partner to go to */
    rig_later(&rig, 20000);
    rig_later(&rig, 20000);
}

/* On a board that is as empty as it should be. */
static void honest_ones_are_joined(void)
{
    struct cn_admission_message m = { .type = CN_ADMISSION_REGISTER, .entry_count = 25 };
    struct peer a = peer_admit(&rig, HONEST);
    struct peer b = peer_admit(&rig, HONEST + 1);

    for (uint8_t i = 0; i < m.entry_count; i++)
        m.entry[i] = (struct cn_entry) { CN_MODE_INPUT, { i } };
    peer_message(&rig, &a, &m);
    rig_turn(&rig);
    must(peer_hear(&rig, &a, NULL) == CN_ADMISSION_WAITING);
    peer_say(&rig, &b, CN_ADMISSION_REGISTER, CN_MODE_OUTPUT, 24);
    rig_turn(&rig);
    must(peer_hear(&rig, &a, NULL) == CN_ADMISSION_JOINED);
    must(peer_hear(&rig, &b, NULL) == CN_ADMISSION_JOINED);
    peer_ready(&rig, &a, 3, 'a');
    peer_ready(&rig, &b, 5, 'b');
    must(peer_has_prologue(&a, 5, 'b') && peer_has_prologue(&b, 3, 'a'));
    peer_close(&a);
    peer_close(&b);
    rig_turn(&rig);
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t in_size)
{
    struct input input = { in, in_size };

    make();
    rig.seed = 0;
    while (input.left > 0)
        act(&input);
    all_go();
    nothing_is_left();
    honest_ones_are_joined();
    nothing_is_left();
    return 0;
}
