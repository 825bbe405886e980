/* cmd_pipe.c - cyphernet pipe: standard input to the partner's standard output, both ways; or those
 * of a command. PROTOCOL.md 7.2 */
#include "command_run.h"
#include "dial.h"
#include "signals.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    PIPE_STREAM_KIND = 1,
    PIPE_SIZE = 1024 * 1024, /* asked for our ends of local pipes */
    TERMINAL_WRITE_SIZE = 1024,
    BUSY_ROUNDS = 8,
    RESET_OUTPUT_FAILED = 1, /* codes of the service: PROTOCOL.md 7.2 */
    RESET_OUTPUT_FULL = 2,
    RESET_INPUT_FAILED = 3,
    RESET_COMMAND_FAILED = 4
};

static const struct cn_option options[] = {
    { "answer", 0, NULL, offsetof(struct cn_cli, answer), "wait for the partner without limit" },
    { "no-input", 'n', NULL, offsetof(struct cn_cli, no_input),
      "send nothing: take the input as ended" },
    { "wait", 0, "SECONDS", offsetof(struct cn_cli, wait),
      "give up when the partner has not come by then (600)" },
    { "events", 0, "FD", offsetof(struct cn_cli, events), "JSON events to this descriptor" },
    { NULL, 0, NULL, 0, NULL },
};

struct piping {
    struct cn_cli *cli;
    struct cn_dial dial;
    struct cn_stream *stream; /* NULL until it is opened by either end */
    int in, out;              /* -1: ended */
    bool out_is_pipe, out_is_socket, out_is_terminal;
    bool in_is_file, in_never_blocks;
    bool in_ready, out_ready;
    bool out_unread; /* whoever read our output has gone */
    unsigned busy;   /* rounds since we last looked at the descriptors */
    bool finished;
    bool closed;
    const char *command; /* what is run in place of our own ends; NULL: nothing */
    struct cn_child child;
    struct cn_signals signals;
    bool command_stirs; /* it has ended, or there is a signal for us */
    bool command_done;  /* it has ended, and well */
    bool out_broken;    /* it has closed its input */
    int code;
};

static void ends_open(struct piping *p)
{
    struct stat st;

    p->in = STDIN_FILENO;
    p->out = STDOUT_FILENO;
    if (p->cli->no_input || (isatty(STDIN_FILENO) && !isatty(STDOUT_FILENO)))
        p->in = -1;
    if (p->in >= 0 && fstat(p->in, &st) == 0) {
        p->in_is_file = p->in_never_blocks = S_ISREG(st.st_mode);
        if (S_ISFIFO(st.st_mode)) {
            (void)fcntl(p->in, F_SETPIPE_SZ, PIPE_SIZE); /* faster if allowed */
            p->in_never_blocks = (p->in = cn_own_end(p->in, O_RDONLY)) != STDIN_FILENO;
        }
    }
    if (fstat(p->out, &st) != 0)
        return;
    p->out_is_socket = S_ISSOCK(st.st_mode);
    p->out_is_terminal = isatty(p->out);
    p->out_is_pipe = S_ISFIFO(st.st_mode);
    if (p->out_is_pipe)
        (void)fcntl(p->out, F_SETPIPE_SZ, PIPE_SIZE);
    if (p->out_is_pipe || p->out_is_terminal)
        p->out = cn_own_end(p->out, O_WRONLY);
}

static void give_up(struct piping *p, uint32_t code, enum cn_err why)
{
    if (p->stream)
        cn_stream_reset(p->stream, code);
    cn_call_cancel(p->dial.call, why);
    p->code = CN_EXIT_FAILED;
}

/* All that can come has come; of a command only if it has ended well, too: one that fails must not
 * look complete at the far end. */
static bool input_is_over(const struct piping *p)
{
    return p->in < 0 && (!p->command || p->command_done);
}

static void input_ended(struct piping *p)
{
    p->in = -1;
    if (input_is_over(p))
        cn_stream_finish(p->stream);
}

static void read_once(struct piping *p, uint8_t *to, size_t room)
{
    ssize_t got = read(p->in, to, room);

    /* there may be more; of a file the end is sought at once, so that it goes with the last octets
     */
    p->in_ready = p->in_is_file || (p->in_never_blocks && got == (ssize_t)room);
    if (got > 0) {
        cn_stream_commit(p->stream, (size_t)got);
    } else if (got == 0 || errno == EBADF) { /* EBADF: closed before we began */
        input_ended(p);
    } else if (errno != EAGAIN && errno != EINTR) {
        cn_error("%s: %s", p->command ? p->command : "standard input", strerror(errno));
        p->in = -1;
        give_up(p, RESET_INPUT_FAILED, CN_E_SYSTEM);
    }
}

