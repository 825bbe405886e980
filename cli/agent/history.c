#include "history.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "file.h"
#include "home.h"

static const char *const outcomes[CN_HISTORY_OUTCOME_COUNT] = {
    [CN_HISTORY_DONE] = "done",     [CN_HISTORY_REFUSED] = "refused",
    [CN_HISTORY_FAILED] = "failed", [CN_HISTORY_INTERRUPTED] = "interrupted",
    [CN_HISTORY_MISSED] = "missed",
};

void cn_history_open(struct cn_history *history, const struct cn_cli *cli)
{
    const struct cn_home *home = cli->home;

    *history = (struct cn_history) { .cli = cli };
    snprintf(history->path, sizeof history->path, "%s/history",
             home->state[0] ? home->state : home->data);
}

static enum cn_err directory_make(const char *path)
{
    char directory[4096];

    snprintf(directory, sizeof directory, "%.*s", (int)(strrchr(path, '/') - path), path);
    return cn_file_directories(directory);
}

static void rotate(const char *path)
{
    char older[4096 + 8];
    struct stat st;

    if (stat(path, &st) != 0 || st.st_size < CN_HISTORY_FILE_SIZE_MAX)
        return;
    snprintf(older, sizeof older, "%s.1", path);
    (void)rename(path, older); /* else it grows on */
}

/* A line in one write, so that none is ever torn. 0, or errno. */
static int append(const char *path, const char *text, size_t size)
{
    int fd, error = 0;
    ssize_t put;

    if (directory_make(path) != CN_OK)
        return errno;
    rotate(path);
    fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    if (fd < 0)
        return errno;
    put = write(fd, text, size);
    if (put != (ssize_t)size)
        error = put < 0 ? errno : ENOSPC;
    close(fd);
    return error;
}

static void file_put(struct cn_history *history, const struct cn_history_line *line,
                     const char *what)
{
    char text[CN_HISTORY_WHAT_SIZE * 4 + 256];
    char when[32] = "";
    time_t now = time(NULL);
    struct tm tm;
    int size, error;

    if (localtime_r(&now, &tm))
        strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S", &tm);
    size = snprintf(text, sizeof text, "%s  %-12s  %-7s  %-11s  %s\n", when, line->contact,
                    line->service, outcomes[line->outcome], what);
    if (size < 0 || (size_t)size >= sizeof text)
        return;
    error = append(history->path, text, (size_t)size);
    if (error != 0 && error != history->told_error)
        cn_warn("the history cannot be written: %s: %s", history->path, strerror(error));
    history->told_error = error;
}

static void json_put(const struct cn_history_line *line)
{
    printf("{\"v\":1,\"event\":\"call\",\"contact\":\"%s\",\"service\":\"%s\",\"outcome\":\"%s\","
           "\"text\":",
           line->contact, line->service, outcomes[line->outcome]);
    cn_json_string(line->what);
    puts("}");
    fflush(stdout);
}

void cn_history_tell(struct cn_history *history, const struct cn_history_line *line)
{
    char what[CN_HISTORY_WHAT_SIZE * 4];

    cn_printable(what, sizeof what, line->what, strlen(line->what));
    file_put(history, line, what);
    if (history->cli->json)
        json_put(line);
    if (line->outcome == CN_HISTORY_DONE)
        cn_say(history->cli, "%s: %s: %s", line->contact, line->service, line->what);
    else
        cn_warn("%s: %s: %s: %s", line->contact, line->service, outcomes[line->outcome],
                line->what);
}
