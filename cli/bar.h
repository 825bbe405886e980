/* bar.h - one line of a terminal that says how far something is. */
#ifndef CN_BAR_H
#define CN_BAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CN_BAR_SIZE_MAX = 1024 };

struct cn_bar {
    const char *name; /* printable */
    uint64_t done;    /* octets */
    uint64_t total;   /* UINT64_MAX: not known */
    double rate;      /* octets a second; 0: nothing moves */
};

/* The line for a terminal of so many columns, the last of which stays free; never longer, and never
 * empty. Where there is no room for all of it the bar goes first, then the octets, the rate, the
 * time that is left, and half of the name; the percentage stays. Returns out. */
char *cn_bar_text(const struct cn_bar *bar, int columns, char out[CN_BAR_SIZE_MAX]);
/* text, cut to so many columns, between characters. Returns out. */
char *cn_bar_cut(const char *text, int columns, char out[CN_BAR_SIZE_MAX]);
/* "12.3 MB"; out holds 32. Returns out. */
char *cn_size_text(char *out, double size);

#endif
