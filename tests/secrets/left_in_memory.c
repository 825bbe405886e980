/* left_in_memory: after a call, nothing of any secret that its two ends had is in the memory of
 * their process: not where it was, nor on the stack, in free blocks, or in registers.
 * What is searched for are keys and shared secrets as they are, numbers in either order of octets,
 * and ML-KEM's vectors; not what libcrypto makes of a key within a context, such as the round keys
 * of AES, or a number in Montgomery's form: that it clears itself when the context is freed.
 *
 *   left_in_memory [--kinds N] [--suites N]
 *
 * The first N kinds of identities, each with each, and the first N suites. */
#include "checks.h"

#include <fcntl.h>
#include <unistd.h>

#include "armor.h"
#include "calling.h"
#include "record.h"
#include "watch.h"

enum { WIRE_SIZE = 1024, COPY_SIZE = 64 };

static uint64_t kind_count = 5, suite_count = CN_SUITE_COUNT;
static uint64_t seed = 1;
static const struct cn_random seeded = { seeded_fill, &seed };
static struct end two[2];
static struct cn_record sending[2], receiving[2];
static uint8_t wire[WIRE_SIZE];
static const char text[] = "what one of the two says to the other, and nobody else may hear";

/* Not as keys.h does it, which leaves the file's text behind. */
static void identity_read(struct cn_identity *identity, enum cn_kem kind)
{
    static char read_text[CN_ARMOR_TEXT_SIZE_MAX];
    const int file = open(identity_files[kind], O_RDONLY | O_CLOEXEC);
    const ssize_t size = file < 0 ? -1 : read(file, read_text, sizeof read_text);

    need(size > 0 && cn_identity_decode(identity, &crypto, read_text, (size_t)size) == CN_OK);
    close(file);
    cn_wipe(read_text, sizeof read_text);
}

static void people_make(const enum cn_kem kinds[2], uint16_t suite)
{
    static const struct cn_server_public server = { { 9 } };
    const struct cn_card_terms terms = { "partner", &server, NULL, &suite, 1 };

    for (int i = 0; i < 2; i++) {
        identity_read(&two[i].me.identity, kinds[i]);
        if (i == 1 && kinds[0] == kinds[1])
            identity_vary(&crypto, &two[i].me.identity);
        need(cn_card_create(&two[i].me.card, &crypto, &two[i].me.identity, &terms, &seeded) ==
             CN_OK);
    }
    for (int i = 0; i < 2; i++)
        need(cn_pair_create(&two[i].me.pair, &crypto, &two[i].me.identity, &two[i].me.card,
                            &two[1 - i].me.card) == CN_OK);
}

static void records_open(void)
{
    for (int i = 0; i < 2; i++) {
        const struct cn_suite *suite = two[i].me.pair.suite;
        const enum cn_role role = two[i].me.pair.role;

        need(cn_record_init(&sending[i], &crypto, suite, &two[i].keys.send, role, true) == CN_OK &&
             cn_record_init(&receiving[i], &crypto, suite, &two[i].keys.receive,
                            cn_role_other(role), false) == CN_OK);
    }
}

static void say(int from)
{
    const struct cn_piece piece = { (const uint8_t *)text, sizeof text };
    const uint8_t *plain;
    size_t plain_size, used;

    need(cn_record_seal(&sending[from], &piece, 1, sizeof wire, wire) == CN_OK &&
         cn_record_open(&receiving[1 - from], wire, sizeof wire, &plain, &plain_size, &used) ==
             CN_OK &&
         memcmp(plain, text, sizeof text) == 0);
}

static void shake_hands(void)
{
    ends_start(two);
    ends_answer(two);
    ends_finish(two);
}

/* As a call does that goes on on another line: a second pair, and a second handshake. */
static void resume(void)
{
    static struct cn_pair resumed[2];

    for (int i = 0; i < 2; i++) {
        need(cn_pair_resume(&resumed[i], &crypto, &two[i].me.pair, &two[i].keys.resume) == CN_OK);
        two[i].setup.pair = &resumed[i];
        cn_call_keys_wipe(&two[i].keys);
    }
    shake_hands();
    for (int i = 0; i < 2; i++)
        cn_pair_wipe(&resumed[i]);
}

/* What whoever has a call does at its end. */
static void hang_up(void)
{
    for (int i = 0; i < 2; i++) {
        cn_record_wipe(&sending[i]);
        cn_record_wipe(&receiving[i]);
        cn_call_keys_wipe(&two[i].keys);
        cn_handshake_wipe(&two[i].handshake);
        cn_pair_wipe(&two[i].me.pair);
        cn_card_wipe(&two[i].me.card);
        cn_identity_wipe(&two[i].me.identity);
    }
    cn_wipe(wire, sizeof wire);
}

/* A copy of what is secret, where nothing wipes it: is it found? */
static bool plant_is_found(void)
{
    static uint8_t kept[COPY_SIZE];
    uint8_t *block = malloc(COPY_SIZE);
    size_t found[3];

    need(block);
    found[0] = watch_find(0, NULL);
    for (size_t i = 0; i < CN_SHA256_SIZE; i++) { /* and not in a register */
        ((volatile uint8_t *)kept)[i] = two[0].keys.send.bytes[i];
        ((volatile uint8_t *)block)[i] = two[1].me.pair.secret.bytes[i];
    }
    hang_up();
    found[1] = watch_find(0, NULL);
    cn_wipe(kept, sizeof kept);
    cn_wipe(block, COPY_SIZE);
    free(block);
    found[2] = watch_find(0, stdout);
    return found[0] > 32 && found[1] == found[2] + 4;
}

static void call(const enum cn_kem kinds[2], const struct cn_suite *suite)
{
    size_t secrets, left;
    bool found;

    people_make(kinds, suite->code);
    ends_set_up(two, &crypto, &seeded);
    shake_hands();
    resume();
    records_open();
    say(0);
    say(1);
    hang_up();
    left = watch_find(0, stdout);
    secrets = watch_count();
    watch_forget();

    people_make(kinds, suite->code);
    ends_set_up(two, &crypto, &seeded);
    shake_hands();
    found = plant_is_found();
    watch_forget();
    check(left == 0 && found, "%s and %s, %s: of %zu pieces of secrets %zu are left; %s",
          cn_kem_name(kinds[0]), cn_kem_name(kinds[1]), suite->name, secrets, left,
          found ? "what is planted is found" : "what is planted is not found");
}

int main(int argc, char **argv)
{
    const struct number numbers[] = { { "--kinds", &kind_count }, { "--suites", &suite_count } };

    numbers_take(argc, argv, numbers, COUNT(numbers));
    need(kind_count <= 5 && suite_count <= CN_SUITE_COUNT);
    for (uint64_t one = 0; one < kind_count; one++) {
        for (uint64_t other = one; other < kind_count; other++) {
            const enum cn_kem kinds[2] = { (enum cn_kem)(CN_KEM_X25519 + one),
                                           (enum cn_kem)(CN_KEM_X25519 + other) };

            for (uint64_t suite = 0; suite < suite_count; suite++)
                call(kinds, &cn_suites[suite]);
        }
    }
    return checks_end();
}
