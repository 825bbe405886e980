#include "subscriber.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "keyfile.h"
#include "random.h"

void need(bool fine, const char *what)
{
    if (fine)
        return;
    fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what, strerror(errno));
    exit(1);
}

double now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

void random_fill(uint8_t *out, size_t size)
{
    need(cn_random_fill(&cn_system_random, out, size) == CN_OK, "random");
}

void descriptors_allow(size_t count)
{
    struct rlimit limit;

    need(getrlimit(RLIMIT_NOFILE, &limit) == 0, "getrlimit");
    limit.rlim_cur = limit.rlim_max;
    need(limit.rlim_max > count + 16 && setrlimit(RLIMIT_NOFILE, &limit) == 0, "descriptors");
}

void server_take(struct server *server, const char *dir)
{
    struct cn_registry *registry = NULL;
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    need(cn_crypto_init(&server->crypto) == CN_OK, "libcrypto");
    need(fd >= 0 && cn_registry_open(&registry, dir, false) == CN_OK &&
             cn_settings_read(registry, &server->settings) == CN_OK,
         dir);
    cn_registry_close(registry);
    need(cn_keyfile_read(&server->crypto, fd, CN_OPERATOR_KEY_FILE, CN_ARMOR_OPERATOR_KEY,
                         server->operator_secret.bytes) == CN_OK,
         CN_OPERATOR_KEY_FILE);
    close(fd);
}

void server_wipe(struct server *server)
{
    cn_crypto_wipe(&server->crypto);
    cn_wipe(server, sizeof *server);
}

struct cn_fingerprint fingerprint_make(const struct server *server, uint64_t not_before,
                                       uint64_t not_after)
{
    struct cn_fingerprint f = { .has_secret = true, .server_key = server->settings.server_key };

    random_fill(f.secret.bytes, sizeof f.secret.bytes);
    random_fill((uint8_t *)&f.certificate.serial, 7);
    f.certificate.not_before = not_before;
    f.certificate.not_after = not_after;
    need(cn_x25519_public(f.secret.bytes, f.certificate.admission_key) == CN_OK &&
             cn_certificate_sign(&f.certificate, &server->operator_secret) == CN_OK,
         "certificate");
    return f;
}
