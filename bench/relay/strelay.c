/* strelay.c - calls through Syncthing's relay, its protocol version 1: who waits has joined the
 * relay over TLS; who calls asks it over TLS for a session with him; both are invited, and then
 * come with the session's keys over plain connections. A device is the SHA-256 of its certificate.
 */
#include <openssl/ec.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "net.h"
#include "reader.h"
#include "way.h"

enum {
    PING = 0,
    PONG = 1,
    JOIN_RELAY = 2,
    JOIN_SESSION = 3,
    RESPONSE = 4,
    CONNECT = 5,
    INVITATION = 6,
    HEAD_SIZE = 12,
    BODY_SIZE_MAX = 1024,
    KEY_SIZE_MAX = 64,
    ID_SIZE = 32,
    WELL = 0,
    ALREADY_CONNECTED = 2,
    TRIES_MAX = 20
};

static const uint32_t magic = 0x9E79BC40;

struct device {
    SSL_CTX *tls;
    uint8_t id[ID_SIZE];
};

struct line {
    int fd;
    SSL *tls; /* NULL: plain */
};

struct message {
    uint32_t type;
    size_t size;
    uint8_t body[BODY_SIZE_MAX];
};

static struct device device[END_COUNT];
static struct line waiting; /* of the answerer */

/* --- devices --------------------------------------------------------------------------------- */

static void sure(bool fine)
{
    if (!fine)
        give_up("libssl failed");
}

static X509 *certificate_make(EVP_PKEY *key)
{
    X509 *x = X509_new();
    X509_NAME *name;

    sure(x != NULL);
    name = X509_get_subject_name(x);
    sure(X509_set_version(x, X509_VERSION_3) == 1 &&
         ASN1_INTEGER_set(X509_get_serialNumber(x), 1) == 1 &&
         X509_gmtime_adj(X509_getm_notBefore(x), -3600) != NULL &&
         X509_gmtime_adj(X509_getm_notAfter(x), 30L * 24 * 3600) != NULL &&
         X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const uint8_t *)"syncthing", -1, -1,
                                    0) == 1 &&
         X509_set_issuer_name(x, name) == 1 && X509_set_pubkey(x, key) == 1 &&
         X509_sign(x, key, EVP_sha256()) > 0);
    return x;
}

static void device_make(struct device *d)
{
    static const uint8_t protocol[] = "\x09"
                                      "bep-relay";
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *x;

    sure(key != NULL);
    x = certificate_make(key);
    d->tls = SSL_CTX_new(TLS_client_method());
    sure(d->tls && X509_digest(x, EVP_sha256(), d->id, NULL) == 1 &&
         SSL_CTX_use_certificate(d->tls, x) == 1 && SSL_CTX_use_PrivateKey(d->tls, key) == 1 &&
         SSL_CTX_set_alpn_protos(d->tls, protocol, sizeof protocol - 1) == 0);
    X509_free(x);
    EVP_PKEY_free(key);
}

/* --- messages -------------------------------------------------------------------------------- */

static struct line secure_dial(const struct way *way, const struct device *d)
{
    struct line line = { net_dial(way->port), SSL_new(d->tls) };

    sure(line.tls && SSL_set_fd(line.tls, line.fd) == 1 && SSL_connect(line.tls) == 1);
    return line;
}

static void line_write(struct line *line, const void *octets, size_t size)
{
    if (line->tls)
        sure(SSL_write(line->tls, octets, (int)size) == (int)size);
    else
        net_write(line->fd, octets, size);
}

static void line_read(struct line *line, uint8_t *octets, size_t size)
{
    if (!line->tls) {
        net_read(line->fd, octets, size);
        return;
    }
    while (size > 0) {
        int got = SSL_read(line->tls, octets, (int)size);

        sure(got > 0);
        octets += got;
        size -= (size_t)got;
    }
}

static void u32_put(uint8_t out[4], uint32_t value)
{
    for (int i = 0; i < 4; i++)
        out[i] = (uint8_t)(value >> (24 - 8 * i));
}

