#include "piping.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    PIPE_STREAM_KIND = 1,
    TERMINAL_WRITE_SIZE = 1024,
    RESET_OUTPUT_FAILED = 1, /* codes of the service: PROTOCOL.md 7.2 */
    RESET_OUTPUT_FULL = 2,
    RESET_INPUT_FAILED = 3,
    RESET_COMMAND_FAILED = 4
};

/* Where each is among what is polled; the call's come last. */
enum { POLLED_IN, POLLED_OUT, POLLED_COMMAND, POLLED_HALT, POLLED_CALL };

static void give_up(struct cn_piping *p, uint32_t code, enum cn_err why)
{
    if (p->stream)
        cn_stream_reset(p->stream, code);
    cn_call_cancel(p->dial.call, why);
    p->code = CN_EXIT_FAILED;
}

/* All that can come has come; of a command only if it has ended well, too: one that fails must not
 * look complete at the far end. */
static bool input_is_over(const struct cn_piping *p)
{
    return p->in < 0 && (!p->command || p->command_done);
}

static void input_ended(struct cn_piping *p)
{
    p->in = -1;
    if (input_is_over(p))
        cn_stream_finish(p->stream);
}

static void read_once(struct cn_piping *p, uint8_t *to, size_t room)
{
    ssize_t got = read(p->in, to, room);

    /* there may be more; of a file the end is sought at once, so that it goes with the last octets
     */
    p->in_ready = p->in_is_file || (p->in_never_blocks && got == (ssize_t)room);
    if (got > 0) {
        cn_stream_commit(p->stream, (size_t)got);
        p->sent += (size_t)got;
    } else if (got == 0 || errno == EBADF) { /* EBADF: closed before we began */
        input_ended(p);
    } else if (errno != EAGAIN && errno != EINTR) {
        cn_error("%s: %s", p->command ? p->command : "standard input", strerror(errno));
        p->in = -1;
        give_up(p, RESET_INPUT_FAILED, CN_E_SYSTEM);
    }
}

/* Read straight into the stream, as long as there is room and something to read. */
static void pump_in(struct cn_piping *p)
{
    while (p->in >= 0 && p->in_ready) {
        size_t room;
        uint8_t *to = cn_stream_reserve(p->stream, &room);

        if (!to)
            return;
        read_once(p, to, room);
    }
}

