/* admission.c - what it costs the gate to admit a line: the real gate on socket pairs, one thread,
 * its own CPU time. The subscribers' side is not measured. Beside it, in the same run, X25519 on
 * keys made ready, of which an admission needs five.
 *
 *   admission [ROUNDS]      prints one object of JSON; times in microseconds, rates for a second */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <openssl/evp.h>

#include "rig.h"

enum { BATCH = 16, BATCHES = 16, X25519_COUNT = 400, ROUNDS_MAX = 1000, PER_ADMISSION = 5 };

static struct cn_crypto crypto;
static struct rig rig;

static double cpu_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

/* What the gate does next. */
static double turn_us(void)
{
    double began = cpu_us();

    rig_turn(&rig);
    return cpu_us() - began;
}

/* One agreement with both keys at hand. */
static double x25519_us(void)
{
    static const uint8_t secret[2][CN_X25519_SIZE] = { { 1 }, { 2 } };
    EVP_PKEY *mine = EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL, secret[0], 32);
    EVP_PKEY *theirs = EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL, secret[1], 32);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(mine, NULL);
    uint8_t shared[CN_X25519_SIZE];
    size_t size = sizeof shared;
    double began;

    rig_need(EVP_PKEY_derive_init(context) == 1 && EVP_PKEY_derive_set_peer(context, theirs) == 1);
    began = cpu_us();
    for (int i = 0; i < X25519_COUNT; i++)
        rig_need(EVP_PKEY_derive(context, shared, &size) == 1);
    began = cpu_us() - began;
    EVP_PKEY_CTX_free(context);
    EVP_PKEY_free(theirs);
    EVP_PKEY_free(mine);
    return began / X25519_COUNT;
}

/* --- admissions ------------------------------------------------------------------------------ */

static void say_register(struct peer *p)
{
    struct cn_admission_message m = { .type = CN_ADMISSION_REGISTER, .entry_count = 4 };

    for (size_t i = 0; i < m.entry_count; i++) {
        m.entry[i].mode = CN_MODE_INPUT;
        rig_fill(&rig.seed, m.entry[i].tag, CN_TAG_SIZE);
    }
    peer_message(&rig, p, &m);
}

/* From accept to WAITING under four tags, for each of a batch of subscribers. */
static double batch_us(void)
{
    struct peer peers[BATCH];
    uint8_t hello[CN_ADMISSION_SIZE];
    double spent = 0;

    for (uint8_t i = 0; i < BATCH; i++) {
        double began = cpu_us();

        peers[i] = peer_connect(&rig, i, i);
        spent += cpu_us() - began;
        peer_make_hello(&rig, &peers[i], hello);
        rig_need(peer_raw(&peers[i], hello, sizeof hello));
    }
    spent += turn_us();
    for (int i = 0; i < BATCH; i++) {
        rig_need(peer_verdict(&peers[i]) == CN_VERDICT_ADMITTED);
        say_register(&peers[i]);
    }
    spent += turn_us();
    for (int i = 0; i < BATCH; i++) {
        rig_need(peer_hear(&rig, &peers[i], NULL) == CN_ADMISSION_WAITING);
        peer_close(&peers[i]);
    }
    rig_turn(&rig);
    return spent / BATCH;
}

/* As if nobody had been here before: what the gate remembers of certificates is dropped. */
static void forget(void)
{
    struct cn_settings other = rig.settings;
    uint32_t cut;

    other.operators[0].bytes[0] ^= 1;
    rig_need(cn_gate_registry(rig.gate, &other, NULL, 0, &cut) == CN_OK);
    rig_need(cn_gate_registry(rig.gate, &rig.settings, NULL, 0, &cut) == CN_OK);
}

static double admissions_us(bool first)
{
    double spent = 0;

    for (int i = 0; i < BATCHES; i++) {
        if (first)
            forget();
        spent += batch_us();
    }
    return spent / BATCHES;
}

/* --- bad hellos ------------------------------------------------------------------------------ */

enum bad { WRONG_MAC, WRONG_NOISE, WRONG_OPERATOR };

static void mac_anew(uint8_t hello[CN_ADMISSION_SIZE])
{
    uint8_t mac[CN_SHA256_SIZE];
    const size_t size = CN_ADMISSION_SIZE - CN_ADMISSION_MAC_SIZE;

    rig_need(cn_hmac(&crypto, CN_SHA256, rig.server.mac_key, CN_SHA256_SIZE, hello, size, mac) ==
             CN_OK);
    memcpy(hello + size, mac, CN_ADMISSION_MAC_SIZE);
}

