#include "socks.h"

#include <arpa/inet.h>
#include <assert.h>

enum {
    VERSION = 5,
    GREETING_HEAD_SIZE = 2, /* version, number of methods */
    REQUEST_HEAD_SIZE = 5,  /* version, command, 0, type of address, its first octet */
    PORT_SIZE = 2,
    COMMAND_CONNECT = 1,
    METHOD_NONE = 0,
    METHODS_NOT_ACCEPTABLE = 0xff,
    ADDRESS_IPV4 = 1,
    ADDRESS_NAME = 3,
    ADDRESS_IPV6 = 4
};

static size_t greeting_size(const struct cn_socks *s)
{
    return s->size < GREETING_HEAD_SIZE ? GREETING_HEAD_SIZE
                                        : (size_t)GREETING_HEAD_SIZE + s->in[1];
}

/* Octets of the address, with the one that says how long a name is; 0: no such type. */
static size_t address_size(const struct cn_socks *s)
{
    switch (s->in[3]) {
    case ADDRESS_IPV4:
        return 4;
    case ADDRESS_NAME:
        return (size_t)1 + s->in[4];
    case ADDRESS_IPV6:
        return 16;
    default:
        return 0;
    }
}

static size_t request_size(const struct cn_socks *s)
{
    return s->size < REQUEST_HEAD_SIZE ? REQUEST_HEAD_SIZE
                                       : REQUEST_HEAD_SIZE - 1 + address_size(s) + PORT_SIZE;
}

size_t cn_socks_wanted(const struct cn_socks *socks)
{
    return (socks->greeted ? request_size(socks) : greeting_size(socks)) - socks->size;
}

void cn_socks_answer(enum cn_socks_reply reply, struct cn_socks_answer *answer)
{
    *answer = (struct cn_socks_answer) { .size = CN_SOCKS_ANSWER_SIZE,
                                         .octets = { VERSION, (uint8_t)reply, 0, ADDRESS_IPV4 } };
}

static enum cn_err greeting_take(struct cn_socks *s, struct cn_socks_answer *answer)
{
    bool acceptable;

    if (s->in[0] != VERSION)
        return CN_E_FORMAT;
    if (s->size < greeting_size(s))
        return CN_E_MORE;
    acceptable = memchr(s->in + GREETING_HEAD_SIZE, METHOD_NONE, s->in[1]) != NULL;
    answer->octets[0] = VERSION;
    answer->octets[1] = acceptable ? METHOD_NONE : METHODS_NOT_ACCEPTABLE;
    answer->size = 2;
    s->greeted = true;
    s->size = 0;
    return acceptable ? CN_E_MORE : CN_E_FORMAT;
}

static enum cn_err refuse(enum cn_socks_reply reply, struct cn_socks_answer *answer)
{
    cn_socks_answer(reply, answer);
    return CN_E_FORMAT;
}

/* The address as text, in the form of what goes over the line. */
static bool name_take(const struct cn_socks *s, struct cn_writer *w)
{
    char text[INET6_ADDRSTRLEN];

    if (s->in[3] == ADDRESS_NAME) {
        cn_writer_bytes(w, s->in + REQUEST_HEAD_SIZE, s->in[4]);
        return true;
    }
    if (!inet_ntop(s->in[3] == ADDRESS_IPV4 ? AF_INET : AF_INET6, s->in + REQUEST_HEAD_SIZE - 1,
                   text, sizeof text))
        return false;
    cn_writer_bytes(w, text, strlen(text));
    return true;
}

static enum cn_err request_take(struct cn_socks *s, struct cn_terminus *to,
                                struct cn_socks_answer *answer)
{
    uint8_t encoded[CN_TERMINUS_ENCODED_SIZE_MAX];
    struct cn_writer w = { .at = encoded, .left = sizeof encoded };
    struct cn_reader r = { .at = encoded };

    if (s->in[0] != VERSION)
        return CN_E_FORMAT;
    if (s->size < REQUEST_HEAD_SIZE)
        return CN_E_MORE;
    if (address_size(s) == 0)
        return refuse(CN_SOCKS_NO_SUCH_ADDRESS, answer);
    if (s->size < request_size(s))
        return CN_E_MORE;
    if (s->in[1] != COMMAND_CONNECT)
        return refuse(CN_SOCKS_NO_SUCH_COMMAND, answer);
    cn_writer_u8(&w, CN_TERMINUS_TCP);
    cn_writer_bytes(&w, s->in + s->size - PORT_SIZE, PORT_SIZE);
    if (!name_take(s, &w))
        return refuse(CN_SOCKS_FAILED, answer);
    r.left = sizeof encoded - w.left;
    if (!cn_writer_ok(&w) || cn_terminus_decode(to, &r, false) != CN_OK)
        return refuse(CN_SOCKS_HOST_UNREACHABLE, answer);
    return CN_OK;
}

enum cn_err cn_socks_take(struct cn_socks *socks, const uint8_t *in, size_t size,
                          struct cn_terminus *to, struct cn_socks_answer *answer)
{
    assert(size <= cn_socks_wanted(socks));
    answer->size = 0;
    memcpy(socks->in + socks->size, in, size);
    socks->size += size;
    if (socks->size == 0)
        return CN_E_MORE;
    return socks->greeted ? request_take(socks, to, answer) : greeting_take(socks, answer);
}
