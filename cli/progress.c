#include "progress.h"

#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum {
    DRAW_EVERY_MS = 100,
    RATE_EVERY_MS = 250,
    WIDTH_DEFAULT = 80,
    STALL_MS = 2500,
    LOOK_EVERY_MS = 250 /* where nothing is drawn: so a stall is told within three seconds */
};

static int64_t clock_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void cn_progress_begin(struct cn_progress *progress, const struct cn_cli *cli, bool sends)
{
    int64_t now = clock_ms();

    *progress = (struct cn_progress) { .cli = cli,
                                       .sends = sends,
                                       .began_ms = now,
                                       .rate_ms = now,
                                       .moved_ms = now,
                                       .bar = !cli->quiet && isatty(STDERR_FILENO) };
}

double cn_progress_seconds(const struct cn_progress *progress)
{
    int64_t ms = clock_ms() - progress->began_ms;

    return (double)(ms > 0 ? ms : 1) / 1000;
}

static void rate_measure(struct cn_progress *p, int64_t now)
{
    double seconds = (double)(now - p->rate_ms) / 1000;
    double rate;

    if (now - p->rate_ms < RATE_EVERY_MS)
        return;
    rate = p->now.moved > p->rate_moved ? (double)(p->now.moved - p->rate_moved) / seconds : 0;
    p->rate = p->rate > 0 ? p->rate * 0.7 + rate * 0.3 : rate;
    p->rate_ms = now;
    p->rate_moved = p->now.moved;
}

/* The members that every event of a call has. Whom it is with is the first argument of all commands
 * that transfer. */
static void say_head(const struct cn_cli *cli, const char *event)
{
    char contact[CN_JSON_MEMBER_SIZE(256)];

    printf("{\"v\":1,\"event\":\"%s\",%s", event,
           cn_json_member(contact, sizeof contact, "contact", cli->arguments[0]));
}

/* --- stalls --------------------------------------------------------------------------------- */

static const struct {
    const char *word; /* of JSON */
    const char *at_sender, *at_receiver;
} waits[] = {
    [CN_TRANSFER_WAITS_NOT] = { "nothing", "nothing", "nothing" },
    [CN_TRANSFER_WAITS_CONSENT] = { "consent", "the receiver to accept it", "your answer" },
    [CN_TRANSFER_WAITS_SOURCE] = { "source", "what is read here", "what the sender reads" },
    [CN_TRANSFER_WAITS_LINE] = { "line", "the line, or the receiver, which takes nothing",
                                 "the line, or the sender" },
    [CN_TRANSFER_WAITS_DISK] = { "disk", "the receiver's disk", "the disk here" },
    [CN_TRANSFER_WAITS_PARTNER] = { "partner", "the receiver", "the sender" },
};

static const char *wait_text(const struct cn_progress *p)
{
    return p->sends ? waits[p->now.wait].at_sender : waits[p->now.wait].at_receiver;
}

/* Whether nothing has moved for so long that one should know why. */
static void stall_look(struct cn_progress *p, const struct cn_transfer_progress *before,
                       int64_t now)
{
    if (p->now.done != before->done || p->now.over_count != before->over_count ||
        p->now.moved != before->moved || p->now.entry_count != before->entry_count) {
        p->moved_ms = now;
        p->is_stalled = false;
    }
    if (p->is_stalled || now - p->moved_ms < STALL_MS)
        return;
    p->is_stalled = true;
    if (!p->bar)
        cn_say(p->cli, "nothing moves: waiting for %s", wait_text(p));
    if (!p->cli->json)
        return;
    say_head(p->cli, "stall");
    printf(",\"reason\":\"%s\"}\n", waits[p->now.wait].word);
    fflush(stdout);
}

/* --- bars ----------------------------------------------------------------------------------- */

static int terminal_width(void)
{
    struct winsize size;

    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0)
        return WIDTH_DEFAULT;
    return size.ws_col;
}

static void line_text(const struct cn_progress *p, const char *name, uint64_t done, uint64_t total,
                      char out[CN_BAR_SIZE_MAX])
{
    const struct cn_bar bar = { .name = name, .done = done, .total = total, .rate = p->rate };

    (void)cn_bar_text(&bar, terminal_width(), out);
}

