/* cmd_pipe.c - cyphernet pipe: standard input to the partner's standard output, both ways; or those
 * of a command. PROTOCOL.md 7.2 */
#include "piping.h"
#include "signals.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    PIPE_SIZE = 1024 * 1024, /* asked for our ends of local pipes */
    BUSY_ROUNDS = 8
};

static const struct cn_option options[] = {
    { "answer", 0, NULL, offsetof(struct cn_cli, answer), "wait for the partner without limit" },
    { "no-input", 'n', NULL, offsetof(struct cn_cli, no_input),
      "send nothing: take the input as ended; a COMMAND's output stays here" },
    { "wait", 0, "SECONDS", offsetof(struct cn_cli, wait),
      "give up when the partner has not come by then (600)" },
    CN_OPTION_RESUME("3600"),
    { "events", 0, "FD", offsetof(struct cn_cli, events), "JSON events to this descriptor" },
    { NULL, 0, NULL, 0, NULL },
};

static void ends_open(struct cn_piping *p)
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

/* Wait for the call, the two ends and signals. *busy: rounds since we last looked at the
 * descriptors. False: it is over. */
static bool wait_for_any(struct cn_piping *p, const struct cn_signals *signals, unsigned *busy)
{
    struct pollfd polled[1 + CN_PIPING_DESCRIPTOR_COUNT] = { { signals->fd, POLLIN, 0 } };
    int timeout_ms = -1;
    int number = 0;
    size_t count;

    if (cn_call_timeout_ms(p->dial.call) == 0 && p->out_ready && ++*busy < BUSY_ROUNDS)
        return true; /* more is here already */
    *busy = 0;
    count = 1 + cn_piping_descriptors(p, polled + 1, &timeout_ms);
    if (poll(polled, count, timeout_ms) < 0) {
        if (errno == EINTR || errno == EAGAIN)
            return true;
        cn_error("poll: %s", strerror(errno));
        p->code = CN_EXIT_FAILED;
        return false;
    }
    cn_piping_polled(p, polled + 1);
    /* signals to us come before the end that they may have brought the command, too */
    if (polled[0].revents || p->command_stirs)
        number = cn_signals_take(signals);
    if (number == 0)
        return true;
    p->code = 128 + number;
    cn_dial_leave(&p->dial);
    return false;
}

static void carry(struct cn_piping *p, const struct cn_signals *signals)
{
    unsigned busy = 0;
    bool going = true;

    cn_piping_begin(p);
    while (going && !p->closed) {
        cn_piping_process(p);
        going = p->closed || wait_for_any(p, signals, &busy);
    }
}

/* Of a command that is given the path: it is run when the partner is there, and never outlives us.
 */
static void pipe_run(struct cn_piping *p, const char *path)
{
    struct cn_signals signals;

    if (!cn_signals_catch(&signals)) {
        cn_error("beginning: %s", strerror(errno));
        p->code = CN_EXIT_FAILED;
        return;
    }
    if (path)
        cn_piping_command(p, path, p->cli->words, &signals.before, p->cli->no_input);
    else
        ends_open(p);
    carry(p, &signals);
    cn_child_end(&p->child);
    cn_signals_release(&signals);
}

static int run(struct cn_cli *cli)
{
    struct cn_piping p = {
        .cli = cli,
        .child = CN_CHILD_NONE,
        .dial = { .name = cli->arguments[0], .partner_command = "pipe", .watches = true }
    };
    char path[PATH_MAX];
    int code;

    if (cli->words && !cn_child_find(cli->words[0], path)) {
        cn_error("%s: %s", cli->words[0], strerror(errno));
        cn_hint("the command behind -- is a program, found as a shell finds it");
        return CN_EXIT_FAILED;
    }
    code = cn_dial(cli, &p.dial, CN_CALL_PIPE, false, cli->answer);
    if (code != CN_EXIT_DONE)
        return code;
    pipe_run(&p, cli->words ? path : NULL);
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
        "is not complete; if the call fails, or you end it, the command and all that it has\n"
        "started are ended. With -n its output is not sent: `pipe NAME -n -- psql shop`.\n",
    .options = options,
    .arguments_min = 1,
    .arguments_max = 1,
    .takes_command = true,
    .no_json = CN_JSON_IN_EVENTS,
    .run = run,
};