/* A message of at most one field, which is opaque octets: its size, they, zeros up to a multiple of
 * four. NULL: no field. */
static void say(struct line *line, uint32_t type, const uint8_t *field, size_t size)
{
    uint8_t out[HEAD_SIZE + 4 + KEY_SIZE_MAX] = { 0 };
    size_t body_size = field ? 4 + (size + 3) / 4 * 4 : 0;

    u32_put(out, magic);
    u32_put(out + 4, type);
    u32_put(out + 8, (uint32_t)body_size);
    if (field) {
        u32_put(out + HEAD_SIZE, (uint32_t)size);
        memcpy(out + HEAD_SIZE + 4, field, size);
    }
    line_write(line, out, HEAD_SIZE + body_size);
}

static void hear(struct line *line, uint32_t type, struct message *m)
{
    uint8_t head[HEAD_SIZE];

    do {
        struct cn_reader r = { .at = head, .left = sizeof head };

        line_read(line, head, sizeof head);
        if (cn_reader_be(&r, 4) != magic)
            give_up("strelaysrv: no message");
        m->type = (uint32_t)cn_reader_be(&r, 4);
        m->size = cn_reader_be(&r, 4);
        if (m->size > sizeof m->body)
            give_up("strelaysrv: too long a message");
        line_read(line, m->body, m->size);
        if (m->type == PING)
            say(line, PONG, NULL, 0);
    } while (m->type == PING);
    if (m->type != type)
        give_up("strelaysrv: another message than expected");
}

static uint32_t hear_response(struct line *line)
{
    struct message m;
    struct cn_reader r = { .at = m.body };
    uint32_t code;

    hear(line, RESPONSE, &m);
    r.left = m.size;
    code = (uint32_t)cn_reader_be(&r, 4);
    if (r.short_read || (code != WELL && code != ALREADY_CONNECTED))
        give_up("strelaysrv: refused");
    return code;
}

/* Come to the session that one was invited to. */
static int session_join(const struct way *way, struct line *invited)
{
    struct message m;
    struct cn_reader r = { .at = m.body };
    struct line line = { -1, NULL };
    const uint8_t *key;
    size_t size;

    hear(invited, INVITATION, &m);
    r.left = m.size;
    size = cn_reader_be(&r, 4); /* from whom */
    (void)cn_reader_take(&r, (size + 3) / 4 * 4);
    size = cn_reader_be(&r, 4);
    key = cn_reader_take(&r, size);
    if (!key || size > KEY_SIZE_MAX)
        give_up("strelaysrv: an invitation without a key");
    line.fd = net_dial(way->port);
    say(&line, JOIN_SESSION, key, size);
    return line.fd;
}

/* --- calls ----------------------------------------------------------------------------------- */

void strelay_begin(const struct way *way)
{
    for (int i = 0; i < END_COUNT; i++)
        device_make(&device[i]);
    waiting = secure_dial(way, &device[ANSWERER]);
    say(&waiting, JOIN_RELAY, NULL, 0);
    if (hear_response(&waiting) != WELL)
        give_up("strelaysrv: already connected");
}

static bool call_try(const struct way *way, int ends[END_COUNT])
{
    struct line asking = secure_dial(way, &device[CALLER]);
    bool fine = true;

    say(&asking, CONNECT, device[ANSWERER].id, ID_SIZE);
    ends[CALLER] = session_join(way, &asking);
    ends[ANSWERER] = session_join(way, &waiting);
    for (int i = 0; i < END_COUNT; i++)
        fine &= hear_response(&(struct line) { ends[i], NULL }) == WELL;
    SSL_free(asking.tls);
    net_reset(asking.fd);
    if (!fine) {
        net_reset(ends[CALLER]);
        net_reset(ends[ANSWERER]);
    }
    return fine;
}

/* Who comes to a session before the relay's thread for it does is told that he is already
 * connected, and both have to begin again. */
void strelay_call(const struct way *way, int ends[END_COUNT])
{
    for (int tries = 0; tries < TRIES_MAX; tries++) {
        if (call_try(way, ends))
            return;
    }
    give_up("strelaysrv: no session to be had");
}
