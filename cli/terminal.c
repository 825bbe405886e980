/* terminal.c - libedit keeps the line and draws it; keys come to it one at a time, when they are
 * whole, so that it never waits for the rest of one. */
#include "terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <histedit.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>
#include <wchar.h>
#include <wctype.h>

#include "backlog.h"
#include "cli.h"
#include "keyboard.h"
#include "utf8.h"

enum {
    PROMPT_SIZE = 128,
    HISTORY_COUNT_MAX = 500,
    LAST_WORD_MS = 1000, /* how long a terminal that takes nothing holds up our end */
    COLUMN_COUNT = 80,
    ROW_COUNT = 24
};

#define PASTES_ON  "\033[?2004h"
#define PASTES_OFF "\033[?2004l"

struct cn_terminal {
    EditLine *edit;
    HistoryW *history;
    struct cn_keyboard keys;
    wchar_t key[2]; /* for the editor */
    size_t key_at, key_count;
    wchar_t prompt[PROMPT_SIZE];
    size_t prompt_width;
    bool colour;
    bool is_drawn;
    bool is_shut; /* it is gone */
    bool told_shut;
    int signal; /* not told yet */
    int in;
    struct cn_backlog shown;
    sigset_t mask_before;
    int signals;
    char *line;  /* as it was taken */
    char *draft; /* what was typed before going back in the history */
    int back;    /* how far: 0: not */
};

/* --- what is to be shown -------------------------------------------------------------------- */

bool cn_terminal_is_behind(const struct cn_terminal *terminal)
{
    return cn_backlog_is_behind(&terminal->shown);
}

void cn_terminal_flush(struct cn_terminal *terminal)
{
    (void)cn_backlog_flush(&terminal->shown);
    terminal->is_shut |= terminal->shown.error != 0;
}

/* Wait until all is shown, but not for ever. */
static void flush_all(struct cn_terminal *t)
{
    struct pollfd polled = { t->shown.fd, POLLOUT, 0 };

    cn_terminal_flush(t);
    while (cn_terminal_is_behind(t) && poll(&polled, 1, LAST_WORD_MS) > 0)
        cn_terminal_flush(t);
}

/* --- the line ------------------------------------------------------------------------------- */

static void size_get(size_t *columns, size_t *rows)
{
    struct winsize size;

    *columns = COLUMN_COUNT;
    *rows = ROW_COUNT;
    if (ioctl(STDIN_FILENO, TIOCGWINSZ, &size) != 0)
        return;
    if (size.ws_col > 0)
        *columns = size.ws_col;
    if (size.ws_row > 0)
        *rows = size.ws_row;
}

/* How many rows below the first of the prompt the cursor is, as the editor counts. */
static size_t cursor_row(const struct cn_terminal *t, size_t columns, size_t rows)
{
    const LineInfoW *line = el_wline(t->edit);
    size_t row = t->prompt_width / columns;
    size_t column = t->prompt_width % columns;

    for (const wchar_t *c = line->buffer; c < line->cursor; c++) {
        size_t width = wcwidth(*c) > 1 ? 2 : 1;

        if (column + width > columns) {
            row++;
            column = 0;
        }
        column += width;
        if (column >= columns) {
            row++;
            column = 0;
        }
    }
    return row < rows ? row : rows - 1;
}

static void erase(struct cn_terminal *t, size_t row)
{
    if (t->is_drawn && row > 0)
        fprintf(t->shown.in, "\r\033[%zuA\033[J", row);
    else if (t->is_drawn)
        fputs("\r\033[J", t->shown.in);
    t->is_drawn = false;
}

static void hide(struct cn_terminal *t)
{
    size_t columns, rows;

    size_get(&columns, &rows);
    erase(t, cursor_row(t, columns, rows));
}

void cn_terminal_draw(struct cn_terminal *terminal)
{
    if (!terminal->is_drawn)
        el_wset(terminal->edit, EL_REFRESH);
    terminal->is_drawn = true;
}