/* Read straight into the stream, as long as there is room and something to read. */
static void pump_in(struct piping *p)
{
    while (p->in >= 0 && p->in_ready) {
        size_t room;
        uint8_t *to = cn_stream_reserve(p->stream, &room);

        if (!to)
            return;
        read_once(p, to, room);
    }
}

static ssize_t put(const struct piping *p, const uint8_t *from, size_t size)
{
    if (p->out_is_socket)
        return send(p->out, from, size, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (p->out_is_terminal && size > TERMINAL_WRITE_SIZE) /* else a slow one would hold us */
        size = TERMINAL_WRITE_SIZE;
    return write(p->out, from, size);
}

/* The command has ended well, but closed its input before it had all. */
static void command_judge(struct piping *p)
{
    if (!p->command_done || !p->out_broken || p->code != CN_EXIT_DONE)
        return;
    cn_error("%s: it ended without taking all that came", p->command);
    give_up(p, RESET_OUTPUT_FAILED, CN_E_SYSTEM);
}

static void output_failed(struct piping *p)
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
static void pump_out(struct piping *p)
{
    size_t size;
    const uint8_t *from;

    while (p->out >= 0 && p->out_ready && (from = cn_stream_peek(p->stream, &size))) {
        ssize_t done = put(p, from, size);

        if (done >= 0) {
            cn_stream_consume(p->stream, (size_t)done);
            p->out_ready = (size_t)done == size && !p->out_is_terminal;
        } else if (errno == EAGAIN || errno == EINTR) {
            p->out_ready = false;
        } else {
            output_failed(p);
        }
    }
}

/* The partner has given the stream up, and with it the call. */
static void reset_taken(struct piping *p)
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
    cn_call_cancel(p->dial.call, CN_E_CANCELLED);
    p->code = CN_EXIT_INTERRUPTED;
}

/* The partner's end has been read: whoever reads our output shall see an end too. */
static void output_ended(struct piping *p)
{
    int own = p->out;

    p->out = -1;
    if (p->command) {
        close(own);
        p->child.input = -1;
        return;
    }
    if (own >= 0 && own != STDOUT_FILENO)
        close(own);
    if (close(STDOUT_FILENO) != 0 && errno != EBADF)
        output_failed(p);
    (void)open("/dev/null", O_RDONLY); /* no other file shall become standard output */
}

static void check_done(struct piping *p)
{
    enum cn_stream_state state = cn_stream_state(p->stream);

    if (state == CN_STREAM_ENDED && p->out >= 0)
        output_ended(p);
    if (state == CN_STREAM_ENDED && input_is_over(p) && !p->finished && p->code == CN_EXIT_DONE) {
        p->finished = true;
        cn_call_finish(p->dial.call);
    }
}

static void take_event(struct piping *p, const struct cn_event *event)
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
            p->code = cn_dial_ended(p->cli, &p->dial, event->err);
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
    }
}

