/* crowd DIR PORT COUNT TAGS: that many subscribers, each waiting on one line to the server at
 * 127.0.0.1:PORT under so many tags. Their certificates are signed with DIR/operator.key; the
 * registry does not learn of them. Says `waiting COUNT`; then reads commands, one a line:
 *
 *   join NUMBER      another subscriber comes for line NUMBER, which is joined and then leaves, as
 *                    its partner does; answers `joined MICROSECONDS`, from REGISTER to its JOINED
 *
 * Ends with its input. Anything that does not go well ends it with 1. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "keyfile.h"
#include "random.h"
#include "registry.h"
#include "settings.h"

enum { TIMEOUT_S = 60, TAGS_MAX = CN_ADMISSION_ENTRY_COUNT_MAX };

struct member {
    int fd;
    struct cn_admission_line line;
    struct cn_entry entry[TAGS_MAX];
};

static struct cn_crypto crypto;
static struct cn_operator_secret operator_secret;
static struct cn_server_public server_key;
static struct sockaddr_in server_address;
static uint16_t tag_count;
static uint64_t serial = 1000000;

static void need(bool fine, const char *what)
{
    if (fine)
        return;
    fprintf(stderr, "crowd: %s: %s\n", what, strerror(errno));
    exit(1);
}

static double now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void random_fill(uint8_t *out, size_t size)
{
    need(cn_random_fill(&cn_system_random, out, size) == CN_OK, "random");
}

static void server_take(const char *dir)
{
    struct cn_registry *registry = NULL;
    struct cn_settings settings;
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    need(fd >= 0 && cn_registry_open(&registry, dir, false) == CN_OK &&
             cn_settings_read(registry, &settings) == CN_OK,
         dir);
    cn_registry_close(registry);
    server_key = settings.server_key;
    need(cn_keyfile_read(&crypto, fd, CN_OPERATOR_KEY_FILE, CN_ARMOR_OPERATOR_KEY,
                         operator_secret.bytes) == CN_OK,
         CN_OPERATOR_KEY_FILE);
    close(fd);
}

/* --- one subscriber -------------------------------------------------------------------------- */

static struct cn_fingerprint fingerprint_make(void)
{
    struct cn_fingerprint f = { .has_secret = true, .server_key = server_key };

    random_fill(f.secret.bytes, sizeof f.secret.bytes);
    f.certificate.serial = serial++;
    f.certificate.not_after = UINT64_MAX;
    need(cn_x25519_public(f.secret.bytes, f.certificate.admission_key) == CN_OK &&
             cn_certificate_sign(&f.certificate, &operator_secret) == CN_OK,
         "certificate");
    return f;
}

static void say(int fd, const uint8_t message[CN_ADMISSION_SIZE])
{
    need(send(fd, message, CN_ADMISSION_SIZE, MSG_NOSIGNAL) == CN_ADMISSION_SIZE, "send");
}

static void hear(int fd, uint8_t message[CN_ADMISSION_SIZE])
{
    need(recv(fd, message, CN_ADMISSION_SIZE, MSG_WAITALL) == CN_ADMISSION_SIZE, "recv");
}

static void admit(struct member *m)
{
    const struct cn_fingerprint f = fingerprint_make();
    const struct timeval limit = { .tv_sec = TIMEOUT_S };
    struct cn_admission_verdict verdict;
    struct cn_noise noise;
    uint8_t ephemeral[CN_X25519_SIZE];
    uint8_t message[CN_ADMISSION_SIZE];

    m->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    need(m->fd >= 0 &&
             connect(m->fd, (const struct sockaddr *)&server_address, sizeof server_address) == 0,
         "connect");
    need(setsockopt(m->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == 0, "SO_RCVTIMEO");
    random_fill(ephemeral, sizeof ephemeral);
    need(cn_admission_hello_write(&noise, &crypto, &f, ephemeral, message) == CN_OK, "hello");
    say(m->fd, message);
    hear(m->fd, message);
    need(cn_admission_verdict_read(&noise, message, &verdict, &m->line) == CN_OK &&
             verdict.verdict == CN_VERDICT_ADMITTED,
         "verdict");
}

static void say_register(struct member *m, uint16_t count)
{
    struct cn_admission_message said = { .type = CN_ADMISSION_REGISTER, .entry_count = count };
    uint8_t message[CN_ADMISSION_SIZE];

    memcpy(said.entry, m->entry, count * sizeof m->entry[0]);
    need(cn_admission_seal(&m->line, &crypto, &said, message) == CN_OK, "REGISTER");
    say(m->fd, message);
}

static void expect(struct member *m, enum cn_admission_type type, const char *what)
{
    struct cn_admission_message heard;
    uint8_t message[CN_ADMISSION_SIZE];

    hear(m->fd, message);
    need(cn_admission_open(&m->line, &crypto, message, &heard) == CN_OK && heard.type == type,
         what);
}

static void begin_waiting(struct member *m)
{
    admit(m);
    for (uint16_t i = 0; i < tag_count; i++) {
        m->entry[i].mode = CN_MODE_INPUT;
        random_fill(m->entry[i].tag, CN_TAG_SIZE);
    }
    say_register(m, tag_count);
    expect(m, CN_ADMISSION_WAITING, "WAITING");
}

/* --- the crowd ------------------------------------------------------------------------------- */

static void join(struct member *m)
{
    struct member visitor = { 0 };
    double began;

    need(m->fd >= 0, "that line has left");
    admit(&visitor);
    visitor.entry[0] = m->entry[tag_count - 1];
    visitor.entry[0].mode = CN_MODE_OUTPUT;
    began = now_us();
    say_register(&visitor, 1);
    expect(&visitor, CN_ADMISSION_JOINED, "JOINED");
    printf("joined %.0f\n", now_us() - began);
    expect(m, CN_ADMISSION_JOINED, "JOINED of who waited");
    close(visitor.fd);
    close(m->fd);
    m->fd = -1;
}

static void descriptors_allow(size_t count)
{
    struct rlimit limit;

    need(getrlimit(RLIMIT_NOFILE, &limit) == 0, "getrlimit");
    limit.rlim_cur = limit.rlim_max;
    need(limit.rlim_max > count + 16 && setrlimit(RLIMIT_NOFILE, &limit) == 0, "descriptors");
}

static void commands(struct member *members, size_t count)
{
    char text[64];

    while (fgets(text, sizeof text, stdin)) {
        size_t number = strtoul(text + strcspn(text, " "), NULL, 10);

        need(strncmp(text, "join ", 5) == 0 && number < count, "no such command");
        join(&members[number]);
        fflush(stdout);
    }
}

int main(int argc, char **argv)
{
    struct member *members;
    size_t count;

    if (argc != 5)
        return 2;
    count = strtoul(argv[3], NULL, 10);
    tag_count = (uint16_t)strtoul(argv[4], NULL, 10);
    members = calloc(count, sizeof *members);
    need(members && tag_count > 0 && tag_count <= TAGS_MAX, "so many");
    server_address = (struct sockaddr_in) { .sin_family = AF_INET,
                                            .sin_port = htons((uint16_t)strtoul(argv[2], NULL, 10)),
                                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    descriptors_allow(count);
    need(cn_crypto_init(&crypto) == CN_OK, "libcrypto");
    server_take(argv[1]);
    for (size_t i = 0; i < count; i++)
        begin_waiting(&members[i]);
    printf("waiting %zu\n", count);
    fflush(stdout);
    commands(members, count);
    free(members);
    cn_crypto_wipe(&crypto);
    return 0;
}
