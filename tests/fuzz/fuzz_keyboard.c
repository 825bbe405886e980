/* A terminal that sends anything, in pieces of any size: keys are what they say, a pasted text is
 * UTF-8 without control characters, and there is always room for more. The first octet says how
 * large the pieces are. */
#include "fuzz.h"

#include "keyboard.h"
#include "utf8.h"

static void check(const struct cn_key *key)
{
    must(key->type >= CN_KEY_CHARACTER && key->type <= CN_KEY_OTHER);
    if (key->type == CN_KEY_CHARACTER)
        must(key->code >= 0x20 && key->code <= 0x10ffff);
    if (key->type != CN_KEY_PASTE)
        return;
    must(cn_utf8_is_valid(key->text, key->text_size));
    for (size_t i = 0; i < key->text_size; i++) {
        unsigned char c = (unsigned char)key->text[i];

        must(c == '\n' || c == '\t' || (c >= 0x20 && c != 0x7f));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t in_size)
{
    static struct cn_keyboard keys;
    struct cn_key key;

    memset(&keys, 0, sizeof keys);
    for (size_t at = 1; at < in_size;) {
        size_t room;
        char *to = cn_keyboard_input(&keys, &room);
        size_t size = in[0] + 1U;

        must(room > 0);
        size = size < room ? size : room;
        size = size < in_size - at ? size : in_size - at;
        memcpy(to, in + at, size);
        cn_keyboard_received(&keys, size);
        at += size;
        while (cn_keyboard_next(&keys, &key))
            check(&key);
    }
    return 0;
}
