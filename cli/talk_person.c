/* talk_person.c - a conversation of a person at a terminal. */
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "rows.h"
#include "talk.h"
#include "terminal.h"
#include "utf8.h"

enum { SAFE_SIZE = 5 * CN_TALK_TEXT_SIZE_MAX + 1 /* a text whose every octet may be escaped */ };

#define TAB "    "

struct person {
    struct cn_talking *t;
    struct cn_terminal *terminal;
    /* lines that were pasted, for the next Enter, each with its end; or, if is_unsaid, what is to
     * be said as soon as there is room */
    char held[CN_TALK_TEXT_SIZE_MAX];
    size_t held_size, held_line_count;
    bool is_unsaid;
    uint64_t said, delivered, read; /* lines of ours */
    uint64_t heard;                 /* lines of the partner's that are on the terminal */
    bool leaves, told_not_utf8, is_broken;
    bool leave_due, hangs_up;             /* the partner has not been told that we leave */
    int signal;                           /* that asked us to end; 0 */
    char state[CN_TALK_FILES_STATE_SIZE]; /* of files, as the prompt shows it */
    char safe[SAFE_SIZE];
};

/* --- what is shown -------------------------------------------------------------------------- */

static struct cn_rows rows_of(struct person *p)
{
    return (struct cn_rows) { cn_terminal_above(p->terminal), cn_terminal_columns(), 0 };
}

/* What is said otherwise on standard error. */
static void message_show(void *context, const char *line)
{
    struct cn_rows rows = rows_of(context);

    cn_rows_put(&rows, line);
    cn_rows_end(&rows);
}

/* One line of somebody's text, with blanks for its tabs. */
static void text_show(struct person *p, struct cn_rows *rows, const char *text, size_t size)
{
    while (size > 0) {
        const char *tab = memchr(text, '\t', size);
        size_t piece = tab ? (size_t)(tab - text) : size;

        cn_rows_put(rows, cn_printable(p->safe, sizeof p->safe, text, piece));
        if (tab)
            cn_rows_put(rows, TAB);
        text += piece + (tab != NULL);
        size -= piece + (tab != NULL);
    }
}

/* Every line but the first begins with a margin: none can look like the head of another text. */
static void lines_show(struct person *p, struct cn_rows *rows, const char *text, size_t size)
{
    const char *end;

    while ((end = memchr(text, '\n', size))) {
        text_show(p, rows, text, (size_t)(end - text));
        cn_rows_next(rows);
        size -= (size_t)(end - text) + 1;
        text = end + 1;
    }
    text_show(p, rows, text, size);
    cn_rows_end(rows);
}

/* A text that is nobody's yet. */
static void draft_show(struct person *p, const char *text, size_t size)
{
    struct cn_rows rows = rows_of(p);

    cn_rows_begin(&rows, CN_ROWS_MARGIN, 0);
    lines_show(p, &rows, text, size);
}

static void said_show(struct person *p, const char *name, const char *text, size_t size)
{
    bool colour = cn_terminal_has_colour(p->terminal);
    const char *dim = colour ? "\033[2m" : "", *plain = colour ? "\033[0m" : "";
    struct cn_rows rows = rows_of(p);
    char head[128], when[16] = "";
    time_t now = time(NULL);
    struct tm tm;

    if (localtime_r(&now, &tm))
        strftime(when, sizeof when, "%H:%M:%S", &tm);
    snprintf(head, sizeof head, "%s[%s]%s %s: ", dim, when, plain, name);
    cn_rows_begin(&rows, head, strlen(dim) + strlen(plain));
    lines_show(p, &rows, text, size);
}

