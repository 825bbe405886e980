/* rows.h - texts in rows of a terminal. They are broken here, and not by the terminal: so every row
 * but a text's first begins with a margin, and no part of a text looks like the head of another. */
#ifndef CN_ROWS_H
#define CN_ROWS_H

#include <stddef.h>
#include <stdio.h>

/* Nothing that begins a row of ours begins so. */
#define CN_ROWS_MARGIN "         | "

struct cn_rows {
    FILE *out;      /* borrowed */
    size_t columns; /* of the terminal; 0: no terminal, and rows are as long as they are */
    size_t column;  /* where we are */
};

/* Begin a row that is ours with text, which is ASCII; `unseen` octets of it take no room. */
void cn_rows_begin(struct cn_rows *rows, const char *text, size_t unseen);
/* Go on with text as cn_printable makes it, over as many rows as it takes, broken at blanks where
 * there are some. A character of which a terminal may make two columns counts as two. */
void cn_rows_put(struct cn_rows *rows, const char *text);
/* The next row, in the same text. */
void cn_rows_next(struct cn_rows *rows);
void cn_rows_end(struct cn_rows *rows);

#endif
