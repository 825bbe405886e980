#include "talk_files.h"

#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "files/sending.h"
#include "talk.h"

enum { STILL_MS_MAX = 30000 };

/* --- sending -------------------------------------------------------------------------------- */

static struct cn_transferring transferring_of(struct cn_talk_files *f)
{
    return (struct cn_transferring) {
        .cli = f->talking->cli, .dial = f->talking->dial, .is_guest = true, .owner = f
    };
}

static void progress_begin(struct cn_transferring *t)
{
    cn_progress_begin(&t->progress, t->cli, t->sending != NULL);
    t->progress.bar = false; /* the line that is edited is there */
}

static void progress_look(struct cn_transferring *t)
{
    struct cn_transfer_progress p;

    if (t->is_asking) {
        cn_progress_hold(&t->progress);
        return;
    }
    if (t->sending)
        cn_sending_progress(t->sending, &p);
    else
        cn_receiving_progress(t->receiving, &p);
    cn_progress_update(&t->progress, &p);
}

/* As a shell would, but that nothing is run. */
static bool words_take(struct cn_talk_files *f, const char *line)
{
    if (wordexp(line, &f->words, WRDE_NOCMD) != 0) {
        cn_error("/send %s: not understood", line);
        cn_hint("blanks and signs like & ; ( ) in a name stand between quotes, as in a shell");
        return false;
    }
    for (size_t i = 0; i < f->words.we_wordc; i++) {
        if (strcmp(f->words.we_wordv[i], "-") != 0)
            continue;
        cn_error("/send -: standard input is what you say; ./- is a file of that name");
        wordfree(&f->words);
        return false;
    }
    return true;
}

static void out_end(struct cn_talk_files *f)
{
    int code = cn_transferring_code(&f->out);

    if (f->code == CN_EXIT_DONE)
        f->code = code;
    cn_sending_free(f->out.sending);
    f->out.sending = NULL;
    wordfree(&f->words);
    f->sends = f->lists = false;
}

/* What a path would be called there: its last part. */
static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash && slash[1] ? slash + 1 : path;
}

static void out_over(struct cn_talk_files *f)
{
    if (f->out.finished)
        cn_transferring_tell_total(&f->out);
    for (size_t i = 0; f->out.finished && i < f->words.we_wordc; i++)
        cn_talking_keep(f->talking, CN_TRANSCRIPT_SENT, last_part(f->words.we_wordv[i]));
    out_end(f);
}

/* False: it has been said why not. */
static bool out_begin(struct cn_talk_files *f, const char *line)
{
    struct cn_sending_options options = { 0 };
    enum cn_err err;

    if (!words_take(f, line))
        return false;
    options.paths = (const char *const *)f->words.we_wordv;
    options.path_count = f->words.we_wordc;
    f->out = transferring_of(f);
    err = cn_sending_open_later(&f->out.sending, f->talking->cli->home, &options);
    if (err != CN_OK) {
        (void)cn_send_cannot(f->talking->cli, err);
        wordfree(&f->words);
        return false;
    }
    f->sends = f->lists = true;
    progress_begin(&f->out);
    return true;
}

/* What there is to be sent is known, or why there is nothing. */
static void out_listed(struct cn_talk_files *f)
{
    enum cn_err err = cn_sending_listed(f->out.sending);

    if (err == CN_E_MORE)
        return;
    f->lists = false;
    if (err != CN_OK) {
        (void)cn_send_cannot(f->talking->cli, err);
        f->out.code = CN_EXIT_FAILED;
        out_end(f);
        return;
    }
    cn_transferring_tell(&f->out);
    err = cn_sending_join(f->out.sending, f->talking->dial.call);
    if (err == CN_OK)
        return;
    f->out.code = cn_fail(f->talking->cli, err, "sending");
    out_end(f);
}

static void out_process(struct cn_talk_files *f)
{
    if (f->lists)
        out_listed(f);
    if (!f->sends || f->lists)
        return;
    cn_sending_process(f->out.sending);
    cn_transferring_tell(&f->out);
    if (f->out.finished || f->out.broken)
        out_over(f);
    else
        progress_look(&f->out);
}

static void queue_next(struct cn_talk_files *f)
{
    while (!f->sends && f->queue_count > 0) {
        char *line = f->queue[0];

        f->queue_count--;
        memmove(f->queue, f->queue + 1, f->queue_count * sizeof f->queue[0]);
        if (!out_begin(f, line))
            f->code = CN_EXIT_FAILED;
        free(line);
    }
}