/* What became of our last line, or what Enter would do. */
static void prompt_set(struct person *p)
{
    char text[96 + CN_TALK_FILES_STATE_SIZE];
    int dim = 0;

    if (p->leaves) {
        snprintf(text, sizeof text, "%sending ... ", p->state);
    } else if (p->held_size > 0 && !p->is_unsaid) {
        snprintf(text, sizeof text, "%zu lines pasted; Enter sends, Ctrl-U drops them > ",
                 p->held_line_count + 1);
    } else {
        const char *mark = p->said == 0              ? ""
                           : p->read >= p->said      ? "read "
                           : p->delivered >= p->said ? "delivered "
                                                     : "sent ";

        snprintf(text, sizeof text, "%s%s> ", p->state, mark);
        dim = (int)(strlen(p->state) + strlen(mark));
    }
    cn_terminal_prompt(p->terminal, text, (size_t)dim);
}

/* --- what is typed -------------------------------------------------------------------------- */

static void held_drop(struct person *p)
{
    p->held_size = p->held_line_count = 0;
    p->is_unsaid = false;
    prompt_set(p);
}

/* False: too much, and nothing was added. */
static bool held_add(struct person *p, const char *text, size_t size)
{
    if (size > CN_TALK_TEXT_SIZE_MAX - p->held_size)
        return false;
    memcpy(p->held + p->held_size, text, size);
    p->held_size += size;
    return true;
}

static void leave_say(struct person *p)
{
    if (!p->leave_due || !cn_talk_files_may_leave(&p->t->files))
        return;
    p->leave_due = false;
    cn_talk_leave(p->t->talk, p->hangs_up);
}

static void leave(struct person *p, bool hangs_up)
{
    p->leaves = p->leave_due = true;
    p->hangs_up = hangs_up;
    cn_talk_files_leave(&p->t->files);
    leave_say(p);
    prompt_set(p);
}

static void quit(struct person *p)
{
    leave(p, true);
    if (cn_talk_files_is_busy(&p->t->files))
        cn_tell("the call ends when the files that are under way have arrived; Ctrl-C gives it up");
}

static void help(void)
{
    static const char *const lines[] = {
        "Enter         sends what you typed; pasted lines go as one text",
        "Ctrl-D, /quit end the call",
        "/send PATH    sends files or directories; quote blanks in names",
        "/accept       takes what is offered; /accept 1 3: some of it",
        "/refuse       does not; /cancel gives up files that are under way",
        "//text        sends /text",
        "Up, Down      what you said before; other keys are those of emacs",
        "sent >        your last text is on its way",
        "delivered >   the other program has it",
        "read >        it was on the screen there when a key was pressed",
    };

    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        cn_tell("%s", lines[i]);
}

static void command(struct person *p, const char *line)
{
    if (strcmp(line, "/quit") == 0) {
        quit(p);
    } else if (strcmp(line, "/help") == 0) {
        help();
    } else if (!cn_talk_files_command(&p->t->files, line)) {
        cn_tell("there is no command %.64s; /help lists them, and // begins a text with /", line);
    }
}

/* Say what is held, if there is room. */
static void held_say(struct person *p)
{
    enum cn_err err = cn_talking_say(p->t, p->held, p->held_size, &p->said);

    p->is_unsaid = err == CN_E_FULL;
    if (p->is_unsaid)
        return;
    if (err == CN_OK)
        said_show(p, p->t->dial.my_name[0] ? p->t->dial.my_name : "me", p->held, p->held_size);
    else
        cn_tell("not sent: %s", cn_err_text(err));
    held_drop(p);
}

/* Whether what was said last still waits, and what is typed must. */
static bool must_wait(struct person *p)
{
    if (p->is_unsaid) {
        cn_terminal_beep(p->terminal);
        cn_tell("your last text could not be sent yet; try again");
    }
    return p->is_unsaid;
}

static void entered(struct person *p)
{
    size_t size, before;
    const char *line;

    if (must_wait(p))
        return;
    line = cn_terminal_line_take(p->terminal, &size, &before);
    if (size > 0)
        cn_terminal_remember(p->terminal, line);
    if (p->held_size == 0 && size == 0)
        return;
    if (p->held_size == 0 && line[0] == '/' && line[1] != '/') {
        command(p, line);
        return;
    }
    if (p->held_size == 0 && line[0] == '/') {
        line++;
        size--;
    }
    if (!held_add(p, line, size)) {
        cn_tell("too long: a text has at most %d octets; send it as a file", CN_TALK_TEXT_SIZE_MAX);
        cn_terminal_line_insert(p->terminal, line, size);
        return;
    }
    held_say(p);
}