FILE *cn_terminal_above(struct cn_terminal *terminal)
{
    hide(terminal);
    return terminal->shown.in;
}

size_t cn_terminal_columns(void)
{
    struct winsize size;

    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0)
        return COLUMN_COUNT;
    return size.ws_col;
}

void cn_terminal_beep(struct cn_terminal *terminal)
{
    fputc('\a', terminal->shown.in);
}

bool cn_terminal_has_colour(const struct cn_terminal *terminal)
{
    return terminal->colour;
}

static wchar_t *prompt_give(EditLine *edit)
{
    struct cn_terminal *t;

    el_wget(edit, EL_CLIENTDATA, &t);
    return t->prompt;
}

void cn_terminal_prompt(struct cn_terminal *terminal, const char *text, size_t dim)
{
    hide(terminal);
    terminal->prompt_width = strlen(text);
    if (terminal->colour && dim > 0) /* \1 begins and ends what takes no room */
        swprintf(terminal->prompt, PROMPT_SIZE, L"\1\033[2m\1%.*s\1\033[0m\1%s", (int)dim, text,
                 text + dim);
    else
        swprintf(terminal->prompt, PROMPT_SIZE, L"%s", text);
}

static void line_clear(struct cn_terminal *t)
{
    const LineInfoW *line = el_wline(t->edit);
    int size = (int)(line->lastchar - line->buffer);

    el_cursor(t->edit, (int)(line->lastchar - line->cursor));
    el_deletestr(t->edit, size);
}

const char *cn_terminal_line_take(struct cn_terminal *terminal, size_t *size, size_t *before)
{
    const LineInfoW *line = el_wline(terminal->edit);

    hide(terminal);
    *size = *before = 0;
    for (const wchar_t *c = line->buffer; c < line->lastchar; c++) {
        if (c == line->cursor)
            *before = *size;
        *size += cn_utf8_encode((uint32_t)*c, terminal->line + *size);
    }
    if (line->cursor == line->lastchar)
        *before = *size;
    terminal->line[*size] = '\0';
    line_clear(terminal);
    terminal->back = 0;
    return terminal->line;
}

/* Octets of the line, if each character had the most. */
static size_t line_room(const struct cn_terminal *t)
{
    const LineInfoW *line = el_wline(t->edit);
    size_t used = 0;
    char octets[CN_UTF8_SIZE_MAX];

    for (const wchar_t *c = line->buffer; c < line->lastchar; c++)
        used += cn_utf8_encode((uint32_t)*c, octets);
    return CN_TERMINAL_LINE_SIZE_MAX - used;
}

void cn_terminal_line_insert(struct cn_terminal *terminal, const char *text, size_t size)
{
    wchar_t *wide = calloc(size + 1, sizeof *wide);
    size_t room = line_room(terminal);
    size_t count = 0;
    uint32_t code = 0;

    hide(terminal);
    for (size_t at = 0, n = 0; wide && at < size && at + CN_UTF8_SIZE_MAX <= room; at += n) {
        n = cn_utf8_decode(text + at, size - at, &code);
        n = n > 0 ? n : 1;
        code = code == '\t' ? ' ' : code;
        if (iswprint((wint_t)code))
            wide[count++] = (wchar_t)code;
    }
    if (count > 0)
        (void)el_winsertstr(terminal->edit, wide);
    free(wide);
}

/* --- history -------------------------------------------------------------------------------- */

void cn_terminal_remember(struct cn_terminal *terminal, const char *text)
{
    size_t size = strlen(text);
    wchar_t *wide = calloc(size + 1, sizeof *wide);
    size_t count = 0;
    HistEventW event;
    uint32_t code;

    for (size_t at = 0, n = 1; wide && n > 0 && at < size; at += n) {
        n = cn_utf8_decode(text + at, size - at, &code);
        wide[count++] = (wchar_t)code;
    }
    if (count > 0)
        history_w(terminal->history, &event, H_ENTER, wide);
    free(wide);
}