static void send_command(struct cn_talk_files *f, const char *rest)
{
    char *line;

    if (!f->talking->dial.call) {
        cn_error("the agent has the call: send it from another terminal, by `cyphernet send`");
        return;
    }
    if (!*rest) {
        cn_error("/send wants a path, or several");
        return;
    }
    line = f->queue_count < CN_TALK_FILES_QUEUE_COUNT_MAX ? strdup(rest) : NULL;
    if (!line) {
        cn_error("/send: too many wait already");
        return;
    }
    f->queue[f->queue_count++] = line;
    if (f->sends)
        cn_say(f->talking->cli, "%s: goes after what is under way", rest);
    queue_next(f);
}

/* --- receiving ------------------------------------------------------------------------------ */

static void in_end(struct cn_talk_files *f)
{
    int code = cn_transferring_code(&f->in);

    if (f->code == CN_EXIT_DONE && code != CN_EXIT_REFUSED) /* which was our user */
        f->code = code;
    cn_receiving_free(f->in.receiving);
    f->in.receiving = NULL;
    f->receives = false;
}

static void in_over(struct cn_talk_files *f)
{
    struct cn_transfer_offer offer = { 0 };

    if (f->in.finished && cn_receiving_offer(f->in.receiving, &offer))
        cn_transferring_tell_total(&f->in);
    for (size_t i = 0; i < offer.told_count; i++) {
        struct cn_transfer_item item;

        cn_receiving_item(f->in.receiving, i, &item);
        if (f->wanted[i])
            cn_talking_keep(f->talking, CN_TRANSCRIPT_RECEIVED, item.name);
    }
    in_end(f);
}

/* Nothing of it is wanted; it is over with the next look. */
static void refuse(struct cn_talk_files *f)
{
    const bool none[1] = { false };

    cn_receiving_decide(f->in.receiving, none, 1);
    f->in.is_asking = false;
    f->in.broken = true;
    f->in.code = CN_EXIT_REFUSED;
}

static const char *directory_of(const struct cn_talk_files *f, char out[PATH_MAX])
{
    const char *directory = f->talking->cli->directory;

    return realpath(directory ? directory : ".", out) ? out : directory;
}

static void offered(struct cn_transferring *t)
{
    struct cn_talk_files *f = t->owner;
    struct cn_transfer_offer offer;
    char size[32], files[CN_COUNT_TEXT_SIZE], directory[PATH_MAX];

    if (!cn_receiving_offer(t->receiving, &offer))
        return;
    cn_consent_say_json(t, &offer);
    cn_size_text(size, (double)offer.size);
    cn_count_text(files, offer.file_count, "file");
    if (t->cli->yes) {
        cn_say(t->cli, "%s offers %s, %s", t->dial.name, files, size);
        return;
    }
    cn_tell("%s offers %s, %s", t->dial.name, files, size);
    cn_consent_items_tell(t, &offer);
    if (!f->asks) {
        cn_tell("refused: with --yes it would have been taken");
        refuse(f);
        return;
    }
    t->is_asking = true;
    cn_tell("/accept takes it, into %s; /accept 1 3-5 some of it; /refuse nothing",
            directory_of(f, directory));
}

/* The stream is given back if it cannot begin. */
static void in_begin(struct cn_talk_files *f, const struct cn_event *event)
{
    struct cn_cli *cli = f->talking->cli;
    struct cn_receiving_options options = { .directory = cli->directory,
                                            .contact = f->talking->dial.name,
                                            .ask = !cli->yes };
    enum cn_err err = CN_E_USAGE;

    f->in = transferring_of(f);
    f->in.asks = true;
    f->in.offered = offered;
    memset(f->wanted, cli->yes, sizeof f->wanted);
    if (cn_conflict_read(cli, &options.conflict))
        err = cn_receiving_open(&f->in.receiving, cli->home, &options);
    if (err == CN_OK)
        err = cn_receiving_join(f->in.receiving, f->talking->dial.call);
    f->receives = err == CN_OK;
    if (f->receives) {
        progress_begin(&f->in);
        (void)cn_receiving_take(f->in.receiving, event);
        return;
    }
    cn_error("%s offers files", f->talking->dial.name);
    (void)cn_receive_cannot(cli, err);
    cn_receiving_free(f->in.receiving);
    f->in.receiving = NULL;
    cn_stream_reset(event->stream, cn_err_close_code(CN_E_SYSTEM));
    cn_stream_release(event->stream);
}

