/* picture.h - the QR codes in a picture, found by zbarimg, which the user may have installed. */
#ifndef CN_PICTURE_H
#define CN_PICTURE_H

#include <stdbool.h>
#include <stddef.h>

/* Whether octets begin like a picture that we take: PNG, JPEG, WebP. */
bool cn_picture_begins(const char *octets, size_t size);
/* Read the rest of the picture of which `size` octets in text, which holds size_max, were read from
 * fd, and put the texts of its codes there, each on a line. Says what is wrong itself; the exit
 * code. name: for messages. */
int cn_picture_read(const char *name, int fd, char *text, size_t size_max, size_t *size);

#endif
