/* A card: a body of any size and any octets. */
#include "card.h"
#include "any.h"

/* names.c is about this one. */
/*@ assigns \result \from name[0..]; ensures \result == 0 || \result == 1; */
bool cn_name_valid(const char *name);

int main(void)
{
    static uint8_t body[CN_CARD_BODY_SIZE_MAX];
    const struct cn_crypto crypto = { 0 };
    struct cn_card card;
    size_t size = any_size(SIZE_MAX);

    any_octets(body, sizeof body);
    return cn_card_decode(&card, &crypto, body, size) != CN_OK;
}
