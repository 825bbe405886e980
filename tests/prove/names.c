/* Names, labels and addresses as texts: every length up to one more than is accepted, of any
 * octets, in memory that ends with the text. */
#include "any.h"
#include "fingerprint.h"

enum { SIZE_MAX_TRIED = CN_ADDRESS_SIZE_MAX + 1, SHORT_SIZE = 8, LONG_SIZE = SIZE_MAX_TRIED - 1 };

static char text[SIZE_MAX_TRIED + 1];

int main(void)
{
    bool good = false;

    for (size_t size = 0; size <= SIZE_MAX_TRIED;
         size += size == SHORT_SIZE ? LONG_SIZE - size : 1) {
        char *begin = text + SIZE_MAX_TRIED - size;

        any_octets(begin, size);
        switch (any_size(3)) {
        case 0:
            good = cn_name_valid(begin);
            break;
        case 1:
            good = cn_label_valid(begin);
            break;
        case 2:
            good = cn_address_valid(begin);
            break;
        default:
            good = cn_address_service(begin) != NULL;
        }
    }
    return good;
}