/* What was typed before the question was shown is no answer. */
static bool is_asked(const struct cn_talk_files *f)
{
    return f->receives && f->in.is_asking && f->is_answerable;
}

static void accept_command(struct cn_talk_files *f, const char *rest)
{
    struct cn_transfer_offer offer;
    bool wanted[CN_CONSENT_ITEM_COUNT_MAX] = { false };
    char text[1024];

    if (!is_asked(f) || !cn_receiving_offer(f->in.receiving, &offer)) {
        cn_error("nothing is offered");
        return;
    }
    snprintf(text, sizeof text, "%s", rest);
    if (*rest && !cn_consent_picks_read(text, offer.told_count, wanted)) {
        cn_error("/accept %s: wants numbers of what is offered, as in 1 3-5", rest);
        return;
    }
    if (!*rest)
        memset(wanted, true, sizeof wanted);
    memcpy(f->wanted, wanted, sizeof f->wanted);
    f->in.is_asking = false;
    cn_receiving_decide(f->in.receiving, *rest ? wanted : NULL, offer.told_count);
}

static void refuse_command(struct cn_talk_files *f, const char *rest)
{
    (void)rest;
    if (!is_asked(f)) {
        cn_error("nothing is offered; /cancel gives up what is under way");
        return;
    }
    refuse(f);
    cn_say(f->talking->cli, "refused");
}

/* --- both ----------------------------------------------------------------------------------- */

static void queue_drop(struct cn_talk_files *f)
{
    for (size_t i = 0; i < f->queue_count; i++) {
        cn_error("%s: not sent", f->queue[i]);
        free(f->queue[i]);
        f->code = CN_EXIT_FAILED;
    }
    f->queue_count = 0;
}

static void cancel_command(struct cn_talk_files *f, const char *rest)
{
    bool any = f->sends || f->receives;

    (void)rest;
    if (!any) {
        cn_error("no files are under way");
        return;
    }
    queue_drop(f);
    if (f->sends)
        out_end(f);
    if (f->receives)
        in_end(f);
    f->code = CN_EXIT_FAILED;
    cn_say(f->talking->cli, "given up; what has come is kept, and the same again goes on there");
}

bool cn_talk_files_command(struct cn_talk_files *files, const char *line)
{
    static const struct {
        const char *word;
        void (*run)(struct cn_talk_files *files, const char *rest);
    } commands[] = {
        { "/send", send_command },
        { "/accept", accept_command },
        { "/refuse", refuse_command },
        { "/cancel", cancel_command },
    };

    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        size_t size = strlen(commands[i].word);

        if (strncmp(line, commands[i].word, size) != 0 || (line[size] && line[size] != ' '))
            continue;
        commands[i].run(files, line + size + strspn(line + size, " "));
        return true;
    }
    return false;
}

/* The sender, and neither the line nor our disk, has kept us waiting for too long. */
static bool is_given_up(const struct cn_talk_files *f)
{
    return f->is_last && !f->in.is_asking && f->talking->dial.lost_ms == 0 &&
           f->in.progress.now.wait != CN_TRANSFER_WAITS_DISK &&
           cn_progress_still_ms(&f->in.progress) >= STILL_MS_MAX;
}

static void in_process(struct cn_talk_files *f)
{
    cn_receiving_process(f->in.receiving);
    cn_transferring_tell(&f->in);
    if (f->in.finished || f->in.broken) {
        in_over(f);
        return;
    }
    progress_look(&f->in);
    if (!is_given_up(f))
        return;
    cn_error("%s has sent nothing of its files for %d seconds: they are given up",
             f->talking->dial.name, STILL_MS_MAX / 1000);
    cn_hint("what has come is kept, and the same again goes on there");
    f->in.code = CN_EXIT_FAILED;
    in_end(f);
}

void cn_talk_files_process(struct cn_talk_files *files)
{
    if (files->is_held)
        return;
    files->is_answerable = files->receives && files->in.is_asking;
    if (files->receives)
        in_process(files);
    if (files->sends)
        out_process(files);
    queue_next(files);
}

