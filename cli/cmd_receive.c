/* cmd_receive.c - cyphernet receive: files from the partner, who runs `send`. */
#include "dial.h"
#include "incoming.h"
#include "progress.h"
#include "transfer.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "reader.h"

enum {
    HASH_LOOK_MS = 5,
    SMALL_SIZE = 1024 * 1024,        /* octets: smaller files are synced together */
    TOGETHER_MAX = 64,               /* files, or */
    TOGETHER_SIZE = 16 * 1024 * 1024 /* octets */
};

static const struct cn_option options[] = {
    { "directory", 'd', "DIR", offsetof(struct cn_cli, directory),
      "put the files there, instead of here" },
    { "overwrite", 0, NULL, offsetof(struct cn_cli, overwrite), "replace files that exist" },
    { "keep", 0, NULL, offsetof(struct cn_cli, keep),
      "go on waiting for further calls, until interrupted" },
    { "wait", 0, "SECONDS", offsetof(struct cn_cli, wait),
      "give up when the partner has not come by then (no limit)" },
    { NULL, 0, NULL, 0, NULL },
};

enum file_state {
    FILE_OFFERED,
    FILE_ACCEPTED,
    FILE_RECEIVING,
    FILE_WHOLE,    /* all octets are written; sum or hash are awaited */
    FILE_VERIFIED, /* to be synced and named */
    FILE_OVER
};

struct file {
    struct cn_transfer_message offered;
    enum file_state state;
    enum cn_transfer_outcome outcome;
    struct cn_incoming incoming;
    struct cn_stream *stream;
    bool has_sum;
    bool result_told;
    uint8_t sum[CN_TRANSFER_SUM_SIZE];
    struct cn_progress progress;
};

struct receiving {
    struct cn_cli *cli;
    struct cn_dial dial;
    struct cn_control control; /* its stream is NULL until the sender opens it */
    struct cn_place place;
    int signals;        /* descriptor */
    int interrupted;    /* the signal that asks to stop, or 0 */
    struct file *files; /* CN_TRANSFER_OFFER_COUNT_MAX of them, used in a circle: file_at */
    uint32_t count;     /* offered so far */
    bool ended;         /* END came: count is final */
    uint32_t accepted_told;
    uint32_t first;    /* all before it are over, and their results told; they are forgotten */
    uint32_t verified; /* waiting to be synced together */
    uint64_t verified_size;
    uint32_t not_stored;
    bool finished, closed;
    int code;
};

/* --- one file ------------------------------------------------------------------------------- */

/* index: from first up to count. */
static struct file *file_at(const struct receiving *r, uint32_t index)
{
    return &r->files[index % CN_TRANSFER_OFFER_COUNT_MAX];
}

static const char *shown_name(const struct file *file, char out[256])
{
    return cn_printable(out, 256, file->offered.name, strlen(file->offered.name));
}

static void file_over(struct receiving *r, struct file *file, enum cn_transfer_outcome outcome)
{
    char name[256];

    if (file->state == FILE_OVER)
        return;
    if (file->state == FILE_VERIFIED)
        r->verified--;
    cn_incoming_close(&file->incoming);
    cn_progress_clear(&file->progress);
    file->state = FILE_OVER;
    file->outcome = outcome;
    cn_progress_outcome(r->cli, file->offered.name, file->offered.size, outcome);
    if (file->stream)
        cn_stream_release(file->stream);
    file->stream = NULL;
    if (outcome == CN_TRANSFER_STORED) {
        cn_progress_end(&file->progress, "received");
        return;
    }
    r->not_stored++;
    cn_error("%s: %s", shown_name(file, name),
             outcome == CN_TRANSFER_EXISTS      ? "not taken: a file of this name exists here"
             : outcome == CN_TRANSFER_DISK_FULL ? "not taken: the disk is full"
             : outcome == CN_TRANSFER_FAILED    ? "could not be written"
                                                : cn_transfer_outcome_text(outcome));
    if (outcome == CN_TRANSFER_EXISTS && !r->cli->overwrite)
        cn_hint("--overwrite replaces it, -d DIR puts it elsewhere");
    if (outcome == CN_TRANSFER_DISK_FULL)
        cn_hint("make room, and have it sent again; nothing of it was kept");
}

