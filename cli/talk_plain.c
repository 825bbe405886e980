/* talk_plain.c - a conversation of programs: lines in, lines out. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "backlog.h"
#include "rows.h"
#include "signals.h"
#include "talk.h"
#include "terminal.h"
#include "utf8.h"

struct plain {
    struct cn_talking *t;
    char typed[CN_TALK_TEXT_SIZE_MAX + 1];
    size_t typed_size;
    uint64_t line_number; /* of the input */
    bool input_ended, has_quit, told_left;
    bool lost;        /* something of the input was not said */
    bool obeys;       /* lines that begin with a slash are commands */
    bool on_terminal; /* what is shown */
    struct cn_backlog shown;
    char safe[5 * CN_TALK_TEXT_SIZE_MAX + 1]; /* a text whose every octet may be escaped */
};

/* --- what is typed -------------------------------------------------------------------------- */

/* Whether the line is a command, and was obeyed. */
static bool obey(struct plain *p, size_t size)
{
    char line[PATH_MAX + 64];

    if (!p->obeys || size < 2 || p->typed[0] != '/' || p->typed[1] == '/')
        return false;
    snprintf(line, sizeof line, "%.*s", (int)size, p->typed);
    if (strcmp(line, "/quit") == 0)
        p->input_ended = p->has_quit = true;
    else if (size >= sizeof line || strlen(line) < size ||
             !cn_talk_files_command(&p->t->files, line))
        cn_error("there is no command %.64s; // begins a text with /", line);
    return true;
}

/* False: there is no room for it now. */
static bool say(struct plain *p, size_t size)
{
    size_t skipped = p->obeys && size > 1 && p->typed[0] == '/' && p->typed[1] == '/';
    enum cn_err err;

    if (obey(p, size))
        return true;
    err = cn_talking_say(p->t, p->typed + skipped, size - skipped, NULL);

    if (err == CN_E_FULL)
        return false;
    if (err == CN_E_FORMAT) {
        cn_error("line %llu of the input is not UTF-8, and was not sent",
                 (unsigned long long)p->line_number);
        cn_hint("texts are UTF-8 here; iconv(1) makes it of others");
    } else if (err != CN_OK) {
        cn_error("line %llu of the input was not sent: %s", (unsigned long long)p->line_number,
                 cn_err_text(err));
    }
    p->lost |= err != CN_OK;
    return true;
}

/* Say the lines that are whole; at the end of the input also one without an end. A line that is too
 * long goes in pieces. */
static void lines_send(struct plain *p)
{
    for (;;) {
        const char *end = memchr(p->typed, '\n', p->typed_size);
        size_t size = end ? (size_t)(end - p->typed) : p->typed_size;
        size_t used = end ? size + 1 : size;

        if (p->has_quit ||
            (!end && p->typed_size < sizeof p->typed && !(p->input_ended && size > 0)))
            break;
        if (size > CN_TALK_TEXT_SIZE_MAX)
            used = size = cn_utf8_cut(p->typed, CN_TALK_TEXT_SIZE_MAX);
        if (!say(p, size))
            return;
        p->line_number += end != NULL;
        memmove(p->typed, p->typed + used, p->typed_size - used);
        p->typed_size -= used;
    }
    if (!p->input_ended || !cn_talk_files_may_leave(&p->t->files))
        return;
    cn_talk_leave(p->t->talk, p->has_quit);
    if (p->told_left)
        cn_talk_files_last(&p->t->files);
}

static void typed_read(struct plain *p)
{
    ssize_t got = read(STDIN_FILENO, p->typed + p->typed_size, sizeof p->typed - p->typed_size);

    if (got > 0) {
        p->typed_size += (size_t)got;
    } else if (got == 0 || errno == EBADF) {
        p->input_ended = true;
        cn_talk_files_unattended(&p->t->files);
    } else if (errno != EINTR && errno != EAGAIN) {
        cn_error("standard input: %s", strerror(errno));
        p->input_ended = true;
        p->t->code = CN_EXIT_FAILED;
        cn_talking_cancel(p->t, CN_E_SYSTEM);
    }
}

/* --- what arrives --------------------------------------------------------------------------- */

