/* timing: whether the time that something takes tells a secret, after dudect (Reparaz, Balasch,
 * Verbauwhede: "Dude, is my code constant time?", 2016). Two classes of input come in an order that
 * chance chooses; Welch's t-test says whether their times are told apart, over all of them and over
 * those below each of many percentiles, since what disturbs a measurement only lengthens it.
 *
 *   timing [--measurements N] [--seed N]
 *
 * Below 10 nothing is seen. Beside each operation is one like it that leaks, and must be found. A
 * measurement: it depends on the machine, which should have nothing else to do. */
#include "checks.h"

#include <math.h>
#include <time.h>

#include "kem.h"
#include "keys.h"
#include "seeded.h"

enum {
    INPUT_COUNT = 128, /* of each class */
    CROP_COUNT = 50,
    FEW = 500, /* in a class: too few for a test */
    COMPARED_SIZE = 32,
    COMPARISON_COUNT = 200, /* in one measurement: one takes too short to be measured */
    RSA_COST = 20,          /* measurements of others that one of RSA's is worth */
    LIMIT = 10
};

static uint64_t measurement_count = 400000, seed = 1;
static const struct cn_random seeded = { seeded_fill, &seed };

/* --- the test -------------------------------------------------------------------------------- */

struct class
{
    double count, mean, squares;
};

static void class_add(struct class *class, double value)
{
    const double away = value - class->mean;

    class->count++;
    class->mean += away / class->count;
    class->squares += away * (value - class->mean);
}

static double welch(const struct class two[2])
{
    double noise = 0;

    for (int i = 0; i < 2; i++) {
        if (two[i].count < FEW)
            return 0;
        noise += two[i].squares / (two[i].count - 1) / two[i].count;
    }
    return noise > 0 ? fabs(two[0].mean - two[1].mean) / sqrt(noise) : 0;
}

struct measurement {
    double ns;
    bool class;
};

static int by_time(const void *a, const void *b)
{
    const double one = ((const struct measurement *)a)->ns,
                 other = ((const struct measurement *)b)->ns;

    return (one > other) - (one < other);
}

/* The greatest t of all tests; sorts. */
static double greatest(struct measurement *all, size_t count)
{
    double most = 0;

    qsort(all, count, sizeof *all, by_time);
    for (int crop = 0; crop <= CROP_COUNT; crop++) {
        const double part = crop == CROP_COUNT ? 1 : 1 - pow(0.5, 10.0 * (crop + 1) / CROP_COUNT);
        struct class two[2] = { { 0, 0, 0 }, { 0, 0, 0 } };
        double t;

        for (size_t i = 0; i < (size_t)(part * (double)count); i++)
            class_add(&two[all[i].class], all[i].ns);
        t = welch(two);
        most = t > most ? t : most;
    }
    return most;
}

