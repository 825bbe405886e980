#include "progress.h"

#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum {
    DRAW_EVERY_MS = 100,
    RATE_EVERY_MS = 250,
    WIDTH_DEFAULT = 80,
    BAR_WIDTH_MIN = 8,
    NAME_WIDTH = 16,
    LINE_SIZE_MAX = 1024,
    STALL_MS = 3000
};

static int64_t clock_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

char *cn_size_text(char *out, double size)
{
    static const char *const units[] = { "B", "kB", "MB", "GB", "TB", "PB" };
    size_t i = 0;

    for (; size >= 999.95 && i + 1 < sizeof units / sizeof units[0]; i++)
        size /= 1000;
    snprintf(out, 32, i == 0 ? "%.0f %s" : "%.1f %s", size, units[i]);
    return out;
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
        cn_say(p->cli, "nothing has moved for %d s: waiting for %s", STALL_MS / 1000, wait_text(p));
    if (!p->cli->json)
        return;
    printf("{\"v\":1,\"event\":\"stall\",\"reason\":\"%s\"}\n", waits[p->now.wait].word);
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

/* The time that is left at this rate. */
static void left_text(char out[32], uint64_t left, double rate)
{
    double seconds = rate > 0 ? (double)left / rate : -1;

    if (seconds < 0 || seconds > 359999)
        snprintf(out, 32, "--:--");
    else if (seconds >= 3600)
        snprintf(out, 32, "%d:%02d:%02d", (int)seconds / 3600, (int)seconds / 60 % 60,
                 (int)seconds % 60);
    else
        snprintf(out, 32, "%d:%02d", (int)seconds / 60, (int)seconds % 60);
}

/* The octets of the whole characters of a name that fit, and the blanks that fill the rest. A
 * character of three octets or more is taken to be two columns wide, as most of them are. */
static int name_fit(const char *name, int *blanks)
{
    int fit = 0;
    int left = NAME_WIDTH;

    while (name[fit]) {
        int size = 1;

        while (((unsigned char)name[fit + size] & 0xc0) == 0x80)
            size++;
        if (left < (size < 3 ? 1 : 2))
            break;
        left -= size < 3 ? 1 : 2;
        fit += size;
    }
    *blanks = left;
    return fit;
}

/* What stands right of a bar. */
static void right_text(const struct cn_progress *p, char out[160], uint64_t done, uint64_t total)
{
    char octets[32], rate[32], left[32];

    if (total == UINT64_MAX) {
        snprintf(out, 160, "       %8s  %10s/s", cn_size_text(octets, (double)done),
                 cn_size_text(rate, p->rate));
        return;
    }
    left_text(left, total - done, p->rate);
    snprintf(out, 160, " %3d%%  %8s  %10s/s  %s",
             total > 0 ? (int)((double)done / (double)total * 100) : 100,
             cn_size_text(octets, (double)done), cn_size_text(rate, p->rate), left);
}

static void draw_line(const struct cn_progress *p, const char *name, uint64_t done, uint64_t total)
{
    char right[160], bar[256];
    double part = total == UINT64_MAX ? 0 : total > 0 ? (double)done / (double)total : 1;
    int width = terminal_width();
    int room, full, fit, blanks;

    right_text(p, right, done, total);
    room = width - 1 - (int)strlen(right) - NAME_WIDTH - 3;
    if (room > (int)sizeof bar - 1)
        room = (int)sizeof bar - 1;
    if (room < BAR_WIDTH_MIN) {
        fprintf(stderr, "\r\033[K%.*s", width - 1, right + 1);
        return;
    }
    full = (int)(part * room);
    memset(bar, ' ', (size_t)room);
    memset(bar, '=', (size_t)full);
    if (full < room)
        bar[full] = '>';
    bar[room] = '\0';
    fit = name_fit(name, &blanks);
    fprintf(stderr, "\r\033[K%.*s%*s [%s]%s", fit, name, blanks, "", bar, right);
}

static void draw_stall(const struct cn_progress *p)
{
    fprintf(stderr, "\r\033[K%.*s", terminal_width() - 1, "waiting for ");
    fprintf(stderr, "%.*s", terminal_width() > 13 ? terminal_width() - 13 : 0, wait_text(p));
}

static uint64_t at_most(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* One line for a file; of several, one below it for all. */
static void draw(struct cn_progress *p)
{
    char all[64];

    cn_progress_clear(p);
    if (p->name[0]) {
        draw_line(p, p->name, at_most(p->now.file_done, p->now.file_size), p->now.file_size);
        p->drawn_lines++;
    }
    if (p->now.entry_count > 1 || p->is_stalled) {
        if (p->drawn_lines > 0)
            fputc('\n', stderr);
        snprintf(all, sizeof all, "%llu of %llu", (unsigned long long)p->now.over_count,
                 (unsigned long long)p->now.entry_count);
        if (p->is_stalled)
            draw_stall(p);
        else
            draw_line(p, all, at_most(p->now.done, p->now.size), p->now.size);
        p->drawn_lines++;
    }
    fflush(stderr);
}

static void say_json(const struct cn_progress *p)
{
    if (!p->name[0])
        return;
    printf("{\"v\":1,\"event\":\"progress\",\"name\":");
    cn_json_string(p->name);
    printf(",\"done\":%llu,\"total\":", (unsigned long long)p->now.file_done);
    if (p->now.file_size == UINT64_MAX)
        printf("null");
    else
        printf("%llu", (unsigned long long)p->now.file_size);
    printf(",\"rate\":%.0f,\"over\":%llu,\"count\":%llu,\"all_done\":%llu,\"all_total\":%llu}\n",
           p->rate, (unsigned long long)p->now.over_count, (unsigned long long)p->now.entry_count,
           (unsigned long long)p->now.done, (unsigned long long)p->now.size);
    fflush(stdout);
}

void cn_progress_update(struct cn_progress *progress, const struct cn_transfer_progress *now)
{
    const struct cn_transfer_progress before = progress->now;
    int64_t now_ms = clock_ms();

    if (now_ms - progress->drawn_ms < DRAW_EVERY_MS)
        return;
    progress->drawn_ms = now_ms;
    progress->now = *now;
    progress->now.file = NULL;
    if (now->file)
        cn_printable(progress->name, sizeof progress->name, now->file, strlen(now->file));
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

    cn_progress_clear(p);
    if (!p->bar || !now->file)
        return;
    p->now = *now;
    p->now.file = NULL;
    p->rate = (double)now->moved / cn_progress_seconds(p);
    cn_printable(p->name, sizeof p->name, now->file, strlen(now->file));
    if (now->entry_count == 1)
        draw_line(p, p->name, now->file_done, now->file_done);
    else
        draw_line(p, "all", now->done, now->done);
    fputc('\n', stderr);
}

int cn_progress_timeout_ms(const struct cn_progress *progress)
{
    return progress->bar ? DRAW_EVERY_MS : STALL_MS / 6;
}

void cn_progress_clear(struct cn_progress *progress)
{
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

    if (!cli->json)
        return;
    printf("{\"v\":1,\"event\":\"file\",\"name\":");
    cn_json_string(event->path);
    printf(",\"kind\":\"%s\",\"size\":%llu,\"outcome\":\"%s\"", kinds[event->kind],
           (unsigned long long)event->size, words[event->outcome]);
    if (event->stored_as) {
        printf(",\"as\":");
        cn_json_string(event->stored_as);
    }
    puts("}");
    fflush(stdout);
}
