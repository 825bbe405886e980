/* keyboard.h - what a terminal sends, as keys and pasted texts. Pure. */
#ifndef CN_KEYBOARD_H
#define CN_KEYBOARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CN_PASTE_SIZE_MAX = 65536, CN_KEYBOARD_ROOM = 1024 };

enum cn_key_type {
    CN_KEY_CHARACTER = 1, /* code */
    CN_KEY_EDIT,          /* code: a control character as emacs has it; with meta: after Escape */
    CN_KEY_ENTER,
    CN_KEY_END,      /* Ctrl-D, which also deletes */
    CN_KEY_DISCARD,  /* Ctrl-U */
    CN_KEY_PREVIOUS, /* in the history */
    CN_KEY_NEXT,
    CN_KEY_REDRAW,
    CN_KEY_INTERRUPT, /* Ctrl-C */
    CN_KEY_QUIT,      /* Ctrl-\ */
    CN_KEY_STOP,      /* Ctrl-Z */
    CN_KEY_PASTE,     /* text: UTF-8, its lines ended by \n, no other control character but tabs */
    CN_KEY_PASTE_TOO_LONG, /* than CN_PASTE_SIZE_MAX */
    CN_KEY_NOT_UTF8,       /* typed, or pasted: refused as a whole */
    CN_KEY_OTHER           /* means nothing here */
};

struct cn_key {
    enum cn_key_type type;
    bool meta;
    uint32_t code;
    const char *text; /* borrowed until the next use of the keys */
    size_t text_size;
};

struct cn_keyboard {
    char in[CN_KEYBOARD_ROOM];
    size_t in_size;
    bool pasting;
    char paste[CN_PASTE_SIZE_MAX];
    size_t paste_size;
    bool paste_too_long;
};

/* Where octets of the terminal go: *room of them, never 0 once cn_keyboard_next has returned false.
 */
char *cn_keyboard_input(struct cn_keyboard *keys, size_t *room);
void cn_keyboard_received(struct cn_keyboard *keys, size_t size);
/* The next key. False: none that is whole. */
bool cn_keyboard_next(struct cn_keyboard *keys, struct cn_key *key);

#endif