/* The line that is so far back; false: there is none. */
static bool history_get(struct cn_terminal *t, int back, HistEventW *event)
{
    if (history_w(t->history, event, H_FIRST) < 0)
        return false;
    while (--back > 0) {
        if (history_w(t->history, event, H_NEXT) < 0)
            return false;
    }
    return true;
}

static void history_go(struct cn_terminal *t, int back)
{
    HistEventW event;
    size_t size, before;

    if (back < 0 || (back > 0 && !history_get(t, back, &event))) {
        cn_terminal_beep(t);
        return;
    }
    if (t->back == 0) {
        free(t->draft);
        t->draft = strdup(cn_terminal_line_take(t, &size, &before));
    } else {
        hide(t);
        line_clear(t);
    }
    if (back > 0)
        (void)el_winsertstr(t->edit, event.str);
    else if (t->draft)
        cn_terminal_line_insert(t, t->draft, strlen(t->draft));
    t->back = back;
}

/* --- signals -------------------------------------------------------------------------------- */

static void modes_set(struct cn_terminal *t, bool ours)
{
    struct termios modes;

    fputs(ours ? PASTES_ON : PASTES_OFF, t->shown.in);
    flush_all(t);
    el_wset(t->edit, EL_UNBUFFERED, ours); /* raw, or as it was */
    t->is_drawn = ours;
    if (!ours || tcgetattr(STDIN_FILENO, &modes) != 0)
        return;
    modes.c_lflag &= ~(tcflag_t)ISIG;            /* what is pasted is no signal */
    modes.c_iflag &= ~(tcflag_t)(ICRNL | INLCR); /* and its ends of lines stay as they are */
    (void)tcsetattr(STDIN_FILENO, TCSANOW, &modes);
}

/* Stop, as the user wants; come back when we are continued. */
static void stop(struct cn_terminal *t)
{
    sigset_t only;
    size_t size, before;
    char *line = strdup(cn_terminal_line_take(t, &size, &before));

    modes_set(t, false);
    sigemptyset(&only);
    sigaddset(&only, SIGTSTP);
    (void)raise(SIGTSTP);
    sigprocmask(SIG_UNBLOCK, &only, NULL); /* here */
    sigprocmask(SIG_BLOCK, &only, NULL);
    modes_set(t, true);
    if (line)
        cn_terminal_line_insert(t, line, size);
    free(line);
}

/* A terminal may have wrapped the line anew, or not: no row above it may be taken for it. */
static void resize(struct cn_terminal *t)
{
    size_t columns, rows, row, row_before;
    int columns_before = COLUMN_COUNT;

    size_get(&columns, &rows);
    el_wget(t->edit, EL_GETTC, "co", &columns_before);
    row = cursor_row(t, columns, rows);
    row_before = cursor_row(t, columns_before > 0 ? (size_t)columns_before : columns, rows);
    erase(t, row < row_before ? row : row_before);
    el_resize(t->edit);
}

static void signals_take(struct cn_terminal *t)
{
    struct signalfd_siginfo info;

    while (read(t->signals, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGWINCH)
            resize(t);
        else if (info.ssi_signo == SIGTSTP)
            stop(t);
        else
            t->signal = (int)info.ssi_signo;
    }
}

static bool signals_open(struct cn_terminal *t)
{
    static const int numbers[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGWINCH };
    sigset_t ours;

    sigemptyset(&ours);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        sigaddset(&ours, numbers[i]);
    t->signals = signalfd(-1, &ours, SFD_NONBLOCK | SFD_CLOEXEC);
    return t->signals >= 0 && sigprocmask(SIG_BLOCK, &ours, &t->mask_before) == 0;
}

/* --- keys ----------------------------------------------------------------------------------- */

