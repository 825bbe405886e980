#include "rows.h"

#include <string.h>

#include "utf8.h"

enum {
    TWO_COLUMNS_FROM = 0x1100, /* no character below it is drawn over two, but for those that East
                                * Asian terminals may be told to: the other alphabets */
    ROOM_MIN = 8               /* of a terminal that is narrower than that nothing can be had */
};

static const char margin[] = CN_ROWS_MARGIN;

void cn_rows_begin(struct cn_rows *rows, const char *text, size_t unseen)
{
    fputs(text, rows->out);
    rows->column = strlen(text) - unseen;
}

void cn_rows_next(struct cn_rows *rows)
{
    fprintf(rows->out, "\n%s", margin);
    rows->column = sizeof margin - 1;
}

void cn_rows_end(struct cn_rows *rows)
{
    fputc('\n', rows->out);
    rows->column = 0;
}

/* Columns that are left in this row; the last stays free. */
static size_t room_of(const struct cn_rows *rows)
{
    size_t room = rows->columns > rows->column + 1 ? rows->columns - rows->column - 1 : 0;

    return room < ROOM_MIN && rows->column < sizeof margin ? ROOM_MIN : room;
}

/* The octets of text that have room in so many columns, which they take *width of. If not all of
 * them have, up to the last blank, if there is one. */
static size_t cut(const char *text, size_t room, size_t *width)
{
    size_t at = 0, columns = 0, blank_at = 0, blank_columns = 0;

    while (text[at]) {
        uint32_t code = 0;
        size_t size = cn_utf8_decode(text + at, strnlen(text + at, CN_UTF8_SIZE_MAX), &code);
        size_t wide = code < TWO_COLUMNS_FROM ? 1 : 2;

        if (columns + wide > room)
            break;
        columns += wide;
        at += size > 0 ? size : 1;
        if (code == ' ') {
            blank_at = at;
            blank_columns = columns;
        }
    }
    if (text[at] && blank_at > 0) {
        at = blank_at;
        columns = blank_columns;
    }
    *width = columns;
    return at;
}

void cn_rows_put(struct cn_rows *rows, const char *text)
{
    if (rows->columns == 0) {
        fputs(text, rows->out);
        return;
    }
    for (;;) {
        size_t width;
        size_t size = cut(text, room_of(rows), &width);

        fwrite(text, 1, size, rows->out);
        rows->column += width;
        text += size;
        if (!*text)
            return;
        cn_rows_next(rows);
    }
}
