/* qr.h - QR codes: for a terminal, or as a picture. */
#ifndef CN_QR_H
#define CN_QR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    CN_QR_QUIET = 4,      /* modules of empty space around a code: ISO/IEC 18004 */
    CN_QR_WIDTH_MAX = 177 /* modules; version 40 */
};

struct cn_qr {
    size_t width; /* modules of a side, without the space around */
    uint8_t dark[CN_QR_WIDTH_MAX * CN_QR_WIDTH_MAX]; /* row by row; 1: dark */
};

/* text: of the 45 characters of the alphanumeric mode, with the least error correction, since a
 * screen is not dirty. False: more than a code can hold, or no memory. */
bool cn_qr_make(struct cn_qr *qr, const char *text, size_t size);
/* To standard output, two modules in each character. Without colour it is right on dark terminals
 * only. */
void cn_qr_draw(const struct cn_qr *qr, bool colour);
/* All of them, one below the other, as a PNG for free(). False: no memory. */
bool cn_qr_picture(const struct cn_qr *list, size_t count, void **png, size_t *size);

#endif