/* The file cannot go on here: the sender shall stop sending it. */
static void file_failed(struct receiving *r, struct file *file)
{
    bool full = errno == ENOSPC || errno == EDQUOT || errno == EFBIG;

    if (!full)
        cn_error("writing: %s", strerror(errno));
    if (file->stream)
        cn_stream_reset(file->stream, 0);
    file_over(r, file, full ? CN_TRANSFER_DISK_FULL : CN_TRANSFER_FAILED);
}

/* Sync what has been verified, give it its names, and sync those. */
static void store_verified(struct receiving *r)
{
    bool together = r->verified > 8;

    if (r->verified == 0)
        return;
    if (together && syncfs(r->place.directory) != 0)
        together = false;
    for (uint32_t i = r->first; i < r->count; i++) {
        struct file *file = file_at(r, i);

        if (file->state != FILE_VERIFIED)
            continue;
        if ((!together && !cn_incoming_sync(&file->incoming)) ||
            !cn_incoming_name(&file->incoming, file->offered.name)) {
            if (errno == EEXIST)
                file_over(r, file, CN_TRANSFER_EXISTS);
            else
                file_failed(r, file);
        }
    }
    (void)fsync(r->place.directory); /* some file systems cannot */
    for (uint32_t i = r->first; i < r->count; i++) {
        if (file_at(r, i)->state == FILE_VERIFIED)
            file_over(r, file_at(r, i), CN_TRANSFER_STORED);
    }
    r->verified_size = 0;
}

static void protocol_failed(struct receiving *r)
{
    cn_error("%s said something that makes no sense", r->dial.name);
    r->code = CN_EXIT_FAILED;
    cn_call_cancel(r->dial.call, CN_E_FORMAT);
}

static void take_offer(struct receiving *r, const struct cn_transfer_message *m)
{
    struct file *file = file_at(r, r->count);
    enum cn_transfer_outcome refusal;

    if (m->index != r->count || r->ended || r->count == CN_TRANSFER_FILE_COUNT_MAX ||
        r->count - r->first == CN_TRANSFER_OFFER_COUNT_MAX) {
        protocol_failed(r);
        return;
    }
    r->count++;
    *file = (struct file) { .offered = *m };
    cn_incoming_init(&file->incoming, &r->place);
    if (cn_incoming_judge(&r->place, m, &refusal))
        file->state = FILE_ACCEPTED;
    else
        file_over(r, file, refusal);
}

static void take_sum(struct receiving *r, const struct cn_transfer_message *m)
{
    struct file *file = file_at(r, m->index);

    if (m->index < r->first) /* said before its result arrived */
        return;
    if (m->index >= r->count || file->has_sum) {
        protocol_failed(r);
        return;
    }
    memcpy(file->sum, m->sum, sizeof file->sum);
    file->has_sum = true;
}

/* The sender's control stream is over: is all said that has to be? */
static bool said_all(const struct receiving *r)
{
    if (!r->ended || r->control.in_size > 0)
        return false;
    for (uint32_t i = r->first; i < r->count; i++) {
        if (file_at(r, i)->state != FILE_OVER && !file_at(r, i)->has_sum)
            return false;
    }
    return true;
}

static void take_messages(struct receiving *r)
{
    struct cn_transfer_message m;
    enum cn_err err;

    while (!r->code && (err = cn_control_take(&r->control, &m)) != CN_E_MORE) {
        if (err == CN_OK && m.type == CN_TRANSFER_FILE)
            take_offer(r, &m);
        else if (err == CN_OK && m.type == CN_TRANSFER_SUM)
            take_sum(r, &m);
        else if (err == CN_OK && m.type == CN_TRANSFER_END && m.index == r->count && !r->ended)
            r->ended = true;
        else
            protocol_failed(r);
    }
}

