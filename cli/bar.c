#include "bar.h"

#include <stdio.h>
#include <string.h>

enum {
    NAME_WIDTH_MIN = 8,
    NAME_WIDTH = 16,
    NAME_WIDTH_MAX = 40,
    WIDTH_USUAL = 79, /* of a wider line the name gets a part */
    BAR_WIDTH_MIN = 8,
    BAR_WIDTH_MAX = 100,
    FRAME_WIDTH = 3 /* " [" and "]" */
};

/* What stands right of the bar, each with the blanks before it. */
enum part { PART_PERCENT, PART_OCTETS, PART_RATE, PART_LEFT, PART_COUNT };

static const int part_width[PART_COUNT] = {
    [PART_PERCENT] = 5, [PART_OCTETS] = 10, [PART_RATE] = 12, [PART_LEFT] = 10
};

struct layout {
    bool has[PART_COUNT];
    int name, bar; /* columns; bar 0: there is none */
};

char *cn_size_text(char *out, double size)
{
    static const char *const units[] = { "B", "kB", "MB", "GB", "TB", "PB" };
    size_t i = 0;

    for (; size >= 999.95 && i + 1 < sizeof units / sizeof units[0]; i++)
        size /= 1000;
    snprintf(out, 32, i == 0 ? "%.0f %s" : "%.1f %s", size, units[i]);
    return out;
}

/* --- what fits ------------------------------------------------------------------------------ */

static int parts_width(const struct layout *l)
{
    int width = 0;

    for (int i = 0; i < PART_COUNT; i++)
        width += l->has[i] ? part_width[i] : 0;
    return width;
}

/* In so many columns. */
static struct layout layout_find(const struct cn_bar *bar, int columns)
{
    static const enum part to_drop[2][3] = {
        { PART_RATE, PART_OCTETS, PART_LEFT }, /* where there is no percentage */
        { PART_OCTETS, PART_RATE, PART_LEFT },
    };
    const bool known = bar->total != UINT64_MAX;
    struct layout l = { .has = { known, true, true, known }, .name = NAME_WIDTH };
    int rest = columns - NAME_WIDTH - parts_width(&l) - FRAME_WIDTH;

    if (known && rest >= BAR_WIDTH_MIN) {
        if (columns > WIDTH_USUAL)
            l.name += (columns - WIDTH_USUAL) / 3;
        if (l.name > NAME_WIDTH_MAX)
            l.name = NAME_WIDTH_MAX;
        rest -= l.name - NAME_WIDTH;
        l.bar = rest < BAR_WIDTH_MAX ? rest : BAR_WIDTH_MAX;
        return l;
    }
    for (int i = 0; i < 3 && NAME_WIDTH_MIN + parts_width(&l) > columns; i++)
        l.has[to_drop[known][i]] = false;
    rest = columns - parts_width(&l);
    l.name = rest > NAME_WIDTH ? NAME_WIDTH : rest > 0 ? rest : 0;
    return l;
}

/* --- its parts ------------------------------------------------------------------------------ */

/* The octets of the whole characters of a text that fit, and the columns that are left. A character
 * of three octets or more is taken to be two columns wide, as most of them are. */
static int text_fit(const char *text, int columns, int *left)
{
    int fit = 0;

    while (text[fit]) {
        int size = 1;

        while (((unsigned char)text[fit + size] & 0xc0) == 0x80)
            size++;
        if (columns < (size < 3 ? 1 : 2))
            break;
        columns -= size < 3 ? 1 : 2;
        fit += size;
    }
    *left = columns;
    return fit;
}

char *cn_bar_cut(const char *text, int columns, char out[CN_BAR_SIZE_MAX])
{
    int left;

    snprintf(out, CN_BAR_SIZE_MAX, "%.*s", text_fit(text, columns, &left), text);
    return out;
}

/* The time that is left at this rate. */
static void left_text(char out[32], uint64_t left, double rate)
{
    double seconds = rate > 0 ? (double)left / rate : -1;

    if (seconds < 0 || seconds > 359999)
        snprintf(out, 32, "--:--");
    else if (seconds >= 3600)
        snprintf(out, 32, "%d:%02d:%02d", (int)seconds / 3600, (int)seconds / 60 % 60,
                 (int)seconds % 60);
    else
        snprintf(out, 32, "%d:%02d", (int)seconds / 60, (int)seconds % 60);
}

static void part_text(const struct cn_bar *bar, enum part part, char out[64])
{
    const uint64_t done = bar->done < bar->total ? bar->done : bar->total;
    char text[32];

    out[0] = '\0';
    switch (part) {
    case PART_PERCENT:
        snprintf(out, 64, " %3d%%",
                 bar->total > 0 ? (int)((double)done / (double)bar->total * 100) : 100);
        break;
    case PART_OCTETS:
        snprintf(out, 64, "  %8s", cn_size_text(text, (double)bar->done));
        break;
    case PART_RATE:
        snprintf(out, 64, "  %8s/s", cn_size_text(text, bar->rate));
        break;
    case PART_LEFT:
        left_text(text, bar->total - done, bar->rate);
        snprintf(out, 64, "  %s", text);
        break;
    case PART_COUNT:
        break;
    }
}

/* " [=====>    ]" */
static void frame_text(const struct cn_bar *bar, int width, char out[BAR_WIDTH_MAX + 4])
{
    const double part =
        bar->total > 0 && bar->done < bar->total ? (double)bar->done / (double)bar->total : 1;
    const int full = (int)(part * width);

    out[0] = ' ';
    out[1] = '[';
    memset(out + 2, ' ', (size_t)width);
    memset(out + 2, '=', (size_t)full);
    if (full < width)
        out[2 + full] = '>';
    out[2 + width] = ']';
    out[3 + width] = '\0';
}

char *cn_bar_text(const struct cn_bar *bar, int columns, char out[CN_BAR_SIZE_MAX])
{
    const int room = columns > 1 ? columns - 1 : 1;
    const struct layout l = layout_find(bar, room);
    char line[CN_BAR_SIZE_MAX], frame[BAR_WIDTH_MAX + 4] = "", part[64];
    int left, fit = text_fit(bar->name, l.name, &left);
    int size;

    if (l.bar > 0)
        frame_text(bar, l.bar, frame);
    size = snprintf(line, sizeof line, "%.*s%*s%s", fit, bar->name, left, "", frame);
    for (int i = 0; i < PART_COUNT && size < (int)sizeof line; i++) {
        part_text(bar, (enum part)i, part);
        if (l.has[i])
            size += snprintf(line + size, sizeof line - (size_t)size, "%s", part);
    }
    return cn_bar_cut(line, room, out);
}
