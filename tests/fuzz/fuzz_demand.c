/* A line of the agent's socket. What was understood is a name, and is said as it was. */
#include "fuzz.h"

#include "demand.h"
#include "fingerprint.h"

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t in_size)
{
    struct cn_demand demand = { 0 };
    char again[CN_DEMAND_SIZE_MAX];

    if (cn_demand_decode(&demand, (const char *)in, in_size) != CN_OK) {
        must(demand.kind == 0);
        return 0;
    }
    must(demand.kind == CN_DEMAND_HERE || cn_name_valid(demand.contact));
    cn_demand_encode(&demand, again);
    must(strlen(again) == in_size + 1 && memcmp(again, in, in_size) == 0);
    return 0;
}
