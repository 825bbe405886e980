/* cmd_talk.c - cyphernet talk: a conversation. PROTOCOL.md 7.3 */
#include "talk.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/asking.h"
#include "agent/demand.h"
#include "terminal.h"

static const struct cn_option options[] = {
    { "answer", 0, NULL, offsetof(struct cn_cli, answer), "wait for the partner without limit" },
    { "directory", 'd', "DIR", offsetof(struct cn_cli, directory),
      "put files that come there, instead of here" },
    { "on-conflict", 0, "skip|rename|overwrite", offsetof(struct cn_cli, conflict),
      "what becomes of the new one where a name is taken (skip)" },
    { "yes", 0, NULL, offsetof(struct cn_cli, yes), "take files that are offered without asking" },
    { "commands", 0, NULL, offsetof(struct cn_cli, commands),
      "obey /send and the like of an input that is no terminal" },
    { "transcript", 0, NULL, offsetof(struct cn_cli, transcript), "keep what is said, encrypted" },
    { "no-transcript", 0, NULL, offsetof(struct cn_cli, no_transcript),
      "keep nothing, not even what does not arrive" },
    { "show-transcript", 0, NULL, offsetof(struct cn_cli, show_transcript),
      "show what was kept, and call nobody" },
    { "wait", 0, "SECONDS", offsetof(struct cn_cli, wait),
      "give up when the partner has not come by then (600)" },
    CN_OPTION_RESUME("3600"),
    { NULL, 0, NULL, 0, NULL },
};

/* --- the call ------------------------------------------------------------------------------- */

static void take_line(struct cn_talking *t, const struct cn_event *event)
{
    (void)cn_dial_tell_line(t->cli, &t->dial, event);
    t->is_lost = event->type == CN_EVENT_LOST || (t->is_lost && event->type != CN_EVENT_RESUMED);
}

static void take_event(struct cn_talking *t, const struct cn_event *event)
{
    take_line(t, event);
    if (event->type == CN_EVENT_CLOSED) {
        t->closed = true;
        t->closed_err = event->err;
    } else if (t->talk && !cn_talk_take(t->talk, event) && !cn_talk_files_take(&t->files, event) &&
               event->type == CN_EVENT_STREAM) {
        cn_stream_reset(event->stream, 0); /* of a kind to come */
        cn_stream_release(event->stream);
    }
}

/* Without news the talk goes on as well. */
static void news_end(struct cn_talking *t)
{
    if (t->news_fd >= 0)
        close(t->news_fd);
    t->news_fd = -1;
}

