#include "keyboard.h"

#include <string.h>

#include "utf8.h"

enum { ESCAPE = 0x1b, DELETE = 0x7f, SEQUENCE_SIZE_MAX = 32 };

#define PASTE_END      "\033[201~"
#define PASTE_END_SIZE 6

#define CONTROL(letter) ((letter)&0x1f)

/* What the control characters do. Those that are missing mean nothing here, so that the editor
 * meets none of its commands that ask for more keys, or run something. */
static const struct {
    unsigned char octet;
    enum cn_key_type type;
} controls[] = {
    { '\r', CN_KEY_ENTER },
    { '\n', CN_KEY_ENTER },
    { CONTROL('D'), CN_KEY_END },
    { CONTROL('U'), CN_KEY_DISCARD },
    { CONTROL('P'), CN_KEY_PREVIOUS },
    { CONTROL('N'), CN_KEY_NEXT },
    { CONTROL('L'), CN_KEY_REDRAW },
    { CONTROL('C'), CN_KEY_INTERRUPT },
    { CONTROL('\\'), CN_KEY_QUIT },
    { CONTROL('Z'), CN_KEY_STOP },
    { CONTROL('A'), CN_KEY_EDIT },
    { CONTROL('B'), CN_KEY_EDIT },
    { CONTROL('E'), CN_KEY_EDIT },
    { CONTROL('F'), CN_KEY_EDIT },
    { CONTROL('H'), CN_KEY_EDIT },
    { CONTROL('K'), CN_KEY_EDIT },
    { CONTROL('T'), CN_KEY_EDIT },
    { CONTROL('W'), CN_KEY_EDIT },
    { CONTROL('Y'), CN_KEY_EDIT },
    { DELETE, CN_KEY_EDIT },
};

/* What follows Escape. */
static const struct {
    const char *sequence;
    struct cn_key key;
} sequences[] = {
    { "[A", { .type = CN_KEY_PREVIOUS } },
    { "OA", { .type = CN_KEY_PREVIOUS } },
    { "[B", { .type = CN_KEY_NEXT } },
    { "OB", { .type = CN_KEY_NEXT } },
    { "[C", { .type = CN_KEY_EDIT, .code = CONTROL('F') } },
    { "OC", { .type = CN_KEY_EDIT, .code = CONTROL('F') } },
    { "[D", { .type = CN_KEY_EDIT, .code = CONTROL('B') } },
    { "OD", { .type = CN_KEY_EDIT, .code = CONTROL('B') } },
    { "[H", { .type = CN_KEY_EDIT, .code = CONTROL('A') } },
    { "OH", { .type = CN_KEY_EDIT, .code = CONTROL('A') } },
    { "[1~", { .type = CN_KEY_EDIT, .code = CONTROL('A') } },
    { "[7~", { .type = CN_KEY_EDIT, .code = CONTROL('A') } },
    { "[F", { .type = CN_KEY_EDIT, .code = CONTROL('E') } },
    { "OF", { .type = CN_KEY_EDIT, .code = CONTROL('E') } },
    { "[4~", { .type = CN_KEY_EDIT, .code = CONTROL('E') } },
    { "[8~", { .type = CN_KEY_EDIT, .code = CONTROL('E') } },
    { "[3~", { .type = CN_KEY_EDIT, .code = CONTROL('D') } },
    { "[1;5C", { .type = CN_KEY_EDIT, .meta = true, .code = 'f' } },
    { "[1;5D", { .type = CN_KEY_EDIT, .meta = true, .code = 'b' } },
    { "[1;3C", { .type = CN_KEY_EDIT, .meta = true, .code = 'f' } },
    { "[1;3D", { .type = CN_KEY_EDIT, .meta = true, .code = 'b' } },
    { "f", { .type = CN_KEY_EDIT, .meta = true, .code = 'f' } },
    { "b", { .type = CN_KEY_EDIT, .meta = true, .code = 'b' } },
    { "d", { .type = CN_KEY_EDIT, .meta = true, .code = 'd' } },
    { "\177", { .type = CN_KEY_EDIT, .meta = true, .code = DELETE } },
    { "\b", { .type = CN_KEY_EDIT, .meta = true, .code = DELETE } },
};

char *cn_keyboard_input(struct cn_keyboard *keys, size_t *room)
{
    *room = sizeof keys->in - keys->in_size;
    return keys->in + keys->in_size;
}

void cn_keyboard_received(struct cn_keyboard *keys, size_t size)
{
    keys->in_size += size;
}

static void drop(struct cn_keyboard *keys, size_t size)
{
    keys->in_size -= size;
    memmove(keys->in, keys->in + size, keys->in_size);
}

/* --- pasting -------------------------------------------------------------------------------- */

