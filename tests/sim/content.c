#include "content.h"

#include <string.h>

const uint8_t content_mark[NET_MARK_SIZE] = { 0xC1, 'P', 'L', 'A', 'I', 'N', 0x9E, 0x37 };

static uint64_t mix(uint64_t z)
{
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9U;
    z = (z ^ z >> 27) * 0x94d049bb133111ebU;
    return z ^ z >> 31;
}

uint64_t content_key(uint64_t call, uint64_t end, uint64_t stream)
{
    return mix(mix(call + 1) + 2 * stream + end + 1);
}

static void line_make(uint64_t key, uint64_t number, uint8_t out[CONTENT_LINE_SIZE])
{
    const uint64_t value = mix(key + number * 0x9e3779b97f4a7c15U);

    memcpy(out, content_mark, NET_MARK_SIZE);
    memcpy(out + NET_MARK_SIZE, &value, sizeof value);
}

void content_fill(uint64_t key, uint64_t offset, uint8_t *out, size_t size)
{
    uint8_t line[CONTENT_LINE_SIZE];

    while (size > 0) {
        const size_t skip = (size_t)(offset % CONTENT_LINE_SIZE);
        const size_t part = size < sizeof line - skip ? size : sizeof line - skip;

        line_make(key, offset / CONTENT_LINE_SIZE, line);
        memcpy(out, line + skip, part);
        out += part;
        offset += part;
        size -= part;
    }
}

size_t content_match(uint64_t key, uint64_t offset, const uint8_t *in, size_t size)
{
    uint8_t line[CONTENT_LINE_SIZE];
    size_t done = 0;

    while (done < size) {
        const size_t skip = (size_t)((offset + done) % CONTENT_LINE_SIZE);
        size_t part = size - done < sizeof line - skip ? size - done : sizeof line - skip;

        line_make(key, (offset + done) / CONTENT_LINE_SIZE, line);
        if (memcmp(in + done, line + skip, part) != 0) {
            while (in[done] == line[(offset + done) % CONTENT_LINE_SIZE])
                done++;
            return done;
        }
        done += part;
    }
    return done;
}