/* Lines but the last wait, shown, for Enter; the last is there to be edited. What stood around the
 * cursor stays around what was pasted. */
static void pasted(struct person *p, const char *text, size_t size)
{
    const char *last = memrchr(text, '\n', size);
    size_t whole = last ? (size_t)(last - text) + 1 : 0;
    size_t line_size, before, held_before = p->held_size;
    char *line;

    if (whole == 0) {
        cn_terminal_line_insert(p->terminal, text, size);
        return;
    }
    if (must_wait(p))
        return;
    line = strdup(cn_terminal_line_take(p->terminal, &line_size, &before));
    if (!line || !held_add(p, line, before) || !held_add(p, text, whole)) {
        p->held_size = held_before;
        cn_tell("too long: a text has at most %d octets; send it as a file", CN_TALK_TEXT_SIZE_MAX);
        cn_terminal_line_insert(p->terminal, line ? line : "", line_size);
        free(line);
        return;
    }
    for (size_t i = held_before; i < p->held_size; i++)
        p->held_line_count += p->held[i] == '\n';
    draft_show(p, p->held + held_before, p->held_size - held_before - 1);
    cn_terminal_line_insert(p->terminal, text + whole, size - whole);
    cn_terminal_line_insert(p->terminal, line + before, line_size - before);
    free(line);
    prompt_set(p);
}

static void refuse(struct person *p, const char *why)
{
    cn_terminal_beep(p->terminal);
    if (!p->told_not_utf8)
        cn_tell("%s", why);
    p->told_not_utf8 = true;
}

/* The first time the partner is told; the second it is over. */
static void signalled(struct person *p, int number)
{
    if (number == 0)
        return;
    p->t->closed |= p->signal != 0;
    p->signal = number;
    cn_talking_cancel(p->t, CN_E_CANCELLED);
}

static void typed(struct person *p, const struct cn_terminal_event *event)
{
    switch (event->type) {
    case CN_TERMINAL_ENTER:
        entered(p);
        break;
    case CN_TERMINAL_PASTE:
        pasted(p, event->text, event->text_size);
        break;
    case CN_TERMINAL_DISCARD:
        if (!p->is_unsaid)
            held_drop(p);
        break;
    case CN_TERMINAL_END:
        quit(p);
        break;
    case CN_TERMINAL_NOT_UTF8:
        refuse(p, "that is not UTF-8, and was dropped: set your terminal to UTF-8");
        return;
    case CN_TERMINAL_TOO_LONG:
        cn_tell("too long: a text has at most %d octets; send it as a file", CN_TALK_TEXT_SIZE_MAX);
        break;
    case CN_TERMINAL_KEY:
    case CN_TERMINAL_NONE:
        break;
    }
    p->told_not_utf8 = false;
}

/* Whoever presses a key has seen what was there. */
static void keys_take(struct person *p)
{
    bool seen = !cn_terminal_is_behind(p->terminal);
    struct cn_terminal_event event;

    if (p->is_unsaid)
        held_say(p);
    while (cn_terminal_next(p->terminal, &event)) {
        if (!p->t->talk || p->leaves)
            continue;
        if (seen)
            cn_talk_read(p->t->talk, p->heard);
        typed(p, &event);
    }
    signalled(p, cn_terminal_signal(p->terminal));
}

/* --- what arrives --------------------------------------------------------------------------- */

/* What was being typed cannot be said any more; it stays to be read, and copied. */
static void unsaid_show(struct person *p)
{
    size_t size, before;
    const char *line = cn_terminal_line_take(p->terminal, &size, &before);

    if (p->held_size + size > 0) {
        cn_tell("what you typed was not sent:");
        if (p->held_size > 0)
            draft_show(p, p->held, p->held_size - !p->is_unsaid);
        if (size > 0)
            draft_show(p, line, size);
    }
    held_drop(p);
}