bool cn_talk_files_take(struct cn_talk_files *files, const struct cn_event *event)
{
    struct cn_talk_files *f = files;

    if ((f->sends && !f->lists && cn_sending_take(f->out.sending, event)) ||
        (f->receives && cn_receiving_take(f->in.receiving, event)))
        return true;
    if (event->type != CN_EVENT_STREAM || cn_stream_kind(event->stream) != CN_TRANSFER_STREAM_KIND)
        return false;
    if (f->receives && !f->is_held) /* the last may have ended, and not be looked at yet */
        in_process(f);
    if (!f->receives && !f->is_held && !f->has_left) {
        in_begin(f, event);
        return true;
    }
    cn_stream_reset(event->stream, cn_err_close_code(f->has_left ? CN_E_REFUSED : CN_E_LIMIT));
    cn_stream_release(event->stream);
    return true;
}

/* --- for the loop --------------------------------------------------------------------------- */

void cn_talk_files_descriptors(const struct cn_talk_files *files, struct pollfd *descriptors)
{
    descriptors[0] = descriptors[1] = (struct pollfd) { -1, 0, 0 };
    if (files->is_held)
        return;
    if (files->sends)
        (void)cn_sending_descriptors(files->out.sending, descriptors, 1);
    if (files->receives)
        (void)cn_receiving_descriptors(files->in.receiving, descriptors + 1, 1);
}

static int sooner_ms(int a, int b)
{
    return a < 0 || (b >= 0 && b < a) ? b : a;
}

int cn_talk_files_timeout_ms(const struct cn_talk_files *files)
{
    int ms = -1;

    if (files->is_held)
        return ms;
    if (files->sends)
        ms = sooner_ms(files->lists ? -1 : cn_sending_timeout_ms(files->out.sending),
                       cn_progress_timeout_ms(&files->out.progress));
    if (files->receives)
        ms = sooner_ms(ms, sooner_ms(cn_receiving_timeout_ms(files->in.receiving),
                                     cn_progress_timeout_ms(&files->in.progress)));
    return ms;
}

bool cn_talk_files_may_leave(const struct cn_talk_files *files)
{
    return !files->lists && files->queue_count == 0;
}

bool cn_talk_files_is_busy(const struct cn_talk_files *files)
{
    return files->sends || files->receives || files->queue_count > 0;
}

static size_t state_put(const struct cn_transferring *t, const char *verb, char *out, size_t size)
{
    const struct cn_transfer_progress *p = &t->progress.now;
    char rate[32];

    if (t->is_asking)
        return (size_t)snprintf(out, size, "offered | ");
    if (p->size == 0 || p->size == UINT64_MAX)
        return (size_t)snprintf(out, size, "%s | ", verb);
    return (size_t)snprintf(out, size, "%s %u%%, %s/s | ", verb,
                            (unsigned)((double)p->done / (double)p->size * 100),
                            cn_size_text(rate, t->progress.rate));
}

const char *cn_talk_files_state(const struct cn_talk_files *files,
                                char out[CN_TALK_FILES_STATE_SIZE])
{
    size_t used = 0;

    out[0] = '\0';
    if (files->sends)
        used = state_put(&files->out, "sending", out, CN_TALK_FILES_STATE_SIZE);
    if (files->receives && used < CN_TALK_FILES_STATE_SIZE)
        (void)state_put(&files->in, "receiving", out + used, CN_TALK_FILES_STATE_SIZE - used);
    return out;
}

/* --- begin and end -------------------------------------------------------------------------- */

void cn_talk_files_begin(struct cn_talk_files *files, struct cn_talking *talking)
{
    *files = (struct cn_talk_files) { .talking = talking };
}

void cn_talk_files_unattended(struct cn_talk_files *files)
{
    files->asks = false;
    if (!files->receives || !files->in.is_asking)
        return;
    refuse(files);
    in_over(files);
}

void cn_talk_files_last(struct cn_talk_files *files)
{
    files->is_last = true;
}

void cn_talk_files_leave(struct cn_talk_files *files)
{
    files->has_left = files->is_last = true;
    queue_drop(files);
    cn_talk_files_unattended(files);
}

void cn_talk_files_end(struct cn_talk_files *files)
{
    queue_drop(files);
    files->is_held = false;
    cn_talk_files_process(files); /* the call ends as soon as both know that all is there */
    if (files->sends || files->receives)
        cn_hint("what has come of the files is kept; to send the same again goes on there");
    if (files->sends)
        out_end(files);
    if (files->receives)
        in_end(files);
}
