/* utf8.h - characters of a text that may be anything. RFC 3629 */
#ifndef CN_UTF8_H
#define CN_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CN_UTF8_SIZE_MAX = 4 };

/* The octets of the first character of text, of which there are left; 0: none that is whole, in its
 * only form, and no surrogate. */
size_t cn_utf8_decode(const char *text, size_t left, uint32_t *code);
/* Whether more octets could make a character of these, which are 1 to 3. */
bool cn_utf8_is_begun(const char *text, size_t size);
/* The octets of code, which is a character's. */
size_t cn_utf8_encode(uint32_t code, char out[CN_UTF8_SIZE_MAX]);
/* Whether text is UTF-8 from end to end. */
bool cn_utf8_is_valid(const char *text, size_t size);
/* Where to cut a text that is too long, so that no character is cut: size, or up to 3 less. */
size_t cn_utf8_cut(const char *text, size_t size);

#endif
