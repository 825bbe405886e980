/* cmd_talk.c - cyphernet talk: a conversation. PROTOCOL.md 7.3 */
#include "talk.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>

#include "terminal.h"

static const struct cn_option options[] = {
    { "answer", 0, NULL, offsetof(struct cn_cli, answer), "wait for the partner without limit" },
    { "wait", 0, "SECONDS", offsetof(struct cn_cli, wait),
      "give up when the partner has not come by then (600)" },
    CN_OPTION_RESUME("3600"),
    { NULL, 0, NULL, 0, NULL },
};

static void take_event(struct cn_talking *t, const struct cn_event *event)
{
    char text[CN_LINE_TEXT_SIZE];

    if (cn_dial_line(t->cli, &t->dial, event, text)) {
        if (t->note)
            t->note(t->note_context, text);
        else
            cn_say(t->cli, "%s", text);
    }
    if (event->type == CN_EVENT_CLOSED) {
        t->closed = true;
        t->closed_err = event->err;
    } else if (t->talk && !cn_talk_take(t->talk, event) && event->type == CN_EVENT_STREAM) {
        cn_stream_reset(event->stream, 0); /* of a kind to come */
        cn_stream_release(event->stream);
    }
}

bool cn_talking_go_on(struct cn_talking *talking)
{
    struct cn_event event;

    cn_call_process(talking->dial.call);
    while (!talking->closed && cn_call_next_event(talking->dial.call, &event))
        take_event(talking, &event);
    return !talking->closed;
}

bool cn_talking_wait(struct cn_talking *talking, struct pollfd *polled)
{
    size_t count = cn_call_descriptors(talking->dial.call, polled, CN_CALL_DESCRIPTORS_MAX);

    for (; count < CN_CALL_DESCRIPTORS_MAX; count++)
        polled[count].fd = -1;
    if (poll(polled, CN_TALKING_DESCRIPTOR_COUNT, cn_call_timeout_ms(talking->dial.call)) >= 0 ||
        errno == EINTR || errno == EAGAIN)
        return true;
    cn_error("poll: %s", strerror(errno));
    talking->code = CN_EXIT_FAILED;
    return false;
}

void cn_talking_tell_broken(struct cn_talking *talking)
{
    cn_error("%s said something that makes no sense", talking->dial.name);
    talking->code = CN_EXIT_FAILED;
}

/* Both ends say that they are there; then it is up to who speaks. */
static void begin(struct cn_talking *t)
{
    enum cn_err err = cn_talk_open(&t->talk, t->dial.call);

    if (err == CN_OK || err == CN_E_UNEXPECTED) /* it is over already: CLOSED says why */
        return;
    t->code = cn_fail(t->cli, err, "beginning to talk");
    cn_call_cancel(t->dial.call, err);
}

static int run(struct cn_cli *cli)
{
    struct cn_talking t = { .cli = cli,
                            .dial = { .name = cli->arguments[0], .partner_command = "talk" } };
    int code = cn_dial(cli, &t.dial, CN_CALL_TALK, false, cli->answer);

    if (code != CN_EXIT_DONE)
        return code;
    begin(&t);
    if (cli->json || !cn_terminal_is_usable() || !cn_talk_person(&t))
        cn_talk_plain(&t);
    if (t.closed && t.code == CN_EXIT_DONE)
        t.code = cn_dial_ended(cli, &t.dial, t.closed_err);
    cn_talk_free(t.talk);
    cn_dial_over(cli, &t.dial, t.code);
    cn_dial_end(&t.dial);
    return t.code;
}

const struct cn_command cn_cmd_talk = {
    .name = "talk",
    .usage = "talk NAME [--answer] [--wait SECONDS]",
    .summary = "Have a conversation with NAME",
    .help =
        "Both ends type the same, in any order; who is first waits. On a terminal what you type\n"
        "can be edited, and goes when you press Enter; before it stands what became of what you\n"
        "said last: sent, delivered (the other program has it) or read (it was on the other\n"
        "screen, and a key was pressed there since). A pasted text of several lines is shown\n"
        "first, and goes as one. Ctrl-D or /quit ends the call, /help tells more.\n"
        "\n"
        "Without a terminal: lines in, lines out. The end of the input ends your side; the call\n"
        "ends when both have. Text is UTF-8; what the partner says cannot drive your terminal:\n"
        "control characters, and what turns text around or is not seen, are shown as \\xNN.\n",
    .options = options,
    .arguments_min = 1,
    .arguments_max = 1,
    .json = true,
    .run = run,
};
