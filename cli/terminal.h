/* terminal.h - a line that is edited at the bottom of a terminal, while other lines appear above.
 *
 * Nothing here waits for the terminal: what it does not take yet is kept, in order. */
#ifndef CN_TERMINAL_H
#define CN_TERMINAL_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct cn_terminal;

enum { CN_TERMINAL_DESCRIPTOR_COUNT = 3, CN_TERMINAL_LINE_SIZE_MAX = 65536 };

enum cn_terminal_event_type {
    CN_TERMINAL_NONE = 0,
    CN_TERMINAL_KEY,      /* something was typed; the line is as it shows */
    CN_TERMINAL_ENTER,    /* the line shall be taken */
    CN_TERMINAL_PASTE,    /* text was pasted, and is not in the line yet */
    CN_TERMINAL_DISCARD,  /* the line was thrown away, and whatever goes with it shall be */
    CN_TERMINAL_END,      /* Ctrl-D on an empty line, or the terminal is gone */
    CN_TERMINAL_NOT_UTF8, /* what was typed or pasted is dropped */
    CN_TERMINAL_TOO_LONG  /* likewise */
};

struct cn_terminal_event {
    enum cn_terminal_event_type type;
    const char *text; /* borrowed until the next event is taken */
    size_t text_size;
};

/* Whether standard input and output are a terminal on which a line can be edited. */
bool cn_terminal_is_usable(void);
/* Take the terminal over; until the close signals that would end us come as cn_terminal_signal, and
 * those that stop us, or tell of another size, are dealt with. NULL: it cannot be had, and is as it
 * was. */
struct cn_terminal *cn_terminal_open(void);
/* As it was before. NULL is fine. */
void cn_terminal_close(struct cn_terminal *terminal);

/* CN_TERMINAL_DESCRIPTOR_COUNT of them to wait for. */
void cn_terminal_descriptors(struct cn_terminal *terminal, struct pollfd *descriptors);
void cn_terminal_process(struct cn_terminal *terminal, const struct pollfd *descriptors);
/* False: none for now. */
bool cn_terminal_next(struct cn_terminal *terminal, struct cn_terminal_event *event);
/* A signal that asks us to end, by a key or not, and was not told yet; 0: none. */
int cn_terminal_signal(struct cn_terminal *terminal);
/* Whether it has not taken all yet that it was to show. */
bool cn_terminal_is_behind(const struct cn_terminal *terminal);

/* Where to write what is to be shown above the line that is edited: it must be safe, and end its
 * line before anything else is done with the terminal. */
FILE *cn_terminal_above(struct cn_terminal *terminal);
/* How wide standard output, which is a terminal, is now. */
size_t cn_terminal_columns(void);
/* What stands before the line from now on: ASCII. dim: as many characters of it, from the first. */
void cn_terminal_prompt(struct cn_terminal *terminal, const char *text, size_t dim);
/* Show the line again after printing. */
void cn_terminal_draw(struct cn_terminal *terminal);
/* Hand out what the terminal takes now; the rest goes when it is ready. */
void cn_terminal_flush(struct cn_terminal *terminal);
void cn_terminal_beep(struct cn_terminal *terminal);
/* Whether it shows colours, and the user wants them. */
bool cn_terminal_has_colour(const struct cn_terminal *terminal);

/* The line, UTF-8, ended by a NUL, and empty from then on; *size octets, of which *before stand
 * before the cursor. Borrowed until the next use of the terminal. */
const char *cn_terminal_line_take(struct cn_terminal *terminal, size_t *size, size_t *before);
/* Put text into the line, before the cursor; what cannot be shown there is left out. */
void cn_terminal_line_insert(struct cn_terminal *terminal, const char *text, size_t size);
/* Remember text for the keys that go back and forth. */
void cn_terminal_remember(struct cn_terminal *terminal, const char *text);

#endif