/* What is known of all: a line below the file's. */
static bool all_text(const struct cn_progress *p, char out[CN_BAR_SIZE_MAX])
{
    char text[64];

    if (p->is_stalled) {
        snprintf(text, sizeof text, "waiting for %s", wait_text(p));
        (void)cn_bar_cut(text, terminal_width() - 1, out);
        return true;
    }
    snprintf(text, sizeof text, "%llu of %llu", (unsigned long long)p->now.over_count,
             (unsigned long long)p->now.entry_count);
    line_text(p, text, p->now.done, p->now.size, out);
    return p->now.entry_count > 1;
}

/* To the first of the lines that are drawn. */
static const char *back_text(const struct cn_progress *p)
{
    return p->drawn_lines > 1 ? "\r\033[A" : p->drawn_lines > 0 ? "\r" : "";
}

/* One line for a file; of several, one below it for all. Over what is there, and all at once, so
 * that nothing flickers. */
static void draw(struct cn_progress *p)
{
    char file[CN_BAR_SIZE_MAX] = "", all[CN_BAR_SIZE_MAX] = "";
    char frame[2 * CN_BAR_SIZE_MAX + 64];
    const bool has_file = p->name[0] != '\0';
    const bool has_all = all_text(p, all);
    const unsigned lines = (unsigned)has_file + has_all;

    if (lines < p->drawn_lines)
        cn_progress_clear(p);
    if (lines == 0)
        return;
    if (has_file)
        line_text(p, p->name, p->now.file_done, p->now.file_size, file);
    snprintf(frame, sizeof frame, "%s%s%s%s%s%s", back_text(p), has_file ? file : "",
             has_file ? "\033[K" : "", has_file && has_all ? "\n" : "", has_all ? all : "",
             has_all ? "\033[K" : "");
    fputs(frame, stderr);
    fflush(stderr);
    p->drawn_lines = lines;
    p->is_away = false;
}

static void say_total(const char *key, uint64_t total)
{
    if (total == UINT64_MAX)
        printf(",\"%s\":null", key);
    else
        printf(",\"%s\":%llu", key, (unsigned long long)total);
}

static void say_json(const struct cn_progress *p)
{
    char name[CN_JSON_MEMBER_SIZE(CN_PROGRESS_PATH_SIZE)];

    if (!p->path[0])
        return;
    say_head(p->cli, "progress");
    printf(",%s,\"done\":%llu", cn_json_member(name, sizeof name, "name", p->path),
           (unsigned long long)p->now.file_done);
    say_total("total", p->now.file_size);
    printf(",\"rate\":%.0f,\"over\":%llu,\"count\":%llu,\"all_done\":%llu", p->rate,
           (unsigned long long)p->now.over_count, (unsigned long long)p->now.entry_count,
           (unsigned long long)p->now.done);
    say_total("all_total", p->now.size);
    puts("}");
    fflush(stdout);
}