static void take_stream(struct receiving *r, struct cn_stream *stream)
{
    size_t size;
    struct cn_reader reader = { .at = cn_stream_parameters(stream, &size) };
    struct file *file = NULL;
    uint32_t index;

    reader.left = size;
    index = cn_reader_u32be(&reader);
    cn_stream_finish(stream); /* nothing goes back on it */
    if (cn_stream_kind(stream) == CN_TRANSFER_DATA_KIND && cn_reader_done(&reader) &&
        index < r->count)
        file = file_at(r, index);
    if (file && (index < r->first || file->state == FILE_OVER)) {
        cn_stream_release(stream);
        return;
    }
    if (!file || file->state != FILE_ACCEPTED) {
        protocol_failed(r);
        return;
    }
    file->stream = stream;
    cn_stream_set_user(stream, file);
    cn_progress_begin(&file->progress, r->cli, file->offered.name, file->offered.size);
    if (!cn_incoming_open(&file->incoming, r->cli->home, file->offered.size)) {
        file_failed(r, file);
        return;
    }
    file->state = FILE_RECEIVING;
}

static void file_write(struct receiving *r, struct file *file)
{
    const uint8_t *from;
    size_t size;

    while (file->state == FILE_RECEIVING && (from = cn_stream_peek(file->stream, &size))) {
        ssize_t put;

        if (size > file->offered.size - file->incoming.written) { /* more than it said */
            cn_stream_reset(file->stream, 0);
            file_over(r, file, CN_TRANSFER_MISMATCH);
            return;
        }
        put = cn_incoming_write(&file->incoming, from, size);
        if (put < 0) {
            file_failed(r, file);
            return;
        }
        cn_stream_consume(file->stream, (size_t)put);
        cn_progress_update(&file->progress, file->incoming.written);
    }
}

static void file_ready(struct receiving *r, struct file *file)
{
    file_write(r, file);
    if (file->state != FILE_RECEIVING && file->state != FILE_WHOLE)
        return;
    if (cn_stream_state(file->stream) == CN_STREAM_RESET) {
        file_over(r, file, CN_TRANSFER_WITHDRAWN);
    } else if (file->state == FILE_RECEIVING && cn_stream_state(file->stream) == CN_STREAM_ENDED) {
        if (file->incoming.written != file->offered.size) {
            file_over(r, file, CN_TRANSFER_MISMATCH);
            return;
        }
        cn_incoming_seal(&file->incoming);
        file->state = FILE_WHOLE;
    }
}

static void file_verify(struct receiving *r, struct file *file)
{
    uint8_t sum[CN_TRANSFER_SUM_SIZE];

    if (!file->has_sum || !cn_incoming_is_hashed(&file->incoming))
        return;
    if (!cn_incoming_sum(&file->incoming, sum)) {
        file_failed(r, file);
    } else if (memcmp(sum, file->sum, sizeof sum) != 0) {
        file_over(r, file, CN_TRANSFER_MISMATCH);
    } else if (!cn_incoming_set_attributes(&file->incoming, &file->offered)) {
        file_failed(r, file);
    } else {
        file->state = FILE_VERIFIED;
        r->verified++;
        r->verified_size += file->offered.size;
        if (file->offered.size >= SMALL_SIZE || r->verified >= TOGETHER_MAX ||
            r->verified_size >= TOGETHER_SIZE)
            store_verified(r);
    }
}

/* --- the call ------------------------------------------------------------------------------- */

/* ACCEPT for what may come, and results in order; each file gets just one result. */
static void answer(struct receiving *r)
{
    while (r->accepted_told < r->count) {
        const struct cn_transfer_message m = { .type = CN_TRANSFER_ACCEPT,
                                               .index = r->accepted_told };

        if (file_at(r, m.index)->state == FILE_ACCEPTED && !cn_control_put(&r->control, &m))
            return;
        r->accepted_told++;
    }
    for (uint32_t i = r->first; i < r->count; i++) {
        struct file *file = file_at(r, i);
        const struct cn_transfer_message m = { .type = CN_TRANSFER_RESULT,
                                               .index = i,
                                               .outcome = file->outcome };

        if (file->state == FILE_OVER && !file->result_told) {
            if (!cn_control_put(&r->control, &m))
                return;
            file->result_told = true;
        }
        if (i == r->first && file->result_told)
            r->first++;
    }
}