static void hung_up(struct person *p)
{
    if (!p->leaves)
        cn_say(p->t->cli, "%s has left", p->t->dial.name);
    unsaid_show(p);
    leave(p, false);
}

static void heard(struct person *p, const struct cn_talk_event *event)
{
    switch (event->type) {
    case CN_TALK_LINE:
        said_show(p, p->t->dial.name, event->text, event->text_size);
        p->heard = event->number;
        break;
    case CN_TALK_DELIVERED:
        p->delivered = event->number;
        prompt_set(p);
        break;
    case CN_TALK_READ:
        p->read = event->number;
        prompt_set(p);
        break;
    case CN_TALK_LEFT:
        if (!p->leaves)
            cn_say(p->t->cli, "%s has left; Ctrl-D ends the call", p->t->dial.name);
        break;
    case CN_TALK_HUNG_UP:
        hung_up(p);
        break;
    case CN_TALK_BROKEN:
        p->is_broken = true;
        break;
    case CN_TALK_INTERRUPTED:
    case CN_TALK_ENDED:
    case CN_TALK_NONE:
        break;
    }
}

/* --- the call ------------------------------------------------------------------------------- */

static void events_take(struct person *p)
{
    struct cn_talk_event event;

    while (p->t->talk && !cn_terminal_is_behind(p->terminal) &&
           cn_talking_next_event(p->t, &event)) {
        heard(p, &event);
        cn_terminal_flush(p->terminal);
    }
}

/* The prompt tells how far they are. */
static void files_process(struct person *p)
{
    char state[CN_TALK_FILES_STATE_SIZE];

    p->t->files.is_held = cn_terminal_is_behind(p->terminal);
    cn_talk_files_process(&p->t->files);
    cn_talk_files_state(&p->t->files, state);
    if (strcmp(state, p->state) == 0)
        return;
    memcpy(p->state, state, sizeof state);
    prompt_set(p);
}

static void talk(struct person *p)
{
    while (cn_talking_go_on(p->t)) {
        struct pollfd polled[CN_TALKING_DESCRIPTOR_COUNT];

        files_process(p);
        leave_say(p);
        keys_take(p); /* before lines are shown that were not there when these were pressed */
        cn_terminal_draw(p->terminal);
        cn_terminal_flush(p->terminal);
        events_take(p);
        /* not flushed: whatever was left in the talk, or drawn here, the terminal is waited for */
        cn_terminal_draw(p->terminal);
        cn_terminal_descriptors(p->terminal, polled + CN_TALKING_OWN_DESCRIPTORS);
        if (!cn_talking_wait(p->t, polled))
            return;
        cn_terminal_process(p->terminal, polled + CN_TALKING_OWN_DESCRIPTORS);
    }
}

bool cn_talk_person(struct cn_talking *talking)
{
    struct person *p = calloc(1, sizeof *p);

    if (!p)
        return false;
    p->t = talking;
    p->terminal = cn_terminal_open();
    if (!p->terminal) {
        free(p);
        return false;
    }
    prompt_set(p);
    cn_messages_to(message_show, p);
    talking->files.asks = true;
    cn_say(talking->cli, "type, and press Enter; /help tells more; Ctrl-D ends the call");
    talk(p);
    cn_talk_files_end(&talking->files);
    unsaid_show(p);
    if (p->said > p->delivered && !talking->undelivered)
        cn_tell("not known to have arrived: the last %llu of your texts",
                (unsigned long long)(p->said - p->delivered));
    cn_messages_to(NULL, NULL);
    cn_terminal_close(p->terminal);
    if (p->is_broken)
        cn_talking_tell_broken(talking);
    else if (p->signal)
        talking->code = 128 + p->signal;
    free(p);
    return true;
}
