#include "proxy.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto.h"
#include "reader.h"
#include "writer.h"

/* RFC 1928, 1929 */
enum {
    SOCKS_VERSION = 5,
    SOCKS_AUTH_VERSION = 1,
    METHOD_NONE = 0,
    METHOD_USER = 2,
    METHOD_NOT_ANY = 0xff,
    COMMAND_CONNECT = 1,
    KIND_IPV4 = 1,
    KIND_NAME = 3,
    KIND_IPV6 = 4,
    REPLY_HEAD_SIZE = 4, /* version, reply, reserved, kind of address */
    PORT_SIZE = 2
};

#define WANTS_USER "it wants a user and a password"
#define REFUSES_US "it does not take our user and password"
#define SENSELESS  "its answer makes no sense"
#define TOO_MUCH   "it said more than an answer"

void cn_proxy_wipe(struct cn_proxy *proxy)
{
    cn_wipe(proxy, sizeof *proxy);
}

static enum cn_err fail(struct cn_proxy *p, enum cn_err err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static enum cn_err fail(struct cn_proxy *p, enum cn_err err, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(p->reason, sizeof p->reason, format, args);
    va_end(args);
    p->state = CN_PROXY_FAILED;
    return err;
}

static struct cn_writer out_begin(struct cn_proxy *p)
{
    p->out_begin = p->out_end = 0;
    return (struct cn_writer) { .at = p->out, .left = sizeof p->out };
}

/* Everything is bounded so that it fits. */
static void out_end(struct cn_proxy *p, const struct cn_writer *w)
{
    assert(cn_writer_ok(w));
    p->out_end = sizeof p->out - w->left;
}

const uint8_t *cn_proxy_output(const struct cn_proxy *proxy, size_t *size)
{
    *size = proxy->out_end - proxy->out_begin;
    return proxy->out + proxy->out_begin;
}

void cn_proxy_sent(struct cn_proxy *proxy, size_t size)
{
    assert(size <= proxy->out_end - proxy->out_begin);
    proxy->out_begin += size;
}

/* --- SOCKS5 --------------------------------------------------------------------------------- */

static void greeting_write(struct cn_proxy *p)
{
    struct cn_writer w = out_begin(p);

    cn_writer_u8(&w, SOCKS_VERSION);
    cn_writer_u8(&w, p->setting->has_user ? 2 : 1);
    cn_writer_u8(&w, METHOD_NONE);
    if (p->setting->has_user)
        cn_writer_u8(&w, METHOD_USER);
    out_end(p, &w);
    p->state = CN_PROXY_GREETED;
}

static void text_write(struct cn_writer *w, const char *text)
{
    cn_writer_u8(w, (uint8_t)strlen(text));
    cn_writer_bytes(w, text, strlen(text));
}

static void user_write(struct cn_proxy *p)
{
    struct cn_writer w = out_begin(p);

    cn_writer_u8(&w, SOCKS_AUTH_VERSION);
    text_write(&w, p->setting->user);
    text_write(&w, p->setting->password);
    out_end(p, &w);
    p->state = CN_PROXY_AUTHENTICATING;
}

static void request_write(struct cn_proxy *p)
{
    struct cn_writer w = out_begin(p);
    char host[CN_ADDRESS_SIZE_MAX + 1];
    const char *colon = strrchr(p->target, ':');
    bool bracketed = p->target[0] == '[';
    uint8_t octets[16];

    snprintf(host, sizeof host, "%.*s", (int)(colon - p->target) - (bracketed ? 2 : 0),
             p->target + (bracketed ? 1 : 0));
    cn_writer_u8(&w, SOCKS_VERSION);
    cn_writer_u8(&w, COMMAND_CONNECT);
    cn_writer_u8(&w, 0);
    if (inet_pton(AF_INET, host, octets) == 1) {
        cn_writer_u8(&w, KIND_IPV4);
        cn_writer_bytes(&w, octets, 4);
    } else if (inet_pton(AF_INET6, host, octets) == 1) {
        cn_writer_u8(&w, KIND_IPV6);
        cn_writer_bytes(&w, octets, 16);
    } else {
        cn_writer_u8(&w, KIND_NAME);
        text_write(&w, host);
    }
    cn_writer_u16be(&w, (uint16_t)strtoul(colon + 1, NULL, 10));
    out_end(p, &w);
    p->state = CN_PROXY_REQUESTED;
}

static enum cn_err method_took(struct cn_proxy *p)
{
    if (p->in[0] != SOCKS_VERSION)
        return fail(p, CN_E_PROXY, "it is no SOCKS5 proxy");
    if (p->in_size < 2)
        return CN_E_MORE;
    if (p->in[1] == METHOD_NONE)
        request_write(p);
    else if (p->in[1] == METHOD_USER && p->setting->has_user)
        user_write(p);
    else if (p->in[1] == METHOD_NOT_ANY)
        return fail(p, CN_E_PROXY, p->setting->has_user ? REFUSES_US : WANTS_USER);
    else
        return fail(p, CN_E_PROXY, SENSELESS);
    p->in_size = 0;
    return CN_E_MORE;
}

static enum cn_err user_took(struct cn_proxy *p)
{
    if (p->in_size < 2)
        return CN_E_MORE;
    if (p->in[1] != 0)
        return fail(p, CN_E_PROXY, REFUSES_US);
    p->in_size = 0;
    request_write(p);
    return CN_E_MORE;
}

static enum cn_err refused(struct cn_proxy *p, uint8_t code)
{
    static const struct {
        enum cn_err err;
        const char *text;
    } replies[] = {
        [1] = { CN_E_PROXY, "general failure" },
        [2] = { CN_E_PROXY, "its rules do not allow it" },
        [3] = { CN_E_UNREACHABLE, "network unreachable" },
        [4] = { CN_E_UNREACHABLE, "host unreachable" },
        [5] = { CN_E_UNREACHABLE, "connection refused" },
        [6] = { CN_E_UNREACHABLE, "no answer from there" },
        [7] = { CN_E_PROXY, "it does not connect to others" },
        [8] = { CN_E_PROXY, "it does not know such addresses" },
    };

    if (code >= sizeof replies / sizeof replies[0])
        return fail(p, CN_E_PROXY, "it refuses, with the code %u", code);
    return fail(p, replies[code].err, "%s", replies[code].text);
}

/* Octets of a reply as far as it is known. */
static size_t reply_size(const struct cn_proxy *p)
{
    if (p->in_size <= REPLY_HEAD_SIZE)
        return REPLY_HEAD_SIZE + 1;
    switch (p->in[3]) {
    case KIND_IPV4:
        return REPLY_HEAD_SIZE + 4 + PORT_SIZE;
    case KIND_IPV6:
        return REPLY_HEAD_SIZE + 16 + PORT_SIZE;
    default: /* KIND_NAME */
        return REPLY_HEAD_SIZE + 1U + p->in[4] + PORT_SIZE;
    }
}

static enum cn_err reply_took(struct cn_proxy *p)
{
    if (p->in[0] != SOCKS_VERSION)
        return fail(p, CN_E_PROXY, SENSELESS);
    if (p->in_size >= 2 && p->in[1] != 0)
        return refused(p, p->in[1]);
    if (p->in_size >= REPLY_HEAD_SIZE && p->in[3] != KIND_IPV4 && p->in[3] != KIND_IPV6 &&
        p->in[3] != KIND_NAME)
        return fail(p, CN_E_PROXY, SENSELESS);
    if (p->in_size < reply_size(p))
        return CN_E_MORE;
    p->state = CN_PROXY_CONNECTED;
    return CN_OK;
}

/* --- HTTP ----------------------------------------------------------------------------------- */

static void line_write(struct cn_writer *w, const char *first, const char *second,
                       const char *third)
{
    cn_writer_bytes(w, first, strlen(first));
    cn_writer_bytes(w, second, strlen(second));
    cn_writer_bytes(w, third, strlen(third));
}

static void connect_write(struct cn_proxy *p)
{
    struct cn_writer w = out_begin(p);
    char plain[2 * CN_PROXY_USER_SIZE_MAX + 2];
    char coded[CN_BASE64_SIZE(sizeof plain)];
    int size;

    line_write(&w, "CONNECT ", p->target, " HTTP/1.1\r\n");
    line_write(&w, "Host: ", p->target, "\r\n");
    if (p->setting->has_user) { /* RFC 7617 */
        size = snprintf(plain, sizeof plain, "%s:%s", p->setting->user, p->setting->password);
        cn_base64_encode(coded, plain, (size_t)size);
        line_write(&w, "Proxy-Authorization: Basic ", coded, "\r\n");
        cn_wipe(plain, sizeof plain);
        cn_wipe(coded, sizeof coded);
    }
    cn_writer_bytes(&w, "\r\n", 2);
    out_end(p, &w);
    p->state = CN_PROXY_ASKED;
}

/* HTTP/1.x NNN ...; false: it is something else. */
static bool status_read(struct cn_proxy *p)
{
    static const char version[] = "HTTP/1.";
    const size_t at = sizeof version - 1; /* of the minor version */
    unsigned status = 0;

    if (p->in_size < at + 5 || memcmp(p->in, version, at) != 0 || p->in[at] < '0' ||
        p->in[at] > '9' || p->in[at + 1] != ' ')
        return false;
    for (size_t i = at + 2; i < at + 5; i++) {
        if (p->in[i] < '0' || p->in[i] > '9')
            return false;
        status = status * 10 + (unsigned)(p->in[i] - '0');
    }
    if (p->in_size > at + 5 && p->in[at + 5] != ' ')
        return false;
    p->status = status;
    return status >= 100;
}

/* The answer's empty line has come. */
static enum cn_err answer_took(struct cn_proxy *p)
{
    unsigned status = p->status;

    p->status = 0;
    if (status < 200 && status != 101) /* the answer comes yet: RFC 9110 15.2 */
        return CN_E_MORE;
    if (status >= 200 && status < 300) {
        p->state = CN_PROXY_CONNECTED;
        return CN_OK;
    }
    if (status == 407)
        return fail(p, CN_E_PROXY, p->setting->has_user ? REFUSES_US : WANTS_USER);
    if (status >= 502 && status <= 504)
        return fail(p, CN_E_UNREACHABLE, "it answers %u: nothing comes from there", status);
    if (status == 403)
        return fail(p, CN_E_PROXY, "its rules do not allow it");
    return fail(p, CN_E_PROXY, "it answers %u", status);
}

/* A line is whole, without its end. */
static enum cn_err line_took(struct cn_proxy *p)
{
    bool empty = p->line_size == 0 || (p->line_size == 1 && p->in[0] == '\r');
    enum cn_err err = CN_E_MORE;

    if (p->in_size > 0 && p->in[p->in_size - 1] == '\r')
        p->in_size--;
    if (p->status == 0 && !status_read(p))
        err = fail(p, CN_E_PROXY, "it is no HTTP proxy");
    else if (p->status != 0 && empty)
        err = answer_took(p);
    p->in_size = p->line_size = 0;
    return err;
}

/* One octet of an answer: of each line the beginning is kept. */
static enum cn_err answer_octet(struct cn_proxy *p, uint8_t octet)
{
    static const char begin[] = "HTTP/1.";

    if (++p->answer_size > CN_PROXY_ANSWER_SIZE_MAX)
        return fail(p, CN_E_PROXY, "its answer does not end");
    if (octet == '\n')
        return line_took(p);
    /* who speaks another protocol may never end a line */
    if (p->status == 0 && p->line_size < sizeof begin - 1 && octet != (uint8_t)begin[p->line_size])
        return fail(p, CN_E_PROXY, "it is no HTTP proxy");
    if (p->in_size < sizeof p->in)
        p->in[p->in_size++] = octet;
    p->line_size++;
    return CN_E_MORE;
}

/* --- both ----------------------------------------------------------------------------------- */

void cn_proxy_start(struct cn_proxy *proxy, const struct cn_proxy_setting *setting,
                    const char *target)
{
    memset(proxy, 0, sizeof *proxy);
    proxy->setting = setting;
    proxy->target = target;
    if (setting->kind == CN_PROXY_SOCKS5)
        greeting_write(proxy);
    else
        connect_write(proxy);
}

static enum cn_err octet_took(struct cn_proxy *p, uint8_t octet)
{
    if (p->state == CN_PROXY_ASKED)
        return answer_octet(p, octet);
    if (p->state == CN_PROXY_CONNECTED)
        return fail(p, CN_E_PROXY, TOO_MUCH);
    p->in[p->in_size++] = octet; /* no message of SOCKS5 has more than fits */
    switch (p->state) {
    case CN_PROXY_GREETED:
        return method_took(p);
    case CN_PROXY_AUTHENTICATING:
        return user_took(p);
    case CN_PROXY_REQUESTED:
        return reply_took(p);
    case CN_PROXY_ASKED:
    case CN_PROXY_CONNECTED:
    case CN_PROXY_FAILED:
        break;
    }
    return CN_E_PROXY;
}

enum cn_err cn_proxy_input(struct cn_proxy *proxy, const uint8_t *octets, size_t size)
{
    enum cn_err err = CN_E_MORE;

    if (proxy->state == CN_PROXY_FAILED)
        return CN_E_PROXY;
    if (size > 0 && proxy->out_begin < proxy->out_end)
        return fail(proxy, CN_E_PROXY, SENSELESS); /* before it was asked */
    for (size_t i = 0; i < size && (err == CN_E_MORE || err == CN_OK); i++) {
        if (proxy->out_begin < proxy->out_end) /* it answers what it was not asked yet */
            return fail(proxy, CN_E_PROXY, TOO_MUCH);
        err = octet_took(proxy, octets[i]);
    }
    return err;
}
