/* content.h - what the programs say to each other: octets that anybody can tell from all others
 * by key and offset, and that are marked, so that they are found wherever they should not be. */
#ifndef CN_SIM_CONTENT_H
#define CN_SIM_CONTENT_H

#include <stddef.h>
#include <stdint.h>

#include "net.h"

enum { CONTENT_LINE_SIZE = 16 };

/* Every line begins with it. */
extern const uint8_t content_mark[NET_MARK_SIZE];

/* Another one for each call, end and stream. */
uint64_t content_key(uint64_t call, uint64_t end, uint64_t stream);
void content_fill(uint64_t key, uint64_t offset, uint8_t *out, size_t size);
/* How many octets of in, from the first on, are those of key from offset on. */
size_t content_match(uint64_t key, uint64_t offset, const uint8_t *in, size_t size);

#endif
