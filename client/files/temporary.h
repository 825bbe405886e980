/* temporary.h - the names of files that are not whole yet: ".cyphernet-" 16 digits ".part".
 *
 * They say what they are to whoever finds one, fit beside a name of any length, and no partner can
 * guess one or place one: entries with such a name are refused. */
#ifndef CN_TEMPORARY_H
#define CN_TEMPORARY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CN_TEMPORARY_NAME_SIZE = 33 }; /* with its NUL */

/* The one of a number, which counts on from a random one. */
void cn_temporary_name(uint64_t number, char out[CN_TEMPORARY_NAME_SIZE]);
/* Whether part[0..size) is one, or looks much like one: in any case of letters. */
bool cn_temporary_is(const char *part, size_t size);
/* Whether name is just what cn_temporary_name makes, and of which number. */
bool cn_temporary_number(const char *name, uint64_t *number);

#endif