/* Standard output, without blocking where that can be had. */
static bool output_open(struct plain *p)
{
    struct stat st;
    bool own = isatty(STDOUT_FILENO) || (fstat(STDOUT_FILENO, &st) == 0 && S_ISFIFO(st.st_mode));

    return cn_backlog_open(&p->shown, own ? cn_own_end(STDOUT_FILENO, O_WRONLY) : STDOUT_FILENO);
}

static void output_close(struct plain *p)
{
    if (p->shown.fd > STDERR_FILENO)
        close(p->shown.fd);
    cn_backlog_close(&p->shown);
}

/* True: the output has taken all that was to be shown. A slow one holds back the partner by the
 * stream's window, never the connection. */
static bool show(struct plain *p)
{
    bool all = cn_backlog_flush(&p->shown);

    if (p->shown.error && p->t->code == CN_EXIT_DONE) {
        cn_error("standard output: %s", strerror(p->shown.error));
        p->t->code = CN_EXIT_FAILED;
        cn_talking_cancel(p->t, CN_E_SYSTEM);
    }
    return all && p->t->code == CN_EXIT_DONE;
}

/* Each line of the text as one of ours, so that none can look like another's. */
static void line_put(struct plain *p, FILE *out, const struct cn_talk_event *event)
{
    const char *text = event->text;
    size_t left = event->text_size;
    struct cn_rows rows = { .out = out, .columns = p->on_terminal ? cn_terminal_columns() : 0 };
    char when[16] = "", head[128];
    time_t now = time(NULL);
    struct tm tm;
    const char *end;

    if (localtime_r(&now, &tm))
        strftime(when, sizeof when, "%H:%M:%S", &tm);
    do {
        end = memchr(text, '\n', left);
        size_t size = end ? (size_t)(end - text) : left;

        snprintf(head, sizeof head, "[%s] %s: ", when, p->t->dial.name);
        cn_rows_begin(&rows, head, 0);
        cn_rows_put(&rows, cn_printable(p->safe, sizeof p->safe, text, size));
        cn_rows_end(&rows);
        text += size + (end != NULL);
        left -= size + (end != NULL);
    } while (end);
}

void cn_talk_json_put(FILE *out, char *safe, size_t safe_size, const char *text, size_t size)
{
    while (size > 0) {
        size_t piece = 0;

        while (piece < size && text[piece] != '\n' && text[piece] != '\t')
            piece++;
        fputs(cn_json_text(safe, safe_size, text, piece), out);
        if (piece < size)
            fputs(text[piece] == '\n' ? "\\n" : "\\t", out);
        piece += piece < size;
        text += piece;
        size -= piece;
    }
}

static void line_put_json(struct plain *p, FILE *out, const struct cn_talk_event *event)
{
    fprintf(out, "{\"v\":1,\"event\":\"line\",\"contact\":\"%s\",\"number\":%llu,\"text\":\"",
            p->t->dial.name, (unsigned long long)event->number);
    cn_talk_json_put(out, p->safe, sizeof p->safe, event->text, event->text_size);
    fputs("\"}\n", out);
}

static void mark_put_json(struct plain *p, FILE *out, const struct cn_talk_event *event)
{
    if (event->type == CN_TALK_DELIVERED)
        fprintf(out, "{\"v\":1,\"event\":\"delivered\",\"contact\":\"%s\",\"number\":%llu}\n",
                p->t->dial.name, (unsigned long long)event->number);
    else
        fprintf(out, "{\"v\":1,\"event\":\"read\",\"contact\":\"%s\",\"number\":%llu}\n",
                p->t->dial.name, (unsigned long long)event->number);
}

static void left_put_json(struct plain *p, FILE *out)
{
    fprintf(out, "{\"v\":1,\"event\":\"left\",\"contact\":\"%s\"}\n", p->t->dial.name);
}

static void event_put(struct plain *p, FILE *out, const struct cn_talk_event *event)
{
    bool json = p->t->cli->json;

    if (event->type == CN_TALK_LINE && json)
        line_put_json(p, out, event);
    else if (event->type == CN_TALK_LINE)
        line_put(p, out, event);
    else if (json && (event->type == CN_TALK_LEFT || event->type == CN_TALK_HUNG_UP))
        left_put_json(p, out);
    else if (json && (event->type == CN_TALK_DELIVERED || event->type == CN_TALK_READ))
        mark_put_json(p, out, event);
}

