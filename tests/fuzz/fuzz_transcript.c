/* A transcript that somebody else has written: nothing that is not sealed under the key is
 * believed. The first octet says how many octets of a good one, of two sittings, come before the
 * rest. */
#include "fuzz.h"

#include "transcript_record.h"

static struct cn_transcript_key key = { { 1, 2, 3 } };

static enum cn_err same_fill(void *context, uint8_t *out, size_t size)
{
    (void)context;
    memset(out, 7, size);
    return CN_OK;
}

static const struct cn_random same = { same_fill, NULL };

static size_t good_make(uint8_t *out)
{
    static const struct cn_transcript_record records[] = {
        { CN_TRANSCRIPT_BEGIN, 1, "bob", 3 },
        { CN_TRANSCRIPT_SAID, 2, "hello", 5 },
    };
    struct cn_transcript_place place = { 0 };
    size_t size = 0;

    for (size_t i = 0; i < 4; i++) {
        size_t put = 0;

        if (i % 2 == 0) {
            must(cn_transcript_sit(&place, fuzz_crypto(), &key, &same, out + size) == CN_OK);
            size += CN_TRANSCRIPT_SITTING_SIZE;
        }
        must(cn_transcript_encode(&place, fuzz_crypto(), &records[i % 2], out + size, &put) ==
             CN_OK);
        size += put;
    }
    return size;
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t in_size)
{
    static uint8_t octets[1 << 16], good[4096], plain[CN_TRANSCRIPT_PLAIN_SIZE_MAX];
    struct cn_transcript_place place = { 0 };
    size_t good_size = good_make(good);
    size_t size, at = 0, kept;
    enum cn_err err = CN_OK;

    if (in_size == 0 || in_size > sizeof octets - sizeof good)
        return 0;
    kept = in[0] * good_size / 255;
    memcpy(octets, good, kept);
    memcpy(octets + kept, in + 1, in_size - 1);
    size = kept + in_size - 1;
    while (at < size && err == CN_OK) {
        const struct cn_piece piece = { octets + at, size - at };
        struct cn_transcript_record record;
        size_t used = 0;

        err = cn_transcript_decode(&place, fuzz_crypto(), &key, piece, &used, plain, &record);
        if (err != CN_OK)
            break;
        must(used > 0 && used <= piece.size && record.text_size <= CN_TRANSCRIPT_TEXT_SIZE_MAX);
        at += used;
        must(at <= good_size && memcmp(octets, good, at) == 0); /* only what we said */
    }
    must(err == CN_OK || err == CN_E_MORE || err == CN_E_FORMAT || err == CN_E_VERSION ||
         err == CN_E_CHECKSUM);
    return 0;
}
