/* forge DIR LABEL NOT_BEFORE NOT_AFTER: what cyphernetctl would not issue. Writes to standard
 * output a fingerprint signed with DIR/operator.key for a fresh admission key, valid between two
 * times (UTC, seconds since 1970) that may both be past or both to come. The registry does not
 * learn of it. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keyfile.h"
#include "random.h"
#include "registry.h"
#include "settings.h"

static void need(enum cn_err err, const char *what)
{
    if (err == CN_OK)
        return;
    fprintf(stderr, "forge: %s: %s\n", what, cn_err_text(err));
    exit(1);
}

static void settings_take(const char *dir, struct cn_fingerprint *f)
{
    struct cn_registry *registry = NULL;
    struct cn_settings settings;

    need(cn_registry_open(&registry, dir, false), dir);
    need(cn_settings_read(registry, &settings), dir);
    cn_registry_close(registry);
    f->server_key = settings.server_key;
    f->operator_key = settings.operators[0];
    f->address_count = settings.public_count;
    memcpy(f->address, settings.public_address, sizeof f->address);
}

int main(int argc, char **argv)
{
    static char text[CN_ARMOR_TEXT_SIZE_MAX];
    struct cn_fingerprint f = { .has_secret = true };
    struct cn_operator_secret secret;
    struct cn_crypto crypto;
    size_t size = 0;
    int dir;

    if (argc != 5 || !cn_label_valid(argv[2]))
        return 2;
    dir = open(argv[1], O_RDONLY | O_DIRECTORY);
    need(cn_crypto_init(&crypto), "libcrypto");
    settings_take(argv[1], &f);
    need(cn_keyfile_read(&crypto, dir, CN_OPERATOR_KEY_FILE, CN_ARMOR_OPERATOR_KEY, secret.bytes),
         CN_OPERATOR_KEY_FILE);
    need(cn_random_fill(&cn_system_random, f.secret.bytes, sizeof f.secret.bytes), "random");
    need(cn_random_fill(&cn_system_random, (uint8_t *)&f.certificate.serial, 7), "random");
    need(cn_x25519_public(f.secret.bytes, f.certificate.admission_key), "key");
    f.certificate.not_before = strtoull(argv[3], NULL, 10);
    f.certificate.not_after = strtoull(argv[4], NULL, 10);
    strcpy(f.label, argv[2]);
    need(cn_certificate_sign(&f.certificate, &secret), "signature");
    need(cn_fingerprint_encode(&crypto, &f, text, sizeof text, &size), "fingerprint");
    cn_crypto_wipe(&crypto);
    return fwrite(text, 1, size, stdout) == size && fclose(stdout) == 0 ? 0 : 1;
}
