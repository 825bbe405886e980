/* Whatever is to be unpacked, nothing is written past the size that was said. The input: that size
 * (3), then what was compressed. */
#include "fuzz.h"

#include "message.h"
#include "pack.h"
#include "reader.h"

enum { GUARD_SIZE = 64 };

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t in_size)
{
    static struct cn_packer *packer;
    static uint8_t out[CN_BLOCK_SIZE + GUARD_SIZE];
    static const uint8_t guard[GUARD_SIZE] = { 0 };
    struct cn_reader r = { .at = in, .left = in_size };
    size_t size = (size_t)(cn_reader_be(&r, 3) % CN_BLOCK_SIZE) + 1;

    if (!cn_reader_ok(&r))
        return 0;
    if (!packer)
        must(cn_packer_open(&packer) == CN_OK);
    (void)(cn_unpack(packer, r.at, r.left, out, size) == CN_OK);
    must(memcmp(out + size, guard, GUARD_SIZE) == 0);
    memset(out, 0, size);
    return 0;
}
