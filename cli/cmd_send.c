/* cmd_send.c - cyphernet send: files to the partner, who runs `receive`. */
#include "dial.h"
#include "progress.h"
#include "transfer.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hasher.h"
#include "home.h"
#include "writer.h"

enum { RESET_SOURCE_CHANGED = 1, HASH_LOOK_MS = 5, TOGETHER_MAX = 64 };

static const struct cn_option options[] = {
    { "wait", 0, "SECONDS", offsetof(struct cn_cli, wait),
      "give up when the partner has not come by then (600)" },
    { NULL, 0, NULL, 0, NULL },
};

enum file_state {
    FILE_OFFERED,
    FILE_ACCEPTED,
    FILE_SENDING,
    FILE_HASHING, /* all octets are in the stream; the sum is awaited */
    FILE_SENT,    /* the result is awaited */
    FILE_OVER
};

struct file {
    const char *path; /* borrowed */
    const char *name; /* the last part of it */
    enum file_state state;
    enum cn_transfer_outcome outcome;
    bool has_result; /* the receiver's */
    struct stat st;
    int fd; /* open while sending and hashing, else -1 */
    uint64_t at;
    struct cn_stream *stream;
    struct cn_hasher *hasher;
    struct cn_progress progress;
};

struct sending {
    struct cn_cli *cli;
    struct cn_dial dial;
    struct cn_control control;
    struct file *files;
    uint32_t count;
    uint32_t told;     /* FILE messages said */
    uint32_t answered; /* all before it have their results */
    bool end_told;
    uint32_t first; /* all before it are over */
    uint32_t next;  /* the first that is not being sent yet */
    uint32_t over;
    uint32_t refused, failed;
    bool finished, closed;
    int code;
};

/* --- before the call ------------------------------------------------------------------------ */

static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

