/* A contact file that is accepted says what it says in one way only. The input is the body. */
#include "fuzz.h"

#include "contact_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t in_size)
{
    static struct cn_contact contact;
    static uint8_t body[CN_CONTACT_BODY_SIZE_MAX];
    enum cn_err err = cn_contact_decode(&contact, fuzz_crypto(), in, in_size);

    if (err != CN_OK) {
        must(err == CN_E_VERSION || err == CN_E_FORMAT || err == CN_E_KEY);
        return 0;
    }
    must(!contact.verified || (contact.has_mine && contact.has_theirs));
    must(cn_contact_encode(&contact, body) == in_size && memcmp(body, in, in_size) == 0);
    return 0;
}