/* The partner wants the end: what we have not said yet is not said any more. */
static void hung_up(struct plain *p)
{
    if (p->typed_size > 0) {
        cn_error("%s has left before all was said", p->t->dial.name);
        p->lost = true;
    }
    p->typed_size = 0;
    p->input_ended = true;
    cn_talk_files_leave(&p->t->files);
}

static void events_take(struct plain *p)
{
    struct cn_talk_event event;

    while (show(p) && cn_talking_next_event(p->t, &event)) {
        bool leaves = event.type == CN_TALK_LEFT || event.type == CN_TALK_HUNG_UP;

        if (leaves && !p->told_left && !p->input_ended)
            cn_say(p->t->cli, "%s has left%s", p->t->dial.name,
                   event.type == CN_TALK_LEFT ? "; Ctrl-D ends the call" : "");
        p->told_left |= leaves;
        if (event.type == CN_TALK_HUNG_UP)
            hung_up(p);
        if (event.type == CN_TALK_BROKEN)
            cn_talking_tell_broken(p->t);
        event_put(p, p->shown.in, &event);
    }
}

static void interrupted(struct cn_talking *t, int number)
{
    t->code = 128 + number;
    if (t->dial.call)
        cn_dial_leave(&t->dial);
    else
        cn_talking_cancel(t, CN_E_CANCELLED);
}

/* --- the call ------------------------------------------------------------------------------- */

static void talk(struct plain *p, const struct cn_signals *signals)
{
    while (cn_talking_go_on(p->t)) {
        struct pollfd polled[CN_TALKING_DESCRIPTOR_COUNT];
        struct pollfd *own = polled + CN_TALKING_OWN_DESCRIPTORS;
        bool speaks = p->t->talk && p->t->code == CN_EXIT_DONE;
        bool reads;
        int number;

        if (speaks) {
            events_take(p);
            lines_send(p);
            p->t->files.is_held = cn_backlog_is_behind(&p->shown);
            cn_talk_files_process(&p->t->files);
            lines_send(p); /* what it waited for may have begun */
        }
        reads = speaks && !p->input_ended && p->typed_size < sizeof p->typed;
        own[0] = (struct pollfd) { reads ? STDIN_FILENO : -1, POLLIN, 0 };
        own[1] = (struct pollfd) { cn_backlog_is_behind(&p->shown) ? p->shown.fd : -1, POLLOUT, 0 };
        own[2] = (struct pollfd) { signals->fd, POLLIN, 0 };
        if (!cn_talking_wait(p->t, polled))
            return;
        number = own[2].revents ? cn_signals_take(signals) : 0;
        if (number > 0) {
            interrupted(p->t, number);
            return;
        }
        if (own[0].revents)
            typed_read(p);
    }
}

void cn_talk_plain(struct cn_talking *talking)
{
    struct plain *p = calloc(1, sizeof *p);
    struct cn_signals signals;

    if (!p || !output_open(p)) {
        talking->code = cn_fail(talking->cli, CN_E_MEMORY, "talking");
        free(p);
        return;
    }
    if (!cn_signals_catch(&signals)) {
        cn_error("signals: %s", strerror(errno));
        talking->code = CN_EXIT_FAILED;
        output_close(p);
        free(p);
        return;
    }
    p->t = talking;
    p->line_number = 1;
    p->on_terminal = isatty(STDOUT_FILENO);
    p->obeys = talking->cli->commands || isatty(STDIN_FILENO);
    talking->files.asks = p->obeys && isatty(STDIN_FILENO);
    if (isatty(STDIN_FILENO))
        cn_say(talking->cli, "type, and press Enter; Ctrl-D ends the call");
    talk(p, &signals);
    cn_signals_release(&signals);
    cn_talk_files_end(&talking->files);
    if (talking->code == CN_EXIT_DONE && talking->closed_err == CN_OK)
        talking->code = p->lost ? CN_EXIT_FAILED : talking->files.code;
    output_close(p);
    free(p);
}
