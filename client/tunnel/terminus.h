/* terminus.h - where a tunnel begins and ends: as users type it, and as it goes over the line.
 * PROTOCOL.md 7.5 */
#ifndef CN_TERMINUS_H
#define CN_TERMINUS_H

#include "err.h"
#include "reader.h"
#include "writer.h"

enum {
    CN_TERMINUS_NAME_SIZE_MAX = 255,
    CN_TERMINUS_PATH_SIZE_MAX = 107, /* what the kernel takes for a Unix socket */
    CN_TERMINUS_TEXT_SIZE = CN_TERMINUS_NAME_SIZE_MAX + 16,
    CN_TERMINUS_ENCODED_SIZE_MAX = CN_TERMINUS_NAME_SIZE_MAX + 3
};

/* Numbers as on the line. */
enum cn_terminus_form { CN_TERMINUS_TCP = 1, CN_TERMINUS_UNIX = 2, CN_TERMINUS_UDP = 3 };

struct cn_terminus {
    enum cn_terminus_form form;
    uint16_t port; /* 0: of a place to listen at, any; of a path, always */
    /* A host without brackets, or a path. Of a place to listen at: "localhost", "*" for all
     * addresses, or an address. */
    char name[CN_TERMINUS_NAME_SIZE_MAX + 1];
};

/* Who comes to `from` gets to `to`. Both are datagrams, or neither is. */
struct cn_forward {
    struct cn_terminus from;
    struct cn_terminus to;
};

/* HOST:PORT, udp:HOST:PORT, or a path that begins with a slash. CN_E_FORMAT. */
CN_MUST_USE enum cn_err cn_terminus_parse(struct cn_terminus *place, const char *text);
/* [BIND:]PORT, or a path. No BIND: localhost; an empty one: *. CN_E_FORMAT. */
CN_MUST_USE enum cn_err cn_terminus_parse_listening(struct cn_terminus *place, const char *text);
/* [BIND:]PORT:HOST:HOSTPORT, with a path in place of [BIND:]PORT or of HOST:HOSTPORT; udp: before
 * all of it, and then without paths. CN_E_FORMAT. */
CN_MUST_USE enum cn_err cn_forward_parse(struct cn_forward *forward, const char *text);

/* As it is typed. Returns out. */
char *cn_terminus_text(const struct cn_terminus *place, char out[CN_TERMINUS_TEXT_SIZE]);

void cn_terminus_encode(const struct cn_terminus *place, struct cn_writer *writer);
/* Takes all that is left. CN_E_FORMAT: not a place to connect to, or to listen at. */
CN_MUST_USE enum cn_err cn_terminus_decode(struct cn_terminus *place, struct cn_reader *reader,
                                           bool listening);

/* For the parsers of terminus.c and allow.c: a text in pieces between colons; what is in brackets
 * is one. */
enum { CN_FIELD_COUNT_MAX = 4 };

struct cn_field {
    const char *at;
    size_t size;
    bool bracketed;
};

/* How many; 0: too many, or brackets that do not close. */
size_t cn_fields_split(const char *text, struct cn_field fields[CN_FIELD_COUNT_MAX]);
bool cn_field_is(const struct cn_field *field, const char *text);
/* 0 to 65535. */
bool cn_field_port(const struct cn_field *field, uint16_t *port);
/* A host to connect to. */
bool cn_field_host(const struct cn_field *field, char name[CN_TERMINUS_NAME_SIZE_MAX + 1]);
/* Where to listen. */
bool cn_field_bind(const struct cn_field *field, char name[CN_TERMINUS_NAME_SIZE_MAX + 1]);
bool cn_field_path(const struct cn_field *field, char name[CN_TERMINUS_NAME_SIZE_MAX + 1]);
/* Take "udp:" off the front. */
bool cn_takes_udp(const char **text);

#endif