static int key_give(EditLine *edit, wchar_t *key)
{
    struct cn_terminal *t;

    el_wget(edit, EL_CLIENTDATA, &t);
    if (t->key_at == t->key_count)
        return 0;
    *key = t->key[t->key_at++];
    return 1;
}

static void edit(struct cn_terminal *t, const struct cn_key *key)
{
    int count;

    cn_terminal_draw(t); /* the editor draws what it changes */
    t->key_at = t->key_count = 0;
    if (key->meta)
        t->key[t->key_count++] = 0x1b;
    t->key[t->key_count++] = (wchar_t)key->code;
    (void)el_wgets(t->edit, &count);
}

static bool is_empty(const struct cn_terminal *t)
{
    const LineInfoW *line = el_wline(t->edit);

    return line->lastchar == line->buffer;
}

static enum cn_terminal_event_type character(struct cn_terminal *t, const struct cn_key *key)
{
    if (line_room(t) < 2 * CN_UTF8_SIZE_MAX || !iswprint((wint_t)key->code))
        cn_terminal_beep(t);
    else
        edit(t, key);
    return CN_TERMINAL_KEY;
}

static enum cn_terminal_event_type press(struct cn_terminal *t, const struct cn_key *key)
{
    switch (key->type) {
    case CN_KEY_CHARACTER:
        return character(t, key);
    case CN_KEY_EDIT:
        edit(t, key);
        return CN_TERMINAL_KEY;
    case CN_KEY_END:
        if (is_empty(t))
            return CN_TERMINAL_END;
        edit(t, key);
        return CN_TERMINAL_KEY;
    case CN_KEY_DISCARD:
        hide(t);
        line_clear(t);
        t->back = 0;
        return CN_TERMINAL_DISCARD;
    case CN_KEY_PREVIOUS:
    case CN_KEY_NEXT:
        history_go(t, t->back + (key->type == CN_KEY_PREVIOUS ? 1 : -1));
        return CN_TERMINAL_KEY;
    case CN_KEY_REDRAW:
        fputs("\033[H\033[2J", t->shown.in);
        t->is_drawn = false;
        return CN_TERMINAL_KEY;
    case CN_KEY_INTERRUPT:
    case CN_KEY_QUIT:
        t->signal = key->type == CN_KEY_QUIT ? SIGQUIT : SIGINT;
        return CN_TERMINAL_KEY;
    case CN_KEY_STOP:
        stop(t);
        return CN_TERMINAL_KEY;
    case CN_KEY_ENTER:
        return CN_TERMINAL_ENTER;
    case CN_KEY_PASTE:
        return CN_TERMINAL_PASTE;
    case CN_KEY_PASTE_TOO_LONG:
        return CN_TERMINAL_TOO_LONG;
    case CN_KEY_NOT_UTF8:
        return CN_TERMINAL_NOT_UTF8;
    case CN_KEY_OTHER:
        break;
    }
    return CN_TERMINAL_KEY;
}

bool cn_terminal_next(struct cn_terminal *terminal, struct cn_terminal_event *event)
{
    struct cn_key key;

    *event = (struct cn_terminal_event) { 0 };
    if (cn_keyboard_next(&terminal->keys, &key)) {
        event->text = key.text;
        event->text_size = key.text_size;
        event->type = press(terminal, &key);
    } else if (terminal->is_shut && !terminal->told_shut) {
        terminal->told_shut = true;
        event->type = CN_TERMINAL_END;
    }
    return event->type != CN_TERMINAL_NONE;
}

int cn_terminal_signal(struct cn_terminal *terminal)
{
    int number = terminal->signal;

    terminal->signal = 0;
    return number;
}

static void keys_read(struct cn_terminal *t)
{
    size_t room;
    char *to = cn_keyboard_input(&t->keys, &room);
    ssize_t got = room > 0 ? read(t->in, to, room) : -1;

    if (got > 0)
        cn_keyboard_received(&t->keys, (size_t)got);
    else if (room > 0 && (got == 0 || (errno != EAGAIN && errno != EINTR)))
        t->is_shut = true;
}

