/* An address that is accepted, typed or from the line, says what it says in one way only, and is
 * safe to look up. The first octet of the input chooses how it is read. */
#include "fuzz.h"

#include <stdio.h>

#include "tunnel/terminus.h"

static void same(const struct cn_terminus *one, const struct cn_terminus *other)
{
    must(one->form == other->form && one->port == other->port &&
         strcmp(one->name, other->name) == 0);
}

static void accepted_check(const struct cn_terminus *e, bool listening)
{
    uint8_t octets[CN_TERMINUS_ENCODED_SIZE_MAX];
    struct cn_writer w = { .at = octets, .left = sizeof octets };
    struct cn_reader r = { .at = octets };
    struct cn_terminus again;

    cn_terminus_encode(e, &w);
    must(cn_writer_ok(&w));
    r.left = sizeof octets - w.left;
    must(cn_terminus_decode(&again, &r, listening) == CN_OK);
    same(e, &again);
    must(strlen(e->name) > 0);
    for (const char *c = e->name; e->form != CN_TERMINUS_UNIX && *c; c++)
        must(*c > ' ' && *c < 0x7f && *c != '/');
}

/* What is typed comes back as it is told, but for paths with a colon, which only the line has. */
static void text_check(const struct cn_terminus *e)
{
    char text[CN_TERMINUS_TEXT_SIZE];
    struct cn_terminus again;

    must(cn_terminus_parse(&again, cn_terminus_text(e, text)) == CN_OK);
    same(e, &again);
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t in_size)
{
    struct cn_reader r = { .at = in + 1, .left = in_size - 1 };
    struct cn_forward forward;
    struct cn_terminus e;
    char text[1024];

    if (in_size == 0)
        return 0;
    snprintf(text, sizeof text, "%.*s", (int)(in_size - 1), (const char *)in + 1);
    switch (in[0] % 5) {
    case 0:
        if (cn_terminus_parse(&e, text) == CN_OK) {
            accepted_check(&e, false);
            text_check(&e);
        }
        break;
    case 1:
        if (cn_terminus_parse_listening(&e, text) == CN_OK)
            accepted_check(&e, true);
        break;
    case 2:
        if (cn_forward_parse(&forward, text) == CN_OK) {
            accepted_check(&forward.from, true);
            accepted_check(&forward.to, false);
        }
        break;
    default:
        if (cn_terminus_decode(&e, &r, in[0] % 5 == 3) == CN_OK)
            accepted_check(&e, in[0] % 5 == 3);
    }
    return 0;
}