/* What the agent tells of the line. */
static void news_take(struct cn_talking *t)
{
    uint8_t news[CN_LINE_NEWS_SIZE] = { 0 };
    struct cn_event event = { CN_EVENT_NONE, NULL, CN_OK };

    while (t->news_fd >= 0) {
        ssize_t got = recv(t->news_fd, news, sizeof news, MSG_DONTWAIT | MSG_TRUNC);

        if (got < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        event.type = news[0];
        event.err = news[1];
        if (got == sizeof news && cn_dial_is_line(event.type) && event.err < CN_ERR_COUNT)
            take_line(t, &event);
        else
            news_end(t);
    }
}

bool cn_talking_go_on(struct cn_talking *talking)
{
    struct cn_event event;

    if (!talking->dial.call) {
        news_take(talking);
        cn_talk_process(talking->talk);
        return !talking->closed;
    }
    cn_call_process(talking->dial.call);
    while (!talking->closed && cn_call_next_event(talking->dial.call, &event))
        take_event(talking, &event);
    return !talking->closed;
}

void cn_talking_cancel(struct cn_talking *talking, enum cn_err why)
{
    if (talking->dial.call) {
        cn_call_cancel(talking->dial.call, why);
        return;
    }
    talking->closed = true; /* the agent sees it when the socket is closed */
    talking->closed_err = CN_E_CANCELLED;
}

/* err: of adding to it, after which it is of no more use. */
static void transcript_check(struct cn_talking *t, enum cn_err err)
{
    if (err == CN_OK)
        return;
    (void)cn_fail(t->cli, err, "keeping the transcript");
    cn_warn("what is said from now on is not kept");
    cn_transcript_close(t->transcript);
    t->transcript = NULL;
}

bool cn_talking_wait(struct cn_talking *talking, struct pollfd *polled)
{
    struct pollfd *files = polled + CN_CALL_DESCRIPTORS_MAX;
    int files_ms = cn_talk_files_timeout_ms(&talking->files);
    int ms = -1;
    size_t count;

    if (talking->transcript)
        transcript_check(talking, cn_transcript_sync(talking->transcript));
    cn_talk_undelivered_look(talking);
    if (talking->dial.call) {
        count = cn_call_descriptors(talking->dial.call, polled, CN_CALL_DESCRIPTORS_MAX);
        ms = cn_call_timeout_ms(talking->dial.call);
    } else {
        count = cn_talk_descriptors(talking->talk, polled, CN_CALL_DESCRIPTORS_MAX - 1);
        polled[count++] = (struct pollfd) { talking->news_fd, POLLIN, 0 };
    }
    for (; count < CN_CALL_DESCRIPTORS_MAX; count++)
        polled[count].fd = -1;
    cn_talk_files_descriptors(&talking->files, files);
    if (ms < 0 || (files_ms >= 0 && files_ms < ms))
        ms = files_ms;
    if (talking->closed) /* by the end of what an agent passes on: nothing more comes */
        ms = 0;
    if (poll(polled, CN_TALKING_DESCRIPTOR_COUNT, ms) >= 0 || errno == EINTR || errno == EAGAIN)
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

/* --- what is said --------------------------------------------------------------------------- */

static void keep(struct cn_talking *t, enum cn_transcript_kind kind, const char *text, size_t size)
{
    if (t->transcript)
        transcript_check(t, cn_transcript_add(t->transcript, kind, text, size));
}

void cn_talking_keep(struct cn_talking *talking, enum cn_transcript_kind kind, const char *name)
{
    keep(talking, kind, name, strlen(name));
}

enum cn_err cn_talking_say(struct cn_talking *talking, const char *text, size_t size,
                           uint64_t *number)
{
    enum cn_err err = cn_talk_say(talking->talk, text, size, number);

    if (err == CN_OK)
        keep(talking, CN_TRANSCRIPT_SAID, text, size);
    return err;
}

/* Without a call the talk says when it is over. */
static void look_over(struct cn_talking *t, const struct cn_talk_event *event)
{
    if (t->dial.call || (event->type != CN_TALK_ENDED && event->type != CN_TALK_BROKEN &&
                         event->type != CN_TALK_INTERRUPTED))
        return;
    t->closed = true;
    t->closed_err = event->type == CN_TALK_INTERRUPTED ? CN_E_INTERRUPTED : CN_OK;
}

bool cn_talking_next_event(struct cn_talking *talking, struct cn_talk_event *event)
{
    if (!cn_talk_next_event(talking->talk, event))
        return false;
    if (event->type == CN_TALK_LINE)
        keep(talking, CN_TRANSCRIPT_HEARD, event->text, event->text_size);
    look_over(talking, event);
    return true;
}

/* --- begin and end -------------------------------------------------------------------------- */

/* Both ends say that they are there; then it is up to who speaks. */
static void begin(struct cn_talking *t)
{
    enum cn_err err = cn_talk_open(&t->talk, t->dial.call);

    if (err == CN_OK || err == CN_E_UNEXPECTED) /* it is over already: CLOSED says why */
        return;
    t->code = cn_fail(t->cli, err, "beginning to talk");
    cn_call_cancel(t->dial.call, err);
}

int cn_talking_run(struct cn_talking *talking)
{
    struct cn_talking *t = talking;

    cn_talk_undelivered_begin(t);
    cn_talk_files_begin(&t->files, t);
    if (t->cli->json || !cn_terminal_is_usable() || !cn_talk_person(t))
        cn_talk_plain(t);
    if (t->closed && t->code == CN_EXIT_DONE)
        t->code = cn_dial_ended(t->cli, &t->dial, t->closed_err);
    cn_transcript_close(t->transcript);
    cn_talk_free(t->talk);
    t->talk = NULL;
    cn_talk_undelivered_end(t);
    cn_dial_over(t->cli, &t->dial, t->code);
    return t->code;
}

int cn_talk_attached(struct cn_talking *talking, int fd)
{
    struct cn_talking *t = talking;
    struct cn_contact_info info;
    enum cn_err err = cn_talk_open_descriptor(&t->talk, fd);

    t->agent_fd = fd;
    t->dial.events_fd = -1;
    if (cn_contact_show(t->cli->home, t->dial.name, &info) == CN_OK)
        memcpy(t->dial.my_name, info.made_for, sizeof t->dial.my_name);
    if (err == CN_OK)
        return cn_talking_run(t);
    cn_transcript_close(t->transcript);
    cn_undelivered_close(t->undelivered, false);
    return cn_fail(t->cli, err, "talking");
}

/* Whether files that come could be stored: before anybody is called. */
static int directory_check(struct cn_cli *cli)
{
    struct cn_receiving_options receive = { .directory = cli->directory,
                                            .contact = cli->arguments[0] };
    struct cn_receiving *receiving = NULL;
    enum cn_err err;

    if (!cn_conflict_read(cli, &receive.conflict))
        return cn_misuse(cli, "--on-conflict wants one of those");
    if (!cli->directory)
        return CN_EXIT_DONE;
    err = cn_receiving_open(&receiving, cli->home, &receive);
    cn_receiving_free(receiving);
    return err == CN_OK ? CN_EXIT_DONE : cn_receive_cannot(cli, err);
}

/* An agent may hold a call of NAME already. True: it did, and that was the talk. */
static bool attached(struct cn_talking *t, int *code)
{
    int fd = cn_asking_attach(t->cli, t->dial.name, &t->news_fd);

    if (fd < 0)
        return false;
    *code = cn_talk_attached(t, fd);
    news_end(t);
    close(fd);
    return true;
}

static int run(struct cn_cli *cli)
{
    struct cn_talking t = {
        .cli = cli,
        .dial = { .name = cli->arguments[0], .partner_command = "talk", .watches = true },
        .agent_fd = -1,
        .news_fd = -1
    };
    int code;

    if (cli->transcript && cli->no_transcript)
        return cn_misuse(cli, "--transcript or --no-transcript");
    if (cli->show_transcript)
        return cn_talk_transcript_show(cli);
    code = directory_check(cli);
    if (code == CN_EXIT_DONE)
        code = cn_talk_transcript_open(&t);
    if (code == CN_EXIT_DONE)
        code = cn_talk_undelivered_open(&t);
    if (code == CN_EXIT_DONE && attached(&t, &code))
        return code;
    if (code == CN_EXIT_DONE)
        code = cn_dial(cli, &t.dial, CN_CALL_TALK, false, cli->answer);
    if (code != CN_EXIT_DONE) {
        cn_transcript_close(t.transcript);
        cn_undelivered_close(t.undelivered, false);
        return code;
    }
    begin(&t);
    code = cn_talking_run(&t);
    cn_dial_end(&t.dial);
    return code;
}

const struct cn_command cn_cmd_talk = {
    .name = "talk",
    .usage =
        "talk NAME [--answer] [-d DIR] [--on-conflict skip|rename|overwrite] [--yes] [--commands] "
        "[--transcript | --no-transcript | --show-transcript] [--wait SECONDS]",
    .summary = "Have a conversation with NAME",
    .help =
        "Both ends type the same, in any order; who is first waits. On a terminal what you type\n"
        "can be edited, and goes when you press Enter; before it stands what became of what you\n"
        "said last: sent, delivered (the other program has it) or read (it was on the other\n"
        "screen, and a key was pressed there since). A pasted text of several lines is shown\n"
        "first, and goes as one. Ctrl-D or /quit ends the call, /help tells more.\n"
        "\n"
        "/send PATH... sends files and directories in the same call; the other end is asked, and\n"
        "says /accept or /refuse. What was interrupted goes on where it was.\n"
        "\n"
        "What you said and the partner did not get, whatever was killed, is kept, encrypted, and\n"
        "goes first in the next talk, once.\n"
        "\n"
        "Without a terminal: lines in, lines out. The end of the input ends your side; the call\n"
        "ends when both have. Files are refused without --yes. Text is UTF-8; what the partner\n"
        "says cannot drive your terminal: control characters, and what turns text around or is\n"
        "not seen, are shown as \\xNN.\n",
    .options = options,
    .arguments_min = 1,
    .arguments_max = 1,
    .json = true,
    .run = run,
};