/* Something is under way that is not verified yet. */
static bool unverified(struct receiving *r, bool *hashing)
{
    bool any = false;

    for (uint32_t i = r->first; i < r->count; i++) {
        struct file *file = file_at(r, i);

        if (file->state == FILE_WHOLE) {
            file_verify(r, file);
            *hashing |= file->state == FILE_WHOLE;
        }
        any |= file->state < FILE_VERIFIED;
    }
    return any;
}

/* Judged only once all events have been taken: the control stream's end may be told before the
 * reset of a file that the sender gave up just before it. */
static void check_said(struct receiving *r)
{
    enum cn_stream_state state = cn_stream_state(r->control.stream);

    if (state == CN_STREAM_RESET || (state == CN_STREAM_ENDED && !said_all(r)))
        protocol_failed(r);
}

static void check_done(struct receiving *r)
{
    if (!r->ended || r->first < r->count || r->finished || !cn_control_flush(&r->control))
        return;
    cn_stream_finish(r->control.stream);
    if (cn_stream_state(r->control.stream) != CN_STREAM_ENDED)
        return;
    r->finished = true;
    cn_call_finish(r->dial.call);
}

static void take_event(struct receiving *r, const struct cn_event *event)
{
    struct file *file;

    switch (event->type) {
    case CN_EVENT_STREAM:
        if (cn_stream_kind(event->stream) == CN_TRANSFER_CONTROL_KIND && !r->control.stream)
            r->control.stream = event->stream;
        else if (cn_stream_kind(event->stream) <= CN_TRANSFER_DATA_KIND)
            take_stream(r, event->stream);
        else
            cn_stream_release(event->stream); /* of a version to come: resets it */
        break;
    case CN_EVENT_READABLE:
        file = cn_stream_user(event->stream);
        if (event->stream == r->control.stream)
            take_messages(r);
        else if (file)
            file_ready(r, file);
        break;
    case CN_EVENT_CLOSED:
        r->closed = true;
        for (uint32_t i = r->first; i < r->count; i++)
            cn_progress_clear(&file_at(r, i)->progress);
        if (r->code == CN_EXIT_DONE)
            r->code = cn_dial_ended(r->cli, &r->dial, event->err);
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

static void signal_take(struct receiving *r)
{
    struct signalfd_siginfo info;

    if (read(r->signals, &info, sizeof info) == (ssize_t)sizeof info)
        r->interrupted = (int)info.ssi_signo;
}

static void receive_all(struct receiving *r)
{
    while (!r->closed && !r->interrupted) {
        struct cn_event event;
        struct pollfd polled[1 + CN_CALL_DESCRIPTORS_MAX] = { { r->signals, POLLIN, 0 } };
        size_t count;
        int timeout_ms;
        bool hashing = false;

        cn_call_process(r->dial.call);
        while (!r->closed && cn_call_next_event(r->dial.call, &event))
            take_event(r, &event);
        if (r->closed)
            break;
        if (r->control.stream && r->code == CN_EXIT_DONE)
            check_said(r);
        if (r->control.stream && r->code == CN_EXIT_DONE) {
            if (!unverified(r, &hashing))
                store_verified(r); /* nothing is coming that they could wait for */
            answer(r);
            check_done(r);
        }
        timeout_ms = cn_call_timeout_ms(r->dial.call);
        if (hashing && (timeout_ms < 0 || timeout_ms > HASH_LOOK_MS))
            timeout_ms = HASH_LOOK_MS;
        count = 1 + cn_call_descriptors(r->dial.call, polled + 1, CN_CALL_DESCRIPTORS_MAX);
        if (poll(polled, count, timeout_ms) < 0 && errno != EINTR && errno != EAGAIN) {
            cn_error("poll: %s", strerror(errno));
            r->code = CN_EXIT_FAILED;
            return;
        }
        if (polled[0].revents)
            signal_take(r);
    }
}

static int outcome_code(const struct receiving *r)
{
    if (r->interrupted)
        return 128 + r->interrupted;
    if (r->code != CN_EXIT_DONE)
        return r->code;
    return r->not_stored > 0 ? CN_EXIT_FAILED : CN_EXIT_DONE;
}

/* Temporary files go whatever happened; only a kill leaves them, and their names say what they are.
 */
static void receiving_end(struct receiving *r)
{
    for (uint32_t i = r->first; i < r->count; i++)
        cn_incoming_close(&file_at(r, i)->incoming);
    free(r->files);
    cn_place_wipe(&r->place);
    cn_dial_end(&r->dial);
}

/* Signals end a wait at once, as they do everywhere; in a call they are taken, so that no temporary
 * file stays behind. */
static bool signals_catch(struct receiving *r, sigset_t *before)
{
    static const int numbers[] = { SIGINT, SIGTERM, SIGHUP };
    struct sigaction present;
    sigset_t caught;

    sigemptyset(&caught);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        if (sigaction(numbers[i], NULL, &present) == 0 && present.sa_handler != SIG_IGN)
            sigaddset(&caught, numbers[i]); /* nohup stays what it is */
    }
    r->signals = signalfd(-1, &caught, SFD_NONBLOCK | SFD_CLOEXEC);
    return r->signals >= 0 && pthread_sigmask(SIG_BLOCK, &caught, before) == 0;
}

static int receive_call(struct cn_cli *cli, int directory, bool *was_open)
{
    struct receiving r = { .cli = cli,
                           .dial = { .name = cli->arguments[0], .partner_command = "send" },
                           .place = { .directory = directory, .overwrite = cli->overwrite } };
    int code = cn_dial(cli, &r.dial, CN_CALL_FILE, false, true);
    sigset_t before;

    *was_open = r.dial.is_open;
    if (code != CN_EXIT_DONE)
        return code;
    r.files = calloc(CN_TRANSFER_OFFER_COUNT_MAX, sizeof *r.files);
    if (!r.files || !signals_catch(&r, &before)) {
        cn_error("beginning: %s", strerror(errno));
        receiving_end(&r);
        return CN_EXIT_FAILED;
    }
    receive_all(&r);
    code = outcome_code(&r);
    cn_dial_over(cli, &r.dial, code);
    receiving_end(&r);
    close(r.signals);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return code;
}

static int run(struct cn_cli *cli)
{
    const char *path = cli->directory ? cli->directory : ".";
    int directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool was_open;
    int code;

    if (directory < 0) {
        cn_error("%s: %s", path, strerror(errno));
        cn_hint("-d must name a directory that exists");
        return CN_EXIT_FAILED;
    }
    if (faccessat(directory, ".", W_OK, 0) != 0) {
        cn_error("%s: %s", path, strerror(errno));
        cn_hint("-d DIR puts the files elsewhere");
        close(directory);
        return CN_EXIT_FAILED;
    }
    do { /* what keeps one call from beginning would keep the next from it, without end */
        code = receive_call(cli, directory, &was_open);
    } while (cli->keep && was_open &&
             (code == CN_EXIT_DONE || code == CN_EXIT_FAILED || code == CN_EXIT_INTERRUPTED));
    close(directory);
    return code;
}

const struct cn_command cn_cmd_receive = {
    .name = "receive",
    .usage = "receive NAME [-d DIR] [--overwrite] [--keep] [--wait SECONDS]",
    .summary = "Receive files that NAME sends with `cyphernet send`",
    .help =
        "Running this is your consent. Files are written under a temporary name, verified, and\n"
        "get their own name when they are whole and on disk; none is ever replaced unless\n"
        "--overwrite says so. Permissions and times are kept.\n",
    .options = options,
    .arguments_min = 1,
    .arguments_max = 1,
    .json = true,
    .run = run,
};
