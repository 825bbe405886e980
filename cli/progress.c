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
    NAME_WIDTH = 16
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

void cn_progress_begin(struct cn_progress *progress, const struct cn_cli *cli, const char *name,
                       uint64_t total)
{
    int64_t now = clock_ms();

    *progress = (struct cn_progress) { .cli = cli,
                                       .total = total,
                                       .began_ms = now,
                                       .rate_ms = now,
                                       .bar = !cli->quiet && isatty(STDERR_FILENO) };
    cn_printable(progress->name, sizeof progress->name, name, strlen(name));
}

static void rate_measure(struct cn_progress *p, int64_t now)
{
    double seconds = (double)(now - p->rate_ms) / 1000;
    double rate;

    if (now - p->rate_ms < RATE_EVERY_MS)
        return;
    rate = (double)(p->done - p->rate_done) / seconds;
    p->rate = p->rate > 0 ? p->rate * 0.7 + rate * 0.3 : rate;
    p->rate_ms = now;
    p->rate_done = p->done;
}

static int terminal_width(void)
{
    struct winsize size;

    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0)
        return WIDTH_DEFAULT;
    return size.ws_col;
}

static void left_text(const struct cn_progress *p, char out[32])
{
    double seconds = p->rate > 0 ? (double)(p->total - p->done) / p->rate : -1;

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

static void draw(struct cn_progress *p)
{
    char done[32], rate[32], left[32], right[160];
    char bar[256];
    double part = p->total > 0 ? (double)p->done / (double)p->total : 1;
    int width = terminal_width();
    int room, full, fit, blanks;

    left_text(p, left);
    snprintf(right, sizeof right, " %3d%%  %8s  %10s/s  %s", (int)(part * 100),
             cn_size_text(done, (double)p->done), cn_size_text(rate, p->rate), left);
    room = width - 1 - (int)strlen(right) - NAME_WIDTH - 3;
    if (room > (int)sizeof bar - 1)
        room = (int)sizeof bar - 1;
    if (room < BAR_WIDTH_MIN) {
        fprintf(stderr, "\r\033[K%.*s", width - 1, right + 1);
    } else {
        full = (int)(part * room);
        memset(bar, ' ', (size_t)room);
        memset(bar, '=', (size_t)full);
        if (full < room)
            bar[full] = '>';
        bar[room] = '\0';
        fit = name_fit(p->name, &blanks);
        fprintf(stderr, "\r\033[K%.*s%*s [%s]%s", fit, p->name, blanks, "", bar, right);
    }
    fflush(stderr);
    p->is_drawn = true;
}

static void say_json(const struct cn_progress *p)
{
    printf("{\"v\":1,\"event\":\"progress\",\"name\":");
    cn_json_string(p->name);
    printf(",\"done\":%llu,\"total\":%llu,\"rate\":%.0f}\n", (unsigned long long)p->done,
           (unsigned long long)p->total, p->rate);
    fflush(stdout);
}

void cn_progress_update(struct cn_progress *progress, uint64_t done)
{
    int64_t now = clock_ms();

    progress->done = done;
    rate_measure(progress, now);
    if (now - progress->drawn_ms < DRAW_EVERY_MS)
        return;
    progress->drawn_ms = now;
    if (progress->bar)
        draw(progress);
    if (progress->cli->json)
        say_json(progress);
}

void cn_progress_clear(struct cn_progress *progress)
{
    if (progress->is_drawn)
        fputs("\r\033[K", stderr);
    progress->is_drawn = false;
}

void cn_progress_end(struct cn_progress *progress, const char *verb)
{
    double seconds = (double)(clock_ms() - progress->began_ms) / 1000;
    char size[32], rate[32];

    if (seconds < 0.001)
        seconds = 0.001;
    if (progress->bar) { /* the full bar stays, so that one sees how it went */
        progress->done = progress->total;
        progress->rate = (double)progress->total / seconds;
        draw(progress);
        fputc('\n', stderr);
        progress->is_drawn = false;
    }
    cn_say(progress->cli, "%s %s: %s in %.1f s, %s/s", verb, progress->name,
           cn_size_text(size, (double)progress->total), seconds,
           cn_size_text(rate, (double)progress->total / seconds));
}

void cn_progress_outcome(const struct cn_cli *cli, const char *name, uint64_t size,
                         enum cn_transfer_outcome outcome)
{
    static const char *const words[CN_TRANSFER_OUTCOME_COUNT] = {
        [CN_TRANSFER_STORED] = "stored",       [CN_TRANSFER_EXISTS] = "exists",
        [CN_TRANSFER_BAD_NAME] = "bad-name",   [CN_TRANSFER_DISK_FULL] = "disk-full",
        [CN_TRANSFER_MISMATCH] = "mismatch",   [CN_TRANSFER_FAILED] = "failed",
        [CN_TRANSFER_WITHDRAWN] = "withdrawn",
    };

    if (!cli->json)
        return;
    printf("{\"v\":1,\"event\":\"file\",\"name\":");
    cn_json_string(name);
    printf(",\"size\":%llu,\"outcome\":\"%s\"}\n", (unsigned long long)size, words[outcome]);
    fflush(stdout);
}