void cn_terminal_descriptors(struct cn_terminal *terminal, struct pollfd *descriptors)
{
    bool behind = cn_terminal_is_behind(terminal);

    descriptors[0] = (struct pollfd) { terminal->signals, POLLIN, 0 };
    descriptors[1] = (struct pollfd) { terminal->is_shut ? -1 : terminal->in, POLLIN, 0 };
    descriptors[2] = (struct pollfd) { behind ? terminal->shown.fd : -1, POLLOUT, 0 };
}

void cn_terminal_process(struct cn_terminal *terminal, const struct pollfd *descriptors)
{
    if (descriptors[0].revents)
        signals_take(terminal);
    if (descriptors[1].revents)
        keys_read(terminal);
    if (descriptors[2].revents)
        cn_terminal_flush(terminal);
}

/* --- begin and end -------------------------------------------------------------------------- */

bool cn_terminal_is_usable(void)
{
    const char *name = getenv("TERM");

    return isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) && name && *name &&
           strcmp(name, "dumb") != 0 && strcmp(name, "emacs") != 0;
}

static bool editor_open(struct cn_terminal *t)
{
    char *up = NULL;
    HistEventW event;

    t->edit = el_init_fd("cyphernet", stdin, t->shown.in, t->shown.in, STDIN_FILENO, STDOUT_FILENO,
                         STDOUT_FILENO);
    t->history = history_winit();
    if (!t->edit || !t->history ||
        history_w(t->history, &event, H_SETSIZE, HISTORY_COUNT_MAX) < 0 ||
        history_w(t->history, &event, H_SETUNIQUE, 1) < 0)
        return false;
    el_wset(t->edit, EL_CLIENTDATA, t);
    el_wset(t->edit, EL_EDITOR, L"emacs");
    el_wset(t->edit, EL_SIGNAL, 0);
    el_wset(t->edit, EL_BIND, L"^D", L"ed-delete-next-char", NULL);
    el_wset(t->edit, EL_PROMPT_ESC, prompt_give, L'\1');
    el_wset(t->edit, EL_GETCFN, key_give);
    return el_wget(t->edit, EL_GETTC, "up", &up) == 0 && up && *up;
}

static void give_back(struct cn_terminal *t)
{
    if (t->edit)
        el_end(t->edit);
    if (t->history)
        history_wend(t->history);
    if (t->signals >= 0)
        close(t->signals);
    if (t->in > STDERR_FILENO)
        close(t->in);
    if (t->shown.fd > STDERR_FILENO)
        close(t->shown.fd);
    cn_backlog_close(&t->shown);
    free(t->line);
    free(t->draft);
    free(t);
}

struct cn_terminal *cn_terminal_open(void)
{
    const char *plain = getenv("NO_COLOR");
    struct cn_terminal *t = calloc(1, sizeof *t);

    if (!t)
        return NULL;
    t->signals = -1;
    t->colour = !plain || !*plain;
    /* the terminal's own, so that not waiting for it changes nothing for others */
    t->in = cn_own_end(STDIN_FILENO, O_RDONLY);
    t->line = malloc(CN_TERMINAL_LINE_SIZE_MAX + CN_UTF8_SIZE_MAX + 1);
    if (!cn_backlog_open(&t->shown, cn_own_end(STDOUT_FILENO, O_WRONLY)) || !t->line ||
        !setlocale(LC_CTYPE, "C.UTF-8") || !editor_open(t) || !signals_open(t)) {
        give_back(t);
        return NULL;
    }
    modes_set(t, true);
    return t;
}

void cn_terminal_close(struct cn_terminal *terminal)
{
    sigset_t mask;

    if (!terminal)
        return;
    hide(terminal);
    modes_set(terminal, false);
    mask = terminal->mask_before;
    give_back(terminal);
    sigprocmask(SIG_SETMASK, &mask, NULL);
}