static uint64_t at_least(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* Take what is now. What has been shown never goes back: of a file that has to come again, or of
 * what is counted twice for a moment, it stands until that is made good. */
static void take(struct cn_progress *p, const struct cn_transfer_progress *now)
{
    const struct cn_transfer_progress before = p->now;
    const bool same_file = now->file && strcmp(now->file, p->path) == 0;

    p->now = *now;
    p->now.file = NULL;
    p->now.done = at_least(before.done, now->done);
    p->now.moved = at_least(before.moved, now->moved);
    p->now.over_count = at_least(before.over_count, now->over_count);
    if (same_file)
        p->now.file_done = at_least(before.file_done, now->file_done);
    if (!now->file || same_file)
        return;
    snprintf(p->path, sizeof p->path, "%s", now->file);
    cn_printable(p->name, sizeof p->name, now->file, strlen(now->file));
}

/* Whoever decides takes the time he needs, which is none of the transfer's. */
static void begin_now(struct cn_progress *p, int64_t now_ms)
{
    p->began_ms = p->rate_ms = now_ms;
}

void cn_progress_hold(struct cn_progress *progress)
{
    progress->moved_ms = clock_ms();
    begin_now(progress, progress->moved_ms);
}

int64_t cn_progress_still_ms(const struct cn_progress *progress)
{
    return clock_ms() - progress->moved_ms;
}

void cn_progress_update(struct cn_progress *progress, const struct cn_transfer_progress *now)
{
    const struct cn_transfer_progress before = progress->now;
    int64_t now_ms = clock_ms();

    if (now_ms - progress->drawn_ms >= STALL_MS) /* we were stopped, or the machine was */
        progress->moved_ms = now_ms;
    if (now_ms - progress->drawn_ms < DRAW_EVERY_MS) {
        if (progress->bar && progress->is_away)
            draw(progress);
        return;
    }
    progress->drawn_ms = now_ms;
    take(progress, now);
    if (now->wait == CN_TRANSFER_WAITS_CONSENT)
        begin_now(progress, now_ms);
    rate_measure(progress, now_ms);
    stall_look(progress, &before, now_ms);
    if (progress->bar)
        draw(progress);
    if (progress->cli->json)
        say_json(progress);
}

void cn_progress_end(struct cn_progress *progress, const struct cn_transfer_progress *now)
{
    struct cn_progress *p = progress;
    char line[CN_BAR_SIZE_MAX];

    cn_progress_clear(p);
    p->is_away = false;
    if (!p->bar || !now->file)
        return;
    take(p, now);
    p->rate = (double)now->moved / cn_progress_seconds(p);
    if (now->entry_count == 1)
        line_text(p, p->name, p->now.file_done, p->now.file_done, line);
    else
        line_text(p, "all", p->now.done, p->now.done, line);
    fprintf(stderr, "%s\n", line);
}

int cn_progress_timeout_ms(const struct cn_progress *progress)
{
    return progress->bar ? DRAW_EVERY_MS : LOOK_EVERY_MS;
}

void cn_progress_clear(struct cn_progress *progress)
{
    progress->is_away |= progress->drawn_lines > 0;
    for (; progress->drawn_lines > 1; progress->drawn_lines--)
        fputs("\r\033[K\033[A", stderr);
    if (progress->drawn_lines > 0)
        fputs("\r\033[K", stderr);
    progress->drawn_lines = 0;
}

void cn_progress_outcome(const struct cn_cli *cli, const struct cn_transfer_event *event)
{
    static const char *const words[CN_TRANSFER_OUTCOME_COUNT] = {
        [CN_TRANSFER_STORED] = "stored",       [CN_TRANSFER_EXISTS] = "exists",
        [CN_TRANSFER_BAD_NAME] = "bad-name",   [CN_TRANSFER_DISK_FULL] = "disk-full",
        [CN_TRANSFER_MISMATCH] = "mismatch",   [CN_TRANSFER_FAILED] = "failed",
        [CN_TRANSFER_WITHDRAWN] = "withdrawn", [CN_TRANSFER_UNCHANGED] = "unchanged",
        [CN_TRANSFER_UNWANTED] = "unwanted",
    };
    static const char *const kinds[] = {
        [CN_TRANSFER_FILE] = "file",
        [CN_TRANSFER_DIRECTORY] = "directory",
        [CN_TRANSFER_LINK] = "link",
    };

    char member[CN_JSON_MEMBER_SIZE(CN_PROGRESS_PATH_SIZE)];

    if (!cli->json)
        return;
    say_head(cli, "file");
    printf(",%s,\"kind\":\"%s\",\"size\":%llu,\"outcome\":\"%s\"",
           cn_json_member(member, sizeof member, "name", event->path), kinds[event->kind],
           (unsigned long long)event->size, words[event->outcome]);
    if (event->stored_as)
        printf(",%s", cn_json_member(member, sizeof member, "as", event->stored_as));
    puts("}");
    fflush(stdout);
}

void cn_progress_problem(const struct cn_cli *cli, const struct cn_transfer_event *event,
                         const char *text)
{
    static const char *const words[] = {
        [CN_TRANSFER_REASON_SYSTEM] = "system",       [CN_TRANSFER_REASON_CHANGED] = "changed",
        [CN_TRANSFER_REASON_SPECIAL] = "special",     [CN_TRANSFER_REASON_NAME] = "too-long",
        [CN_TRANSFER_REASON_NO_MEMORY] = "no-memory", [CN_TRANSFER_REASON_LIBRARY] = "library",
    };
    char path[CN_JSON_MEMBER_SIZE(2 * CN_PROGRESS_PATH_SIZE)];

    if (!cli->json)
        return;
    say_head(cli, "problem");
    printf(",%s,\"reason\":\"%s\",\"text\":",
           cn_json_member(path, sizeof path, "path", event->path), words[event->reason]);
    cn_json_string(text);
    puts("}");
    fflush(stdout);
}
