/* Both decoders of a transfer's messages: what they accept is within its limits, and encodes to the
 * same octets. The input is a control stream, then, after an octet 0xff where a type would be, a
 * data stream. */
#include "fuzz.h"

#include "message.h"

static size_t control_take(const uint8_t *in, size_t in_size)
{
    static struct cn_message m;
    static uint8_t out[CN_MESSAGE_CONTROL_SIZE_MAX];
    uint8_t type = 0;
    size_t size = 0;

    if (in_size < CN_MESSAGE_HEAD_SIZE || cn_message_head(in, &type, &size) != CN_OK ||
        in_size - CN_MESSAGE_HEAD_SIZE < size)
        return 0;
    if (cn_message_decode(&m, type, in + CN_MESSAGE_HEAD_SIZE, size) != CN_OK)
        return 0;
    if (m.type == CN_MESSAGE_ENTRY) {
        const struct cn_entry *e = &m.entry.entry;

        must(strlen(e->name) == e->name_size && e->name_size <= CN_ENTRY_NAME_SIZE_MAX);
        must(e->mode <= 0777 && e->mtime_ns < 1000000000);
        must((e->type == CN_ENTRY_LINK) == (e->target != NULL));
        must(cn_message_entry_size(e) == CN_MESSAGE_HEAD_SIZE + size);
    }
    must(cn_message_encode(&m, out) == CN_MESSAGE_HEAD_SIZE + size);
    if (m.type != CN_MESSAGE_ENTRY) /* of whose mode only some bits are taken */
        must(memcmp(out, in, CN_MESSAGE_HEAD_SIZE + size) == 0);
    return CN_MESSAGE_HEAD_SIZE + size;
}

static size_t data_take(const uint8_t *in, size_t in_size)
{
    uint8_t out[CN_DATA_HEAD_SIZE_MAX];
    struct cn_data d;
    size_t used = 0;

    if (cn_data_decode(&d, &used, in, in_size) != CN_OK)
        return 0;
    must(used <= in_size && used <= sizeof out);
    must(d.size <= CN_BLOCK_SIZE && cn_data_follows(&d) <= CN_BLOCK_SIZE);
    must(cn_data_encode(&d, out) == used && memcmp(out, in, used) == 0);
    for (size_t less = 0; less < used; less++) {
        size_t none;

        must(cn_data_decode(&d, &none, in, less) == CN_E_MORE);
    }
    return cn_data_follows(&d) <= in_size - used ? used + cn_data_follows(&d) : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t in_size)
{
    size_t at = 0;

    for (size_t used; at < in_size && in[at] != 0xff; at += used) {
        used = control_take(in + at, in_size - at);
        if (used == 0)
            return 0;
    }
    at++;
    for (size_t used; at < in_size; at += used) {
        used = data_take(in + at, in_size - at);
        if (used == 0)
            return 0;
    }
    return 0;
}