static void make_bad(struct peer *p, enum bad bad, uint8_t hello[CN_ADMISSION_SIZE])
{
    if (bad == WRONG_OPERATOR)
        p->fingerprint.certificate.signature[0] ^= 1;
    peer_make_hello(&rig, p, hello);
    if (bad == WRONG_MAC)
        hello[CN_ADMISSION_SIZE - 1] ^= 1;
    if (bad == WRONG_NOISE) {
        hello[40] ^= 1; /* in s */
        mac_anew(hello);
    }
}

/* Reading and judging, and nothing else; the connection is there already. */
static double bad_us(enum bad bad)
{
    double spent = 0;

    for (int i = 0; i < BATCHES * BATCH; i++) {
        uint8_t hello[CN_ADMISSION_SIZE];
        struct peer p = peer_connect(&rig, 1, 1);

        make_bad(&p, bad, hello);
        rig_need(peer_raw(&p, hello, sizeof hello));
        spent += turn_us();
        peer_close(&p);
        rig_turn(&rig);
    }
    return spent / (BATCHES * BATCH);
}

/* --- the whole ------------------------------------------------------------------------------- */

enum figure { X25519, ADMISSION, FIRST_ADMISSION, BAD_MAC, BAD_NOISE, BAD_OPERATOR, FIGURE_COUNT };

static double figures[FIGURE_COUNT][ROUNDS_MAX];

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;

    return (x > y) - (x < y);
}

static double median(const double *of, size_t count)
{
    static double sorted[ROUNDS_MAX];

    memcpy(sorted, of, count * sizeof *of);
    qsort(sorted, count, sizeof *sorted, compare);
    return count % 2 ? sorted[count / 2] : (sorted[count / 2 - 1] + sorted[count / 2]) / 2;
}

/* What admissions reach of what their X25519 allows, round by round. */
static double median_ratio(enum figure admission, size_t rounds)
{
    static double ratios[ROUNDS_MAX];

    for (size_t i = 0; i < rounds; i++)
        ratios[i] = PER_ADMISSION * figures[X25519][i] / figures[admission][i];
    return median(ratios, rounds);
}

static void print_all(size_t rounds)
{
    static const char *const names[FIGURE_COUNT] = {
        [X25519] = "x25519",    [ADMISSION] = "admission", [FIRST_ADMISSION] = "first_admission",
        [BAD_MAC] = "bad_mac1", [BAD_NOISE] = "bad_noise", [BAD_OPERATOR] = "bad_operator",
    };

    printf("{\"rounds\": %zu", rounds);
    for (int i = 0; i < FIGURE_COUNT; i++)
        printf(", \"%s_us\": %.2f", names[i], median(figures[i], rounds));
    printf(", \"admissions_per_s\": %.0f", 1e6 / median(figures[ADMISSION], rounds));
    printf(", \"x25519_per_s\": %.0f", 1e6 / median(figures[X25519], rounds));
    printf(", \"ratio\": %.3f, \"first_ratio\": %.3f}\n", median_ratio(ADMISSION, rounds),
           median_ratio(FIRST_ADMISSION, rounds));
}

int main(int argc, char **argv)
{
    size_t rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : 21;

    if (rounds == 0 || rounds > ROUNDS_MAX)
        return 2;
    rig_need(cn_crypto_init(&crypto) == CN_OK);
    rig_init(&rig, &crypto);
    rig_start(&rig);
    admissions_us(false); /* makes the subscribers, and warms up */
    for (size_t i = 0; i < rounds; i++) {
        figures[X25519][i] = x25519_us();
        figures[ADMISSION][i] = admissions_us(false);
        figures[FIRST_ADMISSION][i] = admissions_us(true);
        figures[BAD_MAC][i] = bad_us(WRONG_MAC);
        figures[BAD_NOISE][i] = bad_us(WRONG_NOISE);
        figures[BAD_OPERATOR][i] = bad_us(WRONG_OPERATOR);
    }
    print_all(rounds);
    rig_stop(&rig);
    cn_admission_server_wipe(&rig.server);
    cn_crypto_wipe(&crypto);
    return 0;
}
