/* A fingerprint and a request: the body inside the armour, of any size and any octets. */
#include "fingerprint.h"
#include "any.h"

/* names.c is about these two. */
/*@ assigns \result \from label[0..]; ensures \result == 0 || \result == 1; */
bool cn_label_valid(const char *label);
/*@ assigns \result \from address[0..]; ensures \result == 0 || \result == 1; */
bool cn_address_reachable(const char *address);

int main(void)
{
    const struct cn_crypto crypto = { 0 };
    struct cn_fingerprint fingerprint;
    uint8_t key[CN_X25519_SIZE];
    char text = 'a';
    bool good;

    good = cn_fingerprint_decode(&crypto, &text, 1, &fingerprint) == CN_OK;
    if (any_bool())
        good = cn_request_decode(&crypto, &text, 1, key) == CN_OK;
    return good;
}
