/* An answer of DNS about services: what is taken of it are addresses, in the order of priorities.
 */
#include "fuzz.h"

#include "srv.h"

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t in_size)
{
    static const uint32_t chance[CN_SRV_COUNT_MAX] = { 0, UINT32_MAX, 1U << 31, 7 };
    struct cn_srv srv[CN_SRV_COUNT_MAX];
    size_t count = 0;

    if (cn_srv_read(in, in_size, srv, &count) != CN_OK) {
        must(count == 0);
        return 0;
    }
    must(count <= CN_SRV_COUNT_MAX);
    cn_srv_order(srv, count, chance);
    for (size_t i = 0; i < count; i++) {
        must(cn_address_valid(srv[i].address));
        must(i == 0 || srv[i - 1].priority <= srv[i].priority);
    }
    return 0;
}
