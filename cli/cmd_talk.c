/* cmd_talk.c - cyphernet talk: a conversation, line by line. PROTOCOL.md 7.3 */
#include "dial.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "reader.h"
#include "writer.h"

enum {
    TALK_STREAM_KIND = 1,
    TALK_LINE = 1, /* type (1), size (4), text */
    HEAD_SIZE = 5,
    LINE_SIZE_MAX = 8192,
    SHOWN_SIZE = 5 * LINE_SIZE_MAX + 256
};

static const struct cn_option options[] = {
    { "answer", 0, NULL, offsetof(struct cn_cli, answer), "wait for the partner without limit" },
    { "wait", 0, "SECONDS", offsetof(struct cn_cli, wait),
      "give up when the partner has not come by then (600)" },
    { NULL, 0, NULL, 0, NULL },
};

struct talking {
    struct cn_cli *cli;
    struct cn_dial dial;
    struct cn_stream *stream; /* NULL until it is opened by either end */
    char typed[LINE_SIZE_MAX];
    size_t typed_size;
    bool input_ended;
    uint8_t out[HEAD_SIZE + LINE_SIZE_MAX]; /* a line that the stream had no room for yet */
    size_t out_begin, out_end;
    uint8_t in[HEAD_SIZE + LINE_SIZE_MAX];
    size_t in_size;
    int output;             /* standard output, without blocking where that can be had */
    char shown[SHOWN_SIZE]; /* a line for it that it has not taken whole yet */
    size_t shown_begin, shown_end;
    bool finished, closed, told_end;
    int code;
};

/* --- what is typed -------------------------------------------------------------------------- */

/* True: nothing waits to go out. */
static bool flush(struct talking *t)
{
    t->out_begin += cn_stream_write(t->stream, t->out + t->out_begin, t->out_end - t->out_begin);
    return t->out_begin == t->out_end;
}

static void line_put(struct talking *t, const char *text, size_t size)
{
    struct cn_writer w = { .at = t->out, .left = sizeof t->out };

    cn_writer_u8(&w, TALK_LINE);
    cn_writer_u32be(&w, (uint32_t)size);
    cn_writer_bytes(&w, text, size);
    t->out_begin = 0;
    t->out_end = sizeof t->out - w.left;
    (void)flush(t);
}

/* Where to cut a line that is too long: before its last character, unless that has one octet. */
static size_t piece_size(const char *text, size_t size)
{
    for (size_t cut = size; cut > 1 && size - cut < 4; cut--) {
        unsigned char c = (unsigned char)text[cut - 1];

        if ((c & 0xc0) != 0x80)
            return c < 0x80 ? size : cut - 1;
    }
    return size; /* no UTF-8 */
}

/* Send the lines that are whole, one at a time; at the end of the input also one without an end. A
 * line that is too long goes in pieces. */
static void lines_send(struct talking *t)
{
    while (flush(t)) {
        const char *end = memchr(t->typed, '\n', t->typed_size);
        size_t size = end ? (size_t)(end - t->typed) : t->typed_size;
        size_t used = end ? size + 1 : size;

        if (!end && t->typed_size < sizeof t->typed && !(t->input_ended && size > 0))
            break;
        if (!end && !t->input_ended)
            used = size = piece_size(t->typed, size);
        line_put(t, t->typed, size);
        memmove(t->typed, t->typed + used, t->typed_size - used);
        t->typed_size -= used;
    }
    if (t->input_ended && t->typed_size == 0 && t->out_begin == t->out_end)
        cn_stream_finish(t->stream);
}

static void typed_read(struct talking *t)
{
    ssize_t got = read(STDIN_FILENO, t->typed + t->typed_size, sizeof t->typed - t->typed_size);

    if (got > 0)
        t->typed_size += (size_t)got;
    else if (got == 0 || errno == EBADF)
        t->input_ended = true;
    else if (errno != EINTR && errno != EAGAIN) {
        cn_error("standard input: %s", strerror(errno));
        t->input_ended = true;
        t->code = CN_EXIT_FAILED;
        cn_call_cancel(t->dial.call, CN_E_SYSTEM);
    }
}

/* --- what arrives --------------------------------------------------------------------------- */

static void output_open(struct talking *t)
{
    struct stat st;

    t->output = STDOUT_FILENO;
    if (isatty(STDOUT_FILENO) || (fstat(STDOUT_FILENO, &st) == 0 && S_ISFIFO(st.st_mode)))
        t->output = cn_own_end(STDOUT_FILENO, O_WRONLY);
}

/* True: the output has taken all that was to be shown. A slow one holds back the partner by the
 * stream's window, never the connection. */
static bool show(struct talking *t)
{
    while (t->shown_begin < t->shown_end) {
        ssize_t put = write(t->output, t->shown + t->shown_begin, t->shown_end - t->shown_begin);

        if (put >= 0) {
            t->shown_begin += (size_t)put;
        } else if (errno == EAGAIN) {
            return false;
        } else if (errno != EINTR) {
            cn_error("standard output: %s", strerror(errno));
            t->code = CN_EXIT_FAILED;
            t->shown_begin = t->shown_end;
            cn_call_cancel(t->dial.call, CN_E_SYSTEM);
            return false;
        }
    }
    return true;
}

