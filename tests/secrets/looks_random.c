/* looks_random: what passes the line in a handshake has the same lengths whatever the identities
 * are, and nothing tells it from noise: not how often each octet comes up, nor each two in a row,
 * nor each bit at its place; and not one kind of identities from another.
 *
 *   looks_random [--octets N] [--seed N]
 *
 * So many octets of each two kinds, at the least. That the programs send as many messages, of the
 * same sizes, is for tests/e2e/test_wire.py. */
#include "checks.h"

#include <math.h>

#include "calling.h"

enum {
    SAID_SIZE = 2 * (CN_PROLOGUE_SIZE + CN_ANSWER_SIZE), /* by both ends */
    OCTETS = 256,
    PAIRS = 65536,
    LIMIT = 6 /* standard deviations: once in 10^9 by chance */
};

static uint64_t octets_min = 4000000, seed = 1;
static const struct cn_random seeded = { seeded_fill, &seed };
static struct end two[2];

/* How often what came up. */
struct tally {
    uint64_t handshakes;
    uint64_t octet[OCTETS];
    uint64_t pair[PAIRS];
    uint64_t bit[8 * SAID_SIZE]; /* ones, by place */
};

static void count(struct tally *tally, const uint8_t *said, size_t size, size_t place)
{
    for (size_t i = 0; i < size; i++) {
        tally->octet[said[i]]++;
        if (i % 2 == 1)
            tally->pair[said[i - 1] << 8 | said[i]]++;
        for (unsigned bit = 0; bit < 8; bit++)
            tally->bit[8 * (place + i) + bit] += said[i] >> bit & 1;
    }
}

/* By how many standard deviations chi-squared is above what is to be expected. */
static double deviation(double chi_squared, double freedom)
{
    return (chi_squared - freedom) / sqrt(2 * freedom);
}

static double even_deviation(const uint64_t *counts, size_t size)
{
    double all = 0, sum = 0;

    for (size_t i = 0; i < size; i++)
        all += (double)counts[i];
    for (size_t i = 0; i < size; i++) {
        const double expected = all / (double)size, away = (double)counts[i] - expected;

        sum += away * away / expected;
    }
    return deviation(sum, (double)size - 1);
}

/* Each bit is one in half of the handshakes. */
static double bits_deviation(const struct tally *tally, size_t bits)
{
    const double half = (double)tally->handshakes / 2;
    double sum = 0;

    for (size_t i = 0; i < bits; i++) {
        const double away = (double)tally->bit[i] - half;

        sum += away * away / (half / 2);
    }
    return deviation(sum, (double)bits);
}

/* Of two tallies, whether they are of the same thing. */
static double both_deviation(const struct tally *a, const struct tally *b)
{
    double all_a = 0, all_b = 0, sum = 0;

    for (size_t i = 0; i < OCTETS; i++) {
        all_a += (double)a->octet[i];
        all_b += (double)b->octet[i];
    }
    for (size_t i = 0; i < OCTETS; i++) {
        const double one = (double)a->octet[i], other = (double)b->octet[i];
        const double away = one * sqrt(all_b / all_a) - other * sqrt(all_a / all_b);

        sum += away * away / (one + other);
    }
    return deviation(sum, OCTETS - 1);
}

/* The length before F1, which all can see, is the same for all. */
static void shake_hands(struct tally *tally)
{
    ends_start(two);
    ends_answer(two);
    ends_finish(two);
    tally->handshakes++;
    for (size_t i = 0; i < 2; i++) {
        const size_t place = i * SAID_SIZE / 2;

        need(two[i].prologue[0] == CN_PROLOGUE_SIZE >> 8 && two[i].prologue[1] == 0);
        count(tally, prologue_of(&two[i]), CN_PROLOGUE_SIZE, place);
        count(tally, two[i].answer, CN_ANSWER_SIZE, place + CN_PROLOGUE_SIZE);
    }
}

static void kinds_check(const enum cn_kem kinds[2], uint16_t suite, const struct tally *first)
{
    static struct tally tally;
    double octets, pairs, bits, both;

    memset(&tally, 0, sizeof tally);
    ends_make(two, &crypto, &seeded, kinds, suite);
    while (tally.handshakes * SAID_SIZE < octets_min)
        shake_hands(&tally);
    octets = even_deviation(tally.octet, OCTETS);
    pairs = even_deviation(tally.pair, PAIRS);
    bits = bits_deviation(&tally, COUNT(tally.bit));
    both = both_deviation(&tally, first);
    check(
        octets < LIMIT && pairs < LIMIT && bits < LIMIT && both < LIMIT,
        "%s and %s: %ju handshakes, deviations: octets %.1f, pairs %.1f, bits %.1f; from the first "
        "%.1f",
        cn_kem_name(kinds[0]), cn_kem_name(kinds[1]), (uintmax_t)tally.handshakes, octets, pairs,
        bits, both);
}

/* What F1 would say if it were not sealed: keys of ML-KEM-768, which are hardly told from noise. */
static void control_check(const struct tally *first)
{
    static struct tally tally;
    static struct cn_kem_secret secret;
    static struct cn_kem_public public;
    double octets, bits;

    for (uint64_t size = 0; size < octets_min; size += public.size) {
        need(cn_kem_generate(CN_KEM_MLKEM768, &seeded, &secret) == CN_OK &&
             cn_kem_public_of(&secret, &public) == CN_OK);
        count(&tally, public.bytes, public.size, 0);
        tally.handshakes++;
    }
    octets = both_deviation(&tally, first);
    bits = bits_deviation(&tally, 8 * public.size);
    check(octets > LIMIT && bits > LIMIT,
          "public keys of ML-KEM-768 as they are: octets %.1f, bits %.1f, as there has to be",
          octets, bits);
}

int main(int argc, char **argv)
{
    const struct number numbers[] = { { "--octets", &octets_min }, { "--seed", &seed } };
    const enum cn_kem plain[2] = { CN_KEM_X25519, CN_KEM_X25519 };
    static struct tally first;
    size_t suite = 0;

    numbers_take(argc, argv, numbers, COUNT(numbers));
    printf("seed %ju\n", (uintmax_t)seed);
    ends_make(two, &crypto, &seeded, plain, 0);
    while (first.handshakes * SAID_SIZE < octets_min)
        shake_hands(&first);
    for (int one = CN_KEM_X25519; one <= CN_KEM_RSA8192; one++) {
        for (int other = one; other <= CN_KEM_RSA8192; other++) {
            const enum cn_kem kinds[2] = { (enum cn_kem)one, (enum cn_kem)other };

            kinds_check(kinds, cn_suites[suite++ % CN_SUITE_COUNT].code, &first);
        }
    }
    control_check(&first);
    return checks_end();
}
