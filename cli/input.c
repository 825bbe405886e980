#include "cli.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "picture.h"

enum { DESCRIPTOR_MAX = 1000000 };

int cn_own_end(int fd, int flags)
{
    char path[32];
    int own;

    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    own = open(path, flags | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    return own >= 0 ? own : fd;
}

static int read_all(int fd, char *text, size_t size_max, size_t *size)
{
    *size = 0;
    while (*size < size_max) {
        ssize_t got = read(fd, text + *size, size_max - *size);

        if (got == 0)
            break;
        if (got < 0 && errno != EINTR)
            return errno;
        *size += got > 0 ? (size_t)got : 0;
    }
    return 0;
}

static int read_input(const char *name, int fd, char *text, size_t size_max, size_t *size)
{
    int error = fd < 0 ? errno : read_all(fd, text, size_max, size);

    if (error) {
        cn_error("%s: %s", name, strerror(error));
        return CN_EXIT_FAILED;
    }
    if (cn_picture_begins(text, *size))
        return cn_picture_read(name, fd, text, size_max, size);
    return CN_EXIT_DONE;
}

int cn_text_read(const char *path, char *text, size_t size_max, size_t *size)
{
    bool standard = !path || strcmp(path, "-") == 0;
    const char *name = standard ? "standard input" : path;
    int fd = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    int code;

    if (standard && isatty(STDIN_FILENO))
        fprintf(stderr, "cyphernet: paste the text, then press Ctrl-D\n");
    code = read_input(name, fd, text, size_max, size);
    if (fd >= 0 && !standard)
        close(fd);
    if (code != CN_EXIT_DONE)
        return code;
    if (*size == size_max) {
        cn_error("%s: far too long to be a file of ours", name);
        cn_hint("is it the right file?");
        return CN_EXIT_FAILED;
    }
    if (*size == 0) {
        cn_error("%s: empty", name);
        return CN_EXIT_FAILED;
    }
    return CN_EXIT_DONE;
}

static int write_failed(const char *path, int error)
{
    cn_error("%s: %s", path, strerror(error));
    if (error == EEXIST)
        cn_hint("choose another name, or remove that file first");
    if (error == ENOSPC || error == EDQUOT)
        cn_hint("make room on the disk and ask for it again");
    return CN_EXIT_FAILED;
}

int cn_output_open(struct cn_output *output, const char *path)
{
    bool standard = !path || strcmp(path, "-") == 0;

    output->path = standard ? NULL : path;
    output->fd =
        standard ? STDOUT_FILENO : open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    return output->fd >= 0 ? CN_EXIT_DONE : write_failed(path, errno);
}

static int write_all(int fd, const char *text, size_t size)
{
    for (size_t done = 0; done < size;) {
        ssize_t put = write(fd, text + done, size - done);

        if (put < 0 && errno != EINTR)
            return errno;
        done += put > 0 ? (size_t)put : 0;
    }
    return 0;
}

/* Line by line, since stdio would keep a copy. Armour holds nothing else that JSON would escape. */
static int write_json(int fd, const char *event, const char *text, size_t size)
{
    char head[64];
    int error;

    snprintf(head, sizeof head, "{\"v\":1,\"event\":\"%s\",\"text\":\"", event);
    error = write_all(fd, head, strlen(head));
    while (!error && size > 0) {
        const char *end = memchr(text, '\n', size);
        size_t line = end ? (size_t)(end - text) : size;

        error = write_all(fd, text, line);
        if (!error && end)
            error = write_all(fd, "\\n", 2);
        line += end != NULL;
        text += line;
        size -= line;
    }
    return error ? error : write_all(fd, "\"}\n", 3);
}

int cn_output_write(const struct cn_cli *cli, struct cn_output *output, const char *event,
                    const char *text, size_t size)
{
    int error = cli->json && !output->path ? write_json(output->fd, event, text, size)
                                           : write_all(output->fd, text, size);

    if (!output->path)
        return error ? write_failed("standard output", error) : CN_EXIT_DONE;
    if (!error && fsync(output->fd) != 0)
        error = errno;
    if (close(output->fd) != 0 && !error)
        error = errno;
    if (error) {
        (void)unlink(output->path); /* half a card must not look like one */
        return write_failed(output->path, error);
    }
    return CN_EXIT_DONE;
}

void cn_output_drop(struct cn_output *output)
{
    if (!output->path)
        return;
    close(output->fd);
    (void)unlink(output->path);
}

bool cn_descriptor(const char *text, int *fd)
{
    char *end;
    long number = strtol(text, &end, 10);

    if (text[0] < '0' || text[0] > '9' || *end || number > DESCRIPTOR_MAX ||
        fcntl((int)number, F_GETFD) < 0)
        return false;
    *fd = (int)number;
    return true;
}

bool cn_seconds(const char *text, int64_t *ms)
{
    char *end;
    double seconds;

    if (text[0] < '0' || text[0] > '9' || text[strspn(text, "0123456789.")])
        return false;
    seconds = strtod(text, &end);
    if (*end || seconds > CN_SECONDS_MAX)
        return false;
    *ms = (int64_t)(seconds * 1000);
    return true;
}
