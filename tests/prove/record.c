/* What begins with a record, or is the beginning of one: of every size up to some, and of the
 * largest, in memory of exactly that size. */
#include "record.h"
#include "any.h"
#include "suite.h"

enum { SMALL_SIZE = 64, LARGEST_SIZE = CN_RECORD_SIZE_MAX + 1 };

static uint8_t octets[LARGEST_SIZE];

int main(void)
{
    const struct cn_crypto crypto = { 0 };
    struct cn_record record = { .crypto = &crypto, .suite = &cn_suites[0], .role = CN_ROLE_A };
    const uint8_t *plain;
    size_t plain_size, used;
    size_t size = any_size(SMALL_SIZE);

    //@ split size;
    if (any_bool())
        size = LARGEST_SIZE;
    record.counter = any_size(CN_RECORD_GENERATION_COUNT - 1);
    record.generation = Frama_C_unsigned_int_interval(0, UINT32_MAX);
    any_octets(octets, sizeof octets);
    return cn_record_open(&record, octets + LARGEST_SIZE - size, size, &plain, &plain_size,
                          &used) != CN_OK;
}