/* Without waiting for the other end of a FIFO, which a path may name at any time. */
static int source_open(const struct file *file)
{
    return open(file->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
}

/* Everything that can be found wrong is found before anybody is called. */
static bool file_check(struct file *file)
{
    int fd = source_open(file);
    bool good = fd >= 0 && fstat(fd, &file->st) == 0;

    if (!good)
        cn_error("%s: %s", file->path, strerror(errno));
    if (fd >= 0)
        close(fd);
    if (!good)
        return false;
    if (S_ISDIR(file->st.st_mode)) {
        cn_error("%s: a directory", file->path);
        cn_hint("send it as a stream: tar c '%s' | cyphernet pipe NAME", file->path);
        return false;
    }
    if (!S_ISREG(file->st.st_mode)) {
        cn_error("%s: not a regular file", file->path);
        cn_hint("cyphernet pipe NAME < '%s' sends what it yields", file->path);
        return false;
    }
    if (!cn_transfer_name_valid(file->name, strlen(file->name))) {
        cn_error("%s: names no file", file->path);
        return false;
    }
    return true;
}

struct named {
    const struct file *file;
};

/* By name, and of one name in the order of the command line. */
static int named_compare(const void *a, const void *b)
{
    const struct file *one = ((const struct named *)a)->file;
    const struct file *other = ((const struct named *)b)->file;
    int order = strcmp(one->name, other->name);

    return order ? order : (one > other) - (one < other);
}

static bool names_differ(const struct sending *s)
{
    struct named *sorted = calloc(s->count, sizeof *sorted);
    bool differ = sorted != NULL;

    if (!sorted) {
        cn_error("no memory");
        return false;
    }
    for (uint32_t i = 0; i < s->count; i++)
        sorted[i].file = &s->files[i];
    qsort(sorted, s->count, sizeof *sorted, named_compare);
    for (uint32_t i = 1; differ && i < s->count; i++) {
        const struct file *one = sorted[i - 1].file;
        const struct file *other = sorted[i].file;

        if (strcmp(one->name, other->name) != 0)
            continue;
        cn_error("%s and %s would arrive under one name", one->path, other->path);
        cn_hint("send them one after the other, or rename one");
        differ = false;
    }
    free(sorted);
    return differ;
}

static bool files_check(struct sending *s)
{
    for (uint32_t i = 0; i < s->count; i++) {
        struct file *file = &s->files[i];

        file->path = s->cli->arguments[i + 1];
        file->name = last_part(file->path);
        file->fd = -1;
        if (!file_check(file))
            return false;
    }
    return names_differ(s);
}

/* --- one file ------------------------------------------------------------------------------- */

static void file_close(struct file *file)
{
    cn_hasher_cancel(file->hasher);
    file->hasher = NULL;
    if (file->fd >= 0)
        close(file->fd);
    file->fd = -1;
}

static void file_over(struct sending *s, struct file *file, enum cn_transfer_outcome outcome)
{
    if (file->state == FILE_OVER)
        return;
    file_close(file);
    cn_progress_clear(&file->progress);
    file->state = FILE_OVER;
    file->outcome = outcome;
    s->over++;
    cn_progress_outcome(s->cli, file->name, (uint64_t)file->st.st_size, outcome);
    if (file->stream) /* the receiver has it, or wants no more of it */
        cn_stream_release(file->stream);
    file->stream = NULL;
    if (outcome == CN_TRANSFER_STORED) {
        cn_progress_end(&file->progress, "sent");
        return;
    }
    if (outcome != CN_TRANSFER_WITHDRAWN) /* of which the reason has been told */
        cn_error("%s: %s", file->path, cn_transfer_outcome_text(outcome));
    if (outcome == CN_TRANSFER_EXISTS) {
        cn_hint("%s can run `cyphernet receive --overwrite`, or you rename the file", s->dial.name);
        s->refused++;
    } else if (outcome == CN_TRANSFER_BAD_NAME) {
        s->refused++;
    } else {
        s->failed++;
    }
}

static bool stream_open(struct sending *s, struct file *file)
{
    uint8_t index[4];
    struct cn_writer w = { .at = index, .left = sizeof index };

    cn_writer_u32be(&w, (uint32_t)(file - s->files));
    return cn_stream_open(s->dial.call, CN_TRANSFER_DATA_KIND, index, sizeof index,
                          &file->stream) == CN_OK;
}

/* The source is not what was offered any more, or cannot be read: the receiver throws it away. It
 * learns that from the stream, which is opened for this if need be. */
static void source_failed(struct sending *s, struct file *file, const char *why)
{
    cn_progress_clear(&file->progress);
    cn_error("%s: %s", file->path, why);
    if (file->stream || stream_open(s, file)) {
        cn_stream_reset(file->stream, RESET_SOURCE_CHANGED);
    } else {
        s->code = CN_EXIT_FAILED;
        cn_call_cancel(s->dial.call, CN_E_MEMORY);
    }
    file_over(s, file, CN_TRANSFER_WITHDRAWN);
}

static bool same_file(const struct stat *a, const struct stat *b)
{
    return a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
           a->st_mtim.tv_nsec == b->st_mtim.tv_nsec && a->st_ino == b->st_ino &&
           a->st_dev == b->st_dev;
}

static bool unchanged(const struct file *file)
{
    struct stat now;

    return fstat(file->fd, &now) == 0 && S_ISREG(now.st_mode) && same_file(&now, &file->st);
}

static void file_start(struct sending *s, struct file *file)
{
    cn_progress_begin(&file->progress, s->cli, file->name, (uint64_t)file->st.st_size);
    file->fd = source_open(file);
    if (file->fd < 0 || !unchanged(file)) {
        source_failed(s, file, file->fd < 0 ? strerror(errno) : "changed after it was offered");
        return;
    }
    (void)posix_fadvise(file->fd, 0, 0, POSIX_FADV_SEQUENTIAL); /* a hint */
    if (cn_hasher_start(&file->hasher, cn_home_crypto(s->cli->home), file->fd) != CN_OK ||
        !stream_open(s, file)) {
        source_failed(s, file, "cannot be sent: no memory, or the call has ended");
        return;
    }
    cn_stream_set_user(file->stream, file);
    cn_hasher_limit(file->hasher, (uint64_t)file->st.st_size);
    cn_hasher_advance(file->hasher, (uint64_t)file->st.st_size);
    file->state = FILE_SENDING;
}

/* Read into the stream while there is room. */
static void file_pump(struct sending *s, struct file *file)
{
    uint64_t size = (uint64_t)file->st.st_size;

    while (file->at < size) {
        size_t room;
        uint8_t *to = cn_stream_reserve(file->stream, &room);
        ssize_t got;

        if (!to)
            return;
        if (room > size - file->at)
            room = (size_t)(size - file->at);
        got = pread(file->fd, to, room, (off_t)file->at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            source_failed(s, file, got < 0 ? strerror(errno) : "became shorter while being sent");
            return;
        }
        cn_stream_commit(file->stream, (size_t)got);
        file->at += (uint64_t)got;
    }
    if (!unchanged(file)) {
        source_failed(s, file, "changed while being sent");
        return;
    }
    cn_stream_finish(file->stream);
    file->state = FILE_HASHING;
}

static void file_sum(struct sending *s, struct file *file)
{
    struct cn_transfer_message m = { .type = CN_TRANSFER_SUM,
                                     .index = (uint32_t)(file - s->files) };
    enum cn_err err;

    if (!cn_hasher_is_done(file->hasher) || !cn_control_flush(&s->control))
        return;
    err = cn_hasher_finish(file->hasher, (uint64_t)file->st.st_size, m.sum);
    file->hasher = NULL;
    if (err != CN_OK) {
        source_failed(s, file, "could not be read again for its hash");
        return;
    }
    (void)cn_control_put(&s->control, &m); /* there is room: it was flushed */
    file_close(file);
    file->state = FILE_SENT;
}

/* --- the call ------------------------------------------------------------------------------- */

/* No more at a time than the receiver has to keep in mind. */
static void offer(struct sending *s)
{
    while (s->told < s->count && s->told - s->answered < CN_TRANSFER_OFFER_COUNT_MAX) {
        const struct file *file = &s->files[s->told];
        struct cn_transfer_message m = {
            .type = CN_TRANSFER_FILE,
            .index = s->told,
            .size = (uint64_t)file->st.st_size,
            .mode = file->st.st_mode & 0777,
            .mtime_s = file->st.st_mtim.tv_sec,
            .mtime_ns = (uint32_t)file->st.st_mtim.tv_nsec,
        };

        memcpy(m.name, file->name, strlen(file->name));
        if (!cn_control_put(&s->control, &m))
            return;
        s->told++;
    }
    if (s->told == s->count && !s->end_told) {
        const struct cn_transfer_message m = { .type = CN_TRANSFER_END, .index = s->count };

        s->end_told = cn_control_put(&s->control, &m);
    }
}

static void protocol_failed(struct sending *s)
{
    cn_error("%s said something that makes no sense", s->dial.name);
    s->code = CN_EXIT_FAILED;
    cn_call_cancel(s->dial.call, CN_E_FORMAT);
}

static void take_result(struct sending *s, struct file *file, enum cn_transfer_outcome outcome)
{
    file->has_result = true;
    while (s->answered < s->told && s->files[s->answered].has_result)
        s->answered++;
    file_over(s, file, outcome);
}

static void take_message(struct sending *s, const struct cn_transfer_message *m)
{
    struct file *file = m->index < s->told ? &s->files[m->index] : NULL;

    if (file && m->type == CN_TRANSFER_ACCEPT && file->state == FILE_OFFERED)
        file->state = FILE_ACCEPTED;
    else if (file && m->type == CN_TRANSFER_RESULT &&
             (file->state == FILE_SENT || m->outcome != CN_TRANSFER_STORED))
        take_result(s, file, m->outcome);
    else
        protocol_failed(s);
}

static void take_messages(struct sending *s)
{
    struct cn_transfer_message m;
    enum cn_err err;

    while (!s->code && (err = cn_control_take(&s->control, &m)) != CN_E_MORE) {
        if (err != CN_OK)
            protocol_failed(s);
        else
            take_message(s, &m);
    }
    if (!s->code && (cn_stream_state(s->control.stream) == CN_STREAM_RESET ||
                     (cn_stream_state(s->control.stream) == CN_STREAM_ENDED &&
                      (s->over < s->count || s->control.in_size > 0))))
        protocol_failed(s);
}

/* Start what may be started, and move on what is under way: one file's octets at a time. */
static void pump(struct sending *s)
{
    while (s->first < s->next && s->files[s->first].state == FILE_OVER)
        s->first++;
    for (uint32_t i = s->first; i < s->next; i++) {
        struct file *file = &s->files[i];

        if (file->state == FILE_SENDING)
            file_pump(s, file);
        if (file->state == FILE_SENDING)
            return; /* the stream is full */
        if (file->state == FILE_HASHING)
            file_sum(s, file);
    }
    while (s->next < s->count && s->next - s->first < TOGETHER_MAX &&
           (s->files[s->next].state == FILE_ACCEPTED || s->files[s->next].state == FILE_OVER)) {
        struct file *file = &s->files[s->next++];

        if (file->state == FILE_OVER) {
            if (s->first == s->next - 1)
                s->first++;
            continue;
        }
        file_start(s, file);
        if (file->state == FILE_SENDING)
            file_pump(s, file);
        if (file->state == FILE_SENDING)
            return;
    }
}

static bool hashing(const struct sending *s)
{
    for (uint32_t i = s->first; i < s->next; i++) {
        if (s->files[i].state == FILE_HASHING)
            return true;
    }
    return false;
}

static void show(struct cn_stream *stream)
{
    struct file *file = cn_stream_user(stream);
    struct cn_stream_progress p;

    if (!file || file->state == FILE_OVER)
        return;
    cn_stream_progress(stream, &p);
    cn_progress_update(&file->progress, p.received);
}

static void take_event(struct sending *s, const struct cn_event *event)
{
    if (event->type == CN_EVENT_CLOSED) {
        s->closed = true;
        for (uint32_t i = s->first; i < s->next; i++)
            cn_progress_clear(&s->files[i].progress);
        if (s->code == CN_EXIT_DONE)
            s->code = cn_dial_ended(s->cli, &s->dial, event->err);
    }
    if (event->type == CN_EVENT_STREAM) /* the receiver opens none */
        cn_stream_release(event->stream);
    if (event->type == CN_EVENT_PROGRESS)
        show(event->stream);
    if (event->type == CN_EVENT_READABLE && event->stream == s->control.stream)
        take_messages(s);
}

static void check_done(struct sending *s)
{
    if (s->over < s->count || !s->end_told || s->finished || s->code != CN_EXIT_DONE ||
        !cn_control_flush(&s->control))
        return;
    cn_stream_finish(s->control.stream);
    if (cn_stream_state(s->control.stream) != CN_STREAM_ENDED)
        return;
    s->finished = true;
    cn_call_finish(s->dial.call);
}

static void send_all(struct sending *s)
{
    cn_dial_stream(&s->dial, CN_TRANSFER_CONTROL_KIND, &s->control.stream, &s->code);
    while (!s->closed) {
        struct cn_event event;
        struct pollfd polled[CN_CALL_DESCRIPTORS_MAX];
        size_t count;
        int timeout_ms;

        cn_call_process(s->dial.call);
        while (!s->closed && cn_call_next_event(s->dial.call, &event))
            take_event(s, &event);
        if (s->closed)
            break;
        if (s->control.stream && s->code == CN_EXIT_DONE) {
            offer(s);
            pump(s);
            check_done(s);
        }
        timeout_ms = cn_call_timeout_ms(s->dial.call);
        if (hashing(s) && (timeout_ms < 0 || timeout_ms > HASH_LOOK_MS))
            timeout_ms = HASH_LOOK_MS;
        count = cn_call_descriptors(s->dial.call, polled, CN_CALL_DESCRIPTORS_MAX);
        if (poll(polled, count, timeout_ms) < 0 && errno != EINTR && errno != EAGAIN) {
            cn_error("poll: %s", strerror(errno));
            s->code = CN_EXIT_FAILED;
            return;
        }
    }
}

static int outcome_code(const struct sending *s)
{
    if (s->code != CN_EXIT_DONE)
        return s->code;
    if (s->failed > 0)
        return CN_EXIT_FAILED;
    return s->refused > 0 ? CN_EXIT_REFUSED : CN_EXIT_DONE;
}

static int run(struct cn_cli *cli)
{
    struct sending s = { .cli = cli,
                         .dial = { .name = cli->arguments[0], .partner_command = "receive" },
                         .count = (uint32_t)cli->argument_count - 1 };
    int code = CN_EXIT_FAILED;

    s.files = calloc(s.count, sizeof *s.files);
    if (!s.files) {
        cn_error("no memory");
        return CN_EXIT_FAILED;
    }
    if (files_check(&s))
        code = cn_dial(cli, &s.dial, CN_CALL_FILE, true, false);
    if (code == CN_EXIT_DONE) {
        send_all(&s);
        code = outcome_code(&s);
        cn_dial_over(cli, &s.dial, code);
        cn_dial_end(&s.dial);
    }
    for (uint32_t i = 0; i < s.count; i++)
        file_close(&s.files[i]);
    free(s.files);
    return code;
}

const struct cn_command cn_cmd_send = {
    .name = "send",
    .usage = "send NAME PATH... [--wait SECONDS]",
    .summary = "Send files to NAME, who runs `cyphernet receive`",
    .help = "Exit code 0 means that the partner has every file, whole, verified and on disk.\n",
    .options = options,
    .arguments_min = 2,
    .arguments_max = -1,
    .json = true,
    .run = run,
};
