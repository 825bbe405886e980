/* exposition.h - the status of the server in the text format 0.0.4 of Prometheus. cyphernetd(8) */
#ifndef CN_EXPOSITION_H
#define CN_EXPOSITION_H

#include <stddef.h>

#include "status.h"

enum { CN_EXPOSITION_SIZE_MAX = 65536 }; /* whatever the status, it fits */

/* Returns the size, without the NUL. No subscriber and no address is in it. */
size_t cn_exposition_write(const struct cn_status *status, char out[CN_EXPOSITION_SIZE_MAX]);

#endif