static ssize_t put(const struct cn_piping *p, const uint8_t *from, size_t size)
{
    if (p->out_is_socket)
        return send(p->out, from, size, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (p->out_is_terminal && size > TERMINAL_WRITE_SIZE) /* else a slow one would hold us */
        size = TERMINAL_WRITE_SIZE;
    return write(p->out, from, size);
}

/* The command has ended well, but closed its input before it had all. */
static void command_judge(struct cn_piping *p)
{
    if (!p->command_done || !p->out_broken || p->code != CN_EXIT_DONE)
        return;
    cn_error("%s: it ended without taking all that came", p->command);
    cn_hint("if %s has nothing to say to it: -n there sends nothing", p->dial.name);
    give_up(p, RESET_OUTPUT_FAILED, CN_E_SYSTEM);
}

static void output_failed(struct cn_piping *p)
{
    bool full = errno == ENOSPC || errno == EDQUOT || errno == EFBIG;

    p->out_broken = true;
    if (p->command) { /* how it ends says more */
        p->out = -1;
        command_judge(p);
        return;
    }
    cn_error("standard output: %s", strerror(errno));
    if (full)
        cn_hint("make room on the disk; what has been written so far is not complete");
    p->out = -1;
    give_up(p, full ? RESET_OUTPUT_FULL : RESET_OUTPUT_FAILED, CN_E_SYSTEM);
}

/* Write what has arrived. */
static void pump_out(struct cn_piping *p)
{
    size_t size;
    const uint8_t *from;

    while (p->out >= 0 && p->out_ready && (from = cn_stream_peek(p->stream, &size))) {
        ssize_t done = put(p, from, size);

        if (done >= 0) {
            cn_stream_consume(p->stream, (size_t)done);
            p->received += (size_t)done;
            p->out_ready = (size_t)done == size && !p->out_is_terminal;
        } else if (errno == EAGAIN || errno == EINTR) {
            p->out_ready = false;
        } else {
            output_failed(p);
        }
    }
}

/* The partner has given the stream up, and with it the call. */
static void reset_taken(struct cn_piping *p)
{
    static const char *const texts[] = {
        "gave up",
        [RESET_OUTPUT_FAILED] = "could not write what you sent",
        [RESET_OUTPUT_FULL] = "could not write what you sent: the disk there is full",
        [RESET_INPUT_FAILED] = "could not read its input; what arrived here is not complete",
        [RESET_COMMAND_FAILED] = "ran a command that failed; what arrived here is not complete",
    };
    uint32_t code = cn_stream_reset_code(p->stream);

    cn_error("%s %s", p->dial.name, texts[code < sizeof texts / sizeof texts[0] ? code : 0]);
    cn_hint("what was not confirmed may be missing at the other end; call again");
    if (code == RESET_OUTPUT_FAILED)
        cn_hint("if nothing is to be sent: -n, with which what a COMMAND prints stays here");
    cn_call_cancel(p->dial.call, CN_E_CANCELLED);
    p->code = CN_EXIT_INTERRUPTED;
}

/* The partner's end has been read: whoever reads our output shall see an end too. */
static void output_ended(struct cn_piping *p)
{
    int own = p->out;

    p->out = -1;
    if (p->command) {
        cn_child_input_end(&p->child);
        return;
    }
    if (own >= 0 && own != STDOUT_FILENO)
        close(own);
    if (close(STDOUT_FILENO) != 0 && errno != EBADF)
        output_failed(p);
    (void)open("/dev/null", O_RDONLY); /* no other file shall become standard output */
}

static void check_done(struct cn_piping *p)
{
    enum cn_stream_state state = cn_stream_state(p->stream);

    if (state == CN_STREAM_ENDED && p->out >= 0)
        output_ended(p);
    if (state == CN_STREAM_ENDED && input_is_over(p) && !p->finished && p->code == CN_EXIT_DONE) {
        p->finished = true;
        cn_call_finish(p->dial.call);
    }
}

/* The call was open, and was broken off: what a pipe has taken in or given out cannot be had again.
 */
static void interrupted(struct cn_piping *p, enum cn_err err)
{
    struct cn_stream_progress progress = { 0 };

    p->code = cn_dial_ended(p->cli, &p->dial, err);
    if (p->code != CN_EXIT_INTERRUPTED)
        return;
    if (p->stream)
        cn_stream_progress(p->stream, &progress);
    cn_hint("a pipe does not go on where it was; written here, and valid, are the first %llu "
            "octets; %s has confirmed the first %llu of %llu",
            (unsigned long long)p->received, p->dial.name, (unsigned long long)progress.received,
            (unsigned long long)p->sent);
}

static void take_event(struct cn_piping *p, const struct cn_event *event)
{
    switch (event->type) {
    case CN_EVENT_STREAM:
        if (!p->stream && cn_stream_kind(event->stream) == PIPE_STREAM_KIND)
            p->stream = event->stream;
        else
            cn_stream_release(event->stream); /* resets it */
        break;
    case CN_EVENT_READABLE:
        if (cn_stream_state(event->stream) == CN_STREAM_RESET && p->code == CN_EXIT_DONE)
            reset_taken(p);
        break;
    case CN_EVENT_CARDS:
        cn_dial_cards(p->cli, &p->dial, event->err);
        break;
    case CN_EVENT_CLOSED:
        p->closed = true;
        if (p->code == CN_EXIT_DONE)
            interrupted(p, event->err);
        break;
    case CN_EVENT_NONE:
    case CN_EVENT_CONNECTED:
    case CN_EVENT_WAITING:
    case CN_EVENT_RETRY:
    case CN_EVENT_JOINED:
    case CN_EVENT_OPEN:
    case CN_EVENT_WRITABLE:
    case CN_EVENT_PROGRESS:
    case CN_EVENT_NOTICE:
        break;
    case CN_EVENT_QUIET:
    case CN_EVENT_HEARD:
    case CN_EVENT_LOST:
    case CN_EVENT_RECONNECTING:
    case CN_EVENT_RESUMED:
        (void)cn_dial_tell_line(p->cli, &p->dial, event);
        break;
    }
}

/* The command has ended: well, or so that the partner has to know. */
static void command_took(struct cn_piping *p)
{
    int status;

    if (!cn_child_took(&p->child, &status))
        return;
    if (p->child.interrupted) { /* as if we were */
        p->code = 128 + SIGINT;
        p->closed = true;
        return;
    }
    p->command_done = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    if (p->command_done) {
        command_judge(p);
        return;
    }
    if (p->code != CN_EXIT_DONE)
        return;
    if (WIFSIGNALED(status))
        cn_error("%s: ended by signal %d", p->command, WTERMSIG(status));
    else
        cn_error("%s: failed, with exit code %d", p->command, WEXITSTATUS(status));
    give_up(p, RESET_COMMAND_FAILED, CN_E_SYSTEM);
}

static void pump(struct cn_piping *p)
{
    if (!p->stream || p->code != CN_EXIT_DONE)
        return;
    if (cn_stream_state(p->stream) == CN_STREAM_RESET)
        return;
    pump_out(p);
    if (p->in >= 0)
        pump_in(p);
    check_done(p);
}

void cn_piping_begin(struct cn_piping *p)
{
    p->out_ready = !p->out_is_terminal;
    if (cn_call_is_caller(p->dial.call))
        cn_dial_stream(&p->dial, PIPE_STREAM_KIND, &p->stream, &p->code);
}

void cn_piping_command(struct cn_piping *p, const char *path, char **words, const sigset_t *before,
                       bool keep_output)
{
    int error = cn_child_start(&p->child, path, words, before, keep_output);

    p->command = words[0];
    p->in = p->child.output;
    p->out = p->child.input;
    p->in_never_blocks = p->out_is_pipe = true;
    if (error != 0) {
        cn_error("%s: %s", p->command, strerror(error));
        give_up(p, RESET_COMMAND_FAILED, CN_E_SYSTEM);
    }
}

void cn_piping_process(struct cn_piping *p)
{
    struct cn_event event;

    cn_call_process(p->dial.call);
    while (!p->closed && cn_call_next_event(p->dial.call, &event))
        take_event(p, &event);
    if (p->command_stirs && !p->closed)
        command_took(p);
    p->command_stirs = false;
    if (p->closed)
        return;
    if (p->stream && input_is_over(p) && p->code == CN_EXIT_DONE)
        cn_stream_finish(p->stream);
    pump(p);
}

/* For the call, the input if there is room for it, the output if there is something for it, and the
 * command's end: before there is a stream nobody could be told how it has ended. */
size_t cn_piping_descriptors(struct cn_piping *p, struct pollfd *polled, int *timeout_ms)
{
    int due_ms = cn_call_timeout_ms(p->dial.call);
    size_t size = 0;

    for (size_t i = 0; i < POLLED_CALL; i++)
        polled[i] = (struct pollfd) { -1, 0, 0 };
    if (p->stream && p->in >= 0 && !p->in_ready && cn_stream_reserve(p->stream, &size))
        polled[POLLED_IN] = (struct pollfd) { p->in, POLLIN, 0 };
    if (p->stream && p->out >= 0 && !p->out_unread) {
        bool wanted = cn_stream_peek(p->stream, &size) != NULL;

        polled[POLLED_OUT] = (struct pollfd) { p->out, wanted && !p->out_ready ? POLLOUT : 0, 0 };
        if (wanted && p->out_ready)
            due_ms = 0;
    }
    if (p->command && p->stream)
        polled[POLLED_COMMAND] = (struct pollfd) { p->child.ended, POLLIN, 0 };
    if (p->command && p->stream)
        polled[POLLED_HALT] = (struct pollfd) { p->child.halted, POLLIN, 0 };
    if (due_ms >= 0 && (*timeout_ms < 0 || due_ms < *timeout_ms))
        *timeout_ms = due_ms;
    return POLLED_CALL +
           cn_call_descriptors(p->dial.call, polled + POLLED_CALL, CN_CALL_DESCRIPTORS_MAX);
}

void cn_piping_polled(struct cn_piping *p, const struct pollfd *polled)
{
    const struct pollfd *out = &polled[POLLED_OUT];

    p->command_stirs |= polled[POLLED_COMMAND].revents != 0 || polled[POLLED_HALT].revents != 0;
    p->in_ready |= polled[POLLED_IN].revents != 0;
    if (out->revents & (POLLOUT | POLLERR | POLLHUP))
        p->out_ready = true;
    /* no harm if nothing more comes but the end: `pipe NAME | tar x` */
    if (out->revents & POLLERR && p->out_is_pipe)
        p->out_unread = p->out_ready = true;
}
