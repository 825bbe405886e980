/* Notices, in whatever stands where one should be: any number of octets, of any values. */
#include "notice.h"
#include "any.h"

/* names.c is about this one. */
/*@ assigns \result \from address[0..]; ensures \result == 0 || \result == 1; */
bool cn_address_reachable(const char *address);

int main(void)
{
    static uint8_t none;
    struct cn_reader r = { &none, any_size(1U << 20), false };
    struct cn_notice notice;

    return cn_notice_decode(&notice, &r) != CN_OK;
}
