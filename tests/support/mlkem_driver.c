/* mlkem_driver: ML-KEM-768 as the programs have it, for comparison with another. Standard input:
 * cases of 1184 octets, a seed (64), the coins of an encapsulation (32) and 1088 that choose what
 * is to go wrong. For each a line of hexadecimal digits: the key, a ciphertext and its secret; the
 * secret of that ciphertext with a bit flipped; that of the 1088 octets as a ciphertext; and what
 * an encapsulation to the key with another coefficient gives, nothing if it is refused. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kem.h"

enum { COINS_SIZE = 32, COEFFICIENT_COUNT = 768 };

struct test_case {
    uint8_t seed[CN_MLKEM768_SEED_SIZE];
    uint8_t coins[COINS_SIZE];
    uint8_t choice[CN_MLKEM768_CIPHERTEXT_SIZE];
};

static const struct cn_kem_binding nothing;

static void need(enum cn_err err)
{
    if (err == CN_OK)
        return;
    fprintf(stderr, "mlkem_driver: %s\n", cn_err_text(err));
    exit(1);
}

/* The coins of an encapsulation; nothing else is asked for. */
static enum cn_err coins_fill(void *context, uint8_t *out, size_t size)
{
    if (size != COINS_SIZE)
        return CN_E_RANDOM;
    memcpy(out, context, size);
    return CN_OK;
}

static void say(const uint8_t *octets, size_t size)
{
    for (size_t i = 0; i < size; i++)
        printf("%02x", octets[i]);
}

static void say_secret(const struct cn_kem_secret *secret, const struct cn_random *random,
                       const uint8_t *ciphertext)
{
    struct cn_kem_shared shared;

    need(cn_kem_decapsulate(secret, &nothing, random, ciphertext, CN_MLKEM768_CIPHERTEXT_SIZE,
                            &shared));
    say(shared.bytes, sizeof shared.bytes);
}

/* Two coefficients of 12 bits are three octets. FIPS 203 4.2.1 */
static void coefficient_set(uint8_t *key, unsigned index, unsigned value)
{
    uint8_t *at = key + index / 2 * 3;

    if (index % 2 == 0) {
        at[0] = (uint8_t)value;
        at[1] = (uint8_t)((at[1] & 0xf0) | value >> 8);
    } else {
        at[1] = (uint8_t)((at[1] & 0x0f) | (value & 0x0f) << 4);
        at[2] = (uint8_t)(value >> 4);
    }
}

static unsigned u16(const uint8_t *at)
{
    return (unsigned)at[0] << 8 | at[1];
}

static void do_case(struct test_case *c)
{
    const struct cn_random random = { coins_fill, c->coins };
    struct cn_kem_secret secret = { .kind = CN_KEM_MLKEM768, .size = sizeof c->seed };
    const unsigned bit = u16(c->choice) % (8 * CN_MLKEM768_CIPHERTEXT_SIZE);
    uint8_t ciphertext[CN_MLKEM768_CIPHERTEXT_SIZE];
    struct cn_kem_public public;
    struct cn_kem_shared shared;

    memcpy(secret.bytes, c->seed, sizeof c->seed);
    need(cn_kem_public_of(&secret, &public));
    say(public.bytes, public.size);
    need(cn_kem_encapsulate(&public, &nothing, &random, ciphertext, &shared));
    say(ciphertext, sizeof ciphertext);
    say_secret(&secret, &random, ciphertext);
    ciphertext[bit / 8] ^= (uint8_t)(1 << bit % 8);
    say_secret(&secret, &random, ciphertext);
    say_secret(&secret, &random, c->choice);
    coefficient_set(public.bytes, u16(c->choice + 2) % COEFFICIENT_COUNT,
                    u16(c->choice + 4) & 0xfff);
    if (cn_kem_encapsulate(&public, &nothing, &random, ciphertext, &shared) == CN_OK) {
        say(ciphertext, sizeof ciphertext);
        say(shared.bytes, sizeof shared.bytes);
    }
    putchar('\n');
}

int main(void)
{
    struct test_case c;

    while (fread(&c, sizeof c, 1, stdin) == 1)
        do_case(&c);
    return fclose(stdout) == 0 ? 0 : 1;
}