static void paste_add(struct cn_keyboard *keys, size_t size)
{
    if (size > sizeof keys->paste - keys->paste_size)
        keys->paste_too_long = true;
    else
        memcpy(keys->paste + keys->paste_size, keys->in, size);
    keys->paste_size += keys->paste_too_long ? 0 : size;
    drop(keys, size);
}

/* Terminals end lines by \r, files by \n or both. */
static void paste_clean(struct cn_keyboard *keys)
{
    size_t size = 0;
    char before = 0;

    for (size_t i = 0; i < keys->paste_size; i++) {
        char c = keys->paste[i];
        bool stays = (unsigned char)c >= 0x20 ? c != DELETE : c == '\n' || c == '\r' || c == '\t';

        if (stays && !(c == '\n' && before == '\r'))
            keys->paste[size++] = c == '\r' ? '\n' : c;
        before = c;
    }
    keys->paste_size = size;
}

static bool paste_next(struct cn_keyboard *keys, struct cn_key *key)
{
    const char *end = memmem(keys->in, keys->in_size, PASTE_END, PASTE_END_SIZE);
    size_t kept = keys->in_size < PASTE_END_SIZE ? keys->in_size : PASTE_END_SIZE - 1;

    if (!end) { /* what could be the beginning of the end waits */
        paste_add(keys, keys->in_size - kept);
        return false;
    }
    paste_add(keys, (size_t)(end - keys->in));
    drop(keys, PASTE_END_SIZE);
    keys->pasting = false;
    if (keys->paste_too_long) {
        key->type = CN_KEY_PASTE_TOO_LONG;
    } else if (!cn_utf8_is_valid(keys->paste, keys->paste_size)) {
        key->type = CN_KEY_NOT_UTF8;
    } else {
        paste_clean(keys);
        *key = (struct cn_key) { .type = CN_KEY_PASTE,
                                 .text = keys->paste,
                                 .text_size = keys->paste_size };
    }
    return true;
}

/* --- keys ----------------------------------------------------------------------------------- */

/* The octets of the sequence after an Escape, of which there are left; 0: it is not whole yet. */
static size_t sequence_size(const char *in, size_t left)
{
    size_t size = 1;

    if (left == 0 || (left == 1 && (in[0] == '[' || in[0] == 'O')))
        return 0;
    if (in[0] == 'O')
        return 2;
    if (in[0] != '[')
        return 1;
    while (size < left && in[size] >= 0x20 && in[size] < 0x40)
        size++;
    if (size >= SEQUENCE_SIZE_MAX)
        return size;
    return size < left ? size + 1 : 0;
}

static bool escape_next(struct cn_keyboard *keys, struct cn_key *key)
{
    const char *sequence = keys->in + 1;
    size_t size = sequence_size(sequence, keys->in_size - 1);

    if (size == 0)
        return false;
    key->type = CN_KEY_OTHER;
    for (size_t i = 0; i < sizeof sequences / sizeof sequences[0]; i++) {
        if (strlen(sequences[i].sequence) == size &&
            memcmp(sequences[i].sequence, sequence, size) == 0)
            *key = sequences[i].key;
    }
    if (size == 5 && memcmp(sequence, "[200~", size) == 0) {
        keys->pasting = true;
        keys->paste_too_long = false;
        keys->paste_size = 0;
    }
    if (size == 1 && key->type == CN_KEY_OTHER)
        size = 0; /* Escape alone; what follows is a key of its own */
    drop(keys, 1 + size);
    return true;
}

static void control_next(struct cn_keyboard *keys, struct cn_key *key)
{
    key->type = CN_KEY_OTHER;
    key->code = (unsigned char)keys->in[0];
    for (size_t i = 0; i < sizeof controls / sizeof controls[0]; i++) {
        if (controls[i].octet == key->code)
            key->type = controls[i].type;
    }
    drop(keys, 1);
}

static bool character_next(struct cn_keyboard *keys, struct cn_key *key)
{
    size_t size = cn_utf8_decode(keys->in, keys->in_size, &key->code);

    if (size == 0 && cn_utf8_is_begun(keys->in, keys->in_size))
        return false;
    key->type = size > 0 ? CN_KEY_CHARACTER : CN_KEY_NOT_UTF8;
    drop(keys, size > 0 ? size : 1);
    return true;
}

bool cn_keyboard_next(struct cn_keyboard *keys, struct cn_key *key)
{
    *key = (struct cn_key) { 0 };
    if (keys->pasting)
        return paste_next(keys, key);
    if (keys->in_size == 0)
        return false;
    if (keys->in[0] == ESCAPE)
        return escape_next(keys, key);
    if ((unsigned char)keys->in[0] < 0x20 || keys->in[0] == DELETE) {
        control_next(keys, key);
        return true;
    }
    return character_next(keys, key);
}