static void line_show(struct talking *t, const char *text, size_t size)
{
    char safe[5 * LINE_SIZE_MAX + 1];
    char when[16] = "";
    time_t now = time(NULL);
    struct tm tm;
    int length;

    if (t->cli->json) {
        length = snprintf(t->shown, sizeof t->shown,
                          "{\"v\":1,\"event\":\"line\",\"contact\":\"%s\",\"text\":\"%s\"}\n",
                          t->dial.name, cn_json_text(safe, sizeof safe, text, size));
    } else {
        if (localtime_r(&now, &tm))
            strftime(when, sizeof when, "%H:%M:%S", &tm);
        length = snprintf(t->shown, sizeof t->shown, "[%s] %s: %s\n", when, t->dial.name,
                          cn_printable(safe, sizeof safe, text, size));
    }
    t->shown_begin = 0;
    t->shown_end = (size_t)length; /* SHOWN_SIZE is enough for any line */
    (void)show(t);
}

static bool have(struct talking *t, size_t size)
{
    if (t->in_size < size)
        t->in_size += cn_stream_read(t->stream, t->in + t->in_size, size - t->in_size);
    return t->in_size >= size;
}

static void senseless(struct talking *t)
{
    cn_error("%s said something that makes no sense", t->dial.name);
    t->code = CN_EXIT_FAILED;
    cn_call_cancel(t->dial.call, CN_E_FORMAT);
}

static void lines_take(struct talking *t)
{
    while (t->code == CN_EXIT_DONE && show(t) && have(t, HEAD_SIZE)) {
        struct cn_reader r = { .at = t->in, .left = HEAD_SIZE };
        uint8_t type = cn_reader_u8(&r);
        size_t size = cn_reader_u32be(&r);

        if (type != TALK_LINE || size > LINE_SIZE_MAX) {
            senseless(t);
            return;
        }
        if (!have(t, HEAD_SIZE + size))
            break;
        line_show(t, (const char *)t->in + HEAD_SIZE, size);
        t->in_size = 0;
    }
    if (t->code == CN_EXIT_DONE &&
        (cn_stream_state(t->stream) == CN_STREAM_RESET ||
         (cn_stream_state(t->stream) == CN_STREAM_ENDED && t->in_size > 0)))
        senseless(t);
}

/* --- the call ------------------------------------------------------------------------------- */

static void take_event(struct talking *t, const struct cn_event *event)
{
    if (event->type == CN_EVENT_STREAM) {
        if (!t->stream && cn_stream_kind(event->stream) == TALK_STREAM_KIND)
            t->stream = event->stream;
        else
            cn_stream_release(event->stream);
    }
    if (event->type == CN_EVENT_CLOSED) {
        t->closed = true;
        if (t->code == CN_EXIT_DONE)
            t->code = cn_dial_ended(t->cli, &t->dial, event->err);
    }
}

static void check_done(struct talking *t)
{
    bool theirs = cn_stream_state(t->stream) == CN_STREAM_ENDED && t->shown_begin == t->shown_end;

    if (theirs && !t->told_end && !t->input_ended)
        cn_say(t->cli, "%s has left; Ctrl-D ends the call", t->dial.name);
    t->told_end |= theirs;
    if (!theirs || !t->input_ended || t->finished || t->typed_size > 0 || t->out_begin < t->out_end)
        return;
    t->finished = true;
    cn_call_finish(t->dial.call);
}

static void talk(struct talking *t)
{
    if (cn_call_is_caller(t->dial.call))
        cn_dial_stream(&t->dial, TALK_STREAM_KIND, &t->stream, &t->code);
    while (!t->closed) {
        struct cn_event event;
        struct pollfd polled[CN_CALL_DESCRIPTORS_MAX + 2];
        size_t count;
        bool reads;

        cn_call_process(t->dial.call);
        while (!t->closed && cn_call_next_event(t->dial.call, &event))
            take_event(t, &event);
        if (t->closed)
            return;
        if (t->stream && t->code == CN_EXIT_DONE) {
            lines_take(t);
            lines_send(t);
            check_done(t);
        }
        count = cn_call_descriptors(t->dial.call, polled, CN_CALL_DESCRIPTORS_MAX);
        reads = t->stream && !t->input_ended && t->typed_size < sizeof t->typed;
        polled[count] = (struct pollfd) { reads ? STDIN_FILENO : -1, POLLIN, 0 };
        polled[count + 1] =
            (struct pollfd) { t->shown_begin < t->shown_end ? t->output : -1, POLLOUT, 0 };
        if (poll(polled, count + 2, cn_call_timeout_ms(t->dial.call)) < 0 && errno != EINTR &&
            errno != EAGAIN) {
            cn_error("poll: %s", strerror(errno));
            t->code = CN_EXIT_FAILED;
            return;
        }
        if (polled[count].revents)
            typed_read(t);
    }
}

static int run(struct cn_cli *cli)
{
    struct talking t = { .cli = cli,
                         .dial = { .name = cli->arguments[0], .partner_command = "talk" } };
    int code = cn_dial(cli, &t.dial, CN_CALL_TALK, false, cli->answer);

    if (code != CN_EXIT_DONE)
        return code;
    if (isatty(STDIN_FILENO))
        cn_say(cli, "type, and press Enter; Ctrl-D ends the call");
    output_open(&t);
    talk(&t);
    cn_dial_over(cli, &t.dial, t.code);
    cn_dial_end(&t.dial);
    return t.code;
}

const struct cn_command cn_cmd_talk = {
    .name = "talk",
    .usage = "talk NAME [--answer] [--wait SECONDS]",
    .summary = "Have a conversation with NAME, line by line",
    .help = "Both ends type the same, in any order; who is first waits. The end of the input "
            "(Ctrl-D)\nends your side; the call ends when both have. What the partner types cannot "
            "drive\nyour terminal: control characters are shown as \\xNN.\n",
    .options = options,
    .arguments_min = 1,
    .arguments_max = 1,
    .json = true,
    .run = run,
};