static double now_ns(void)
{
    struct timespec t;

    need(clock_gettime(CLOCK_MONOTONIC, &t) == 0);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static uint32_t any(void)
{
    uint8_t octets[4];

    (void)seeded_fill(&seed, octets, sizeof octets);
    return (uint32_t)octets[0] << 16 | (uint32_t)octets[1] << 8 | octets[2];
}

struct operation {
    const char *name;
    void (*run)(bool class, uint32_t which);
    uint64_t cost;
    bool leaks;
};

static void measure(const struct operation *operation)
{
    const size_t count = (size_t)(measurement_count / operation->cost);
    struct measurement *all = calloc(count, sizeof *all);
    double t;

    need(all);
    for (size_t i = 0; i < count; i++) {
        const uint32_t chance = any();
        double begin;

        all[i].class = chance & 1;
        begin = now_ns();
        operation->run(all[i].class, (chance >> 1) % INPUT_COUNT);
        all[i].ns = now_ns() - begin;
    }
    t = greatest(all, count);
    check(operation->leaks == (t > LIMIT), "%s: %zu measurements, t = %.1f%s", operation->name,
          count, t, operation->leaks ? ", as there has to be" : "");
    free(all);
}

/* --- comparing: equal, or different in the first octet --------------------------------------- */

static uint8_t compared[2][COMPARED_SIZE];
static volatile bool sink;

static void comparing(bool class, uint32_t which)
{
    (void)which;
    for (int i = 0; i < COMPARISON_COUNT; i++)
        sink = cn_equal_ct(compared[0], compared[class], COMPARED_SIZE);
}

static void comparing_until_they_differ(bool class, uint32_t which)
{
    (void)which;
    for (int i = 0; i < COMPARISON_COUNT; i++) {
        const volatile uint8_t *a = compared[0], *b = compared[class];
        size_t same = 0;

        while (same < COMPARED_SIZE && a[same] == b[same])
            same++;
        sink = same == COMPARED_SIZE;
    }
}

/* --- opening: what was encapsulated, or what fails within OAEP or ML-KEM -----------------------
 */

static const uint8_t label[] = "label";
static const struct cn_kem_binding binding = { .label = label, .label_size = sizeof label };
static struct cn_kem_secret secret;
static uint8_t ciphertexts[2][INPUT_COUNT][CN_KEM_CIPHERTEXT_SIZE_MAX];
static struct cn_kem_shared shared[INPUT_COUNT];
static size_t ciphertext_size;

static void ciphertexts_make(enum cn_kem kind)
{
    static struct cn_kem_public public;
    static struct cn_identity identity;

    if (cn_kem_is_rsa(kind))
        identity_load(&crypto, kind, &identity);
    secret = identity.secret;
    need(cn_kem_is_rsa(kind) || cn_kem_generate(kind, &seeded, &secret) == CN_OK);
    need(cn_kem_public_of(&secret, &public) == CN_OK);
    ciphertext_size = cn_kem_ciphertext_size(kind);
    for (size_t i = 0; i < INPUT_COUNT; i++) {
        uint8_t *bad = ciphertexts[1][i];

        need(cn_kem_encapsulate(&public, &binding, &seeded, ciphertexts[0][i], &shared[i]) ==
             CN_OK);
        memcpy(bad, ciphertexts[0][i], ciphertext_size);
        bad[1 + any() % (ciphertext_size - 1)] ^= (uint8_t)(1 + any() % 255);
        if (memcmp(bad, ciphertexts[0][i], 2) > 0) /* it stays below the modulus */
            bad[1] = ciphertexts[0][i][1] / 2;
    }
}

static struct cn_kem_shared opened(bool class, uint32_t which)
{
    struct cn_kem_shared got;

    need(cn_kem_decapsulate(&secret, &binding, &seeded, ciphertexts[class][which], ciphertext_size,
                            &got) == CN_OK);
    return got;
}

static void opening(bool class, uint32_t which)
{
    (void)opened(class, which);
}

/* Makes the secret that nobody else has only where it is needed, as one might: of a fresh key,
 * which takes some hundredths of the time of all. */
static void opening_and_making_up_for_it(bool class, uint32_t which)
{
    const struct cn_kem_shared got = opened(class, which);
    uint8_t made[CN_X25519_SIZE];

    if (memcmp(&got, &shared[which], sizeof got) != 0)
        need(cn_x25519_public(got.bytes, made) == CN_OK);
}

int main(int argc, char **argv)
{
    const struct number numbers[] = { { "--measurements", &measurement_count },
                                      { "--seed", &seed } };
    const struct operation operations[] = {
        { "comparing in constant time", comparing, 1, false },
        { "comparing until they differ", comparing_until_they_differ, 1, true },
        { "RSA-2048: OAEP fails", opening, RSA_COST, false },
        { "RSA-2048: and a secret is made only then", opening_and_making_up_for_it, RSA_COST,
          true },
        { "ML-KEM-768: rejected implicitly", opening, 2, false },
    };

    numbers_take(argc, argv, numbers, COUNT(numbers));
    printf("seed %ju\n", (uintmax_t)seed);
    compared[1][0] = 1;
    for (size_t i = 0; i < COUNT(operations); i++) {
        if (i == 2)
            ciphertexts_make(CN_KEM_RSA2048);
        if (i == 4)
            ciphertexts_make(CN_KEM_MLKEM768);
        measure(&operations[i]);
    }
    return checks_end();
}