/* The command has ended: well, or so that the partner has to know. */
static void command_took(struct piping *p)
{
    int status;

    if (!cn_child_took(&p->child, &status))
        return;
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

/* Signals to us come before the end that they may have brought the command, too. */
static void command_look(struct piping *p)
{
    int number = cn_signals_take(&p->signals);

    p->command_stirs = false;
    if (number > 0) {
        p->code = 128 + number;
        p->closed = true;
        return;
    }
    command_took(p);
}

/* Wait for the call, the input if there is room for it, the output if there is something for it. */
static int wait_for_any(struct piping *p)
{
    struct pollfd polled[CN_CALL_DESCRIPTORS_MAX + 4];
    size_t count = cn_call_descriptors(p->dial.call, polled, CN_CALL_DESCRIPTORS_MAX);
    size_t size = 0;
    int in_at = -1, out_at = -1, command_at = -1;
    int timeout_ms = cn_call_timeout_ms(p->dial.call);

    if (timeout_ms == 0 && p->out_ready && ++p->busy < BUSY_ROUNDS)
        return 0; /* more is here already */
    p->busy = 0;
    if (p->stream && p->in >= 0 && !p->in_ready && cn_stream_reserve(p->stream, &size)) {
        in_at = (int)count;
        polled[count++] = (struct pollfd) { p->in, POLLIN, 0 };
    }
    if (p->stream && p->out >= 0 && !p->out_unread) {
        bool wanted = cn_stream_peek(p->stream, &size) != NULL;

        out_at = (int)count;
        polled[count++] = (struct pollfd) { p->out, wanted && !p->out_ready ? POLLOUT : 0, 0 };
        if (wanted && p->out_ready)
            timeout_ms = 0;
    }
    if (p->command) { /* before there is a stream nobody could be told how it has ended */
        command_at = (int)count;
        polled[count++] = (struct pollfd) { p->signals.fd, POLLIN, 0 };
        polled[count++] = (struct pollfd) { p->stream ? p->child.ended : -1, POLLIN, 0 };
    }
    if (poll(polled, count, timeout_ms) < 0)
        return errno == EINTR || errno == EAGAIN ? 0 : -1;
    if (command_at >= 0)
        p->command_stirs = polled[command_at].revents || polled[command_at + 1].revents;
    if (in_at >= 0 && polled[in_at].revents)
        p->in_ready = true;
    if (out_at >= 0 && polled[out_at].revents & (POLLOUT | POLLERR | POLLHUP))
        p->out_ready = true;
    /* no harm if nothing more comes but the end: `pipe NAME | tar x` */
    if (out_at >= 0 && polled[out_at].revents & POLLERR && p->out_is_pipe)
        p->out_unread = p->out_ready = true;
    return 0;
}

static void pump(struct piping *p)
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

static void piping_run(struct piping *p)
{
    p->out_ready = !p->out_is_terminal;
    if (cn_call_is_caller(p->dial.call))
        cn_dial_stream(&p->dial, PIPE_STREAM_KIND, &p->stream, &p->code);
    while (!p->closed) {
        struct cn_event event;

        cn_call_process(p->dial.call);
        while (!p->closed && cn_call_next_event(p->dial.call, &event))
            take_event(p, &event);
        if (p->command_stirs && !p->closed)
            command_look(p);
        if (p->closed)
            break;
        if (p->stream && input_is_over(p) && p->code == CN_EXIT_DONE)
            cn_stream_finish(p->stream);
        pump(p);
        if (wait_for_any(p) != 0) {
            cn_error("poll: %s", strerror(errno));
            p->code = CN_EXIT_FAILED;
            return;
        }
    }
}

static void own_ends_run(struct piping *p)
{
    ends_open(p);
    piping_run(p);
}

/* The command is run when the partner is there, and never outlives us. */
static void command_run(struct piping *p, const char *path)
{
    int error;

    p->command = p->cli->words[0];
    if (!cn_signals_catch(&p->signals)) {
        cn_error("beginning: %s", strerror(errno));
        p->code = CN_EXIT_FAILED;
        return;
    }
    error = cn_child_start(&p->child, path, p->cli->words, &p->signals.before);
    p->in = p->child.output;
    p->out = p->child.input;
    p->in_never_blocks = p->out_is_pipe = true;
    if (error != 0) {
        cn_error("%s: %s", p->command, strerror(error));
        give_up(p, RESET_COMMAND_FAILED, CN_E_SYSTEM);
    }
    piping_run(p);
    cn_child_end(&p->child);
    cn_signals_release(&p->signals);
}

static int run(struct cn_cli *cli)
{
    struct piping p = { .cli = cli,
                        .child = CN_CHILD_NONE,
                        .dial = { .name = cli->arguments[0], .partner_command = "pipe" } };
    char path[PATH_MAX];
    int code;

    if (cli->json)
        return cn_misuse(
            cli, "standard output is for what the partner sends: --events FD tells in JSON");
    if (cli->words && cli->no_input)
        return cn_misuse(cli, "--no-input, and a command whose output is the input");
    if (cli->words && !cn_child_find(cli->words[0], path)) {
        cn_error("%s: %s", cli->words[0], strerror(errno));
        cn_hint("the command behind -- is a program, found as a shell finds it");
        return CN_EXIT_FAILED;
    }
    code = cn_dial(cli, &p.dial, CN_CALL_PIPE, false, cli->answer);
    if (code != CN_EXIT_DONE)
        return code;
    if (cli->words)
        command_run(&p, path);
    else
        own_ends_run(&p);
    cn_dial_over(cli, &p.dial, p.code);
    cn_dial_end(&p.dial);
    return p.code;
}

const struct cn_command cn_cmd_pipe = {
    .name = "pipe",
    .usage = "pipe NAME [--answer] [-n] [--wait SECONDS] [--events FD] [-- COMMAND...]",
    .summary = "Join standard input and output with NAME's, both ways",
    .help =
        "Both ends type the same, in any order; who is first waits. Exit code 0 means that the\n"
        "partner has confirmed everything; a lost connection is never taken for an end (5).\n"
        "A terminal as input counts as ended when the output is none.\n\n"
        "With a COMMAND its standard input and output are joined instead. It is run when the\n"
        "partner is there. If it fails so does the call, and the partner is told that what came\n"
        "is not complete; if the call fails, or you end it, the command is ended.\n",
    .options = options,
    .arguments_min = 1,
    .arguments_max = 1,
    .takes_command = true,
    .json = true, /* for --events, as is said */
    .run = run,
};
