#include "cli.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int cn_own_end(int fd, int flags)
{
    char path[32];
    int own;

    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    own = open(path, flags | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    return own >= 0 ? own : fd;
}

int cn_text_read(const char *path, char *text, size_t size_max, size_t *size)
{
    bool standard = !path || strcmp(path, "-") == 0;
    const char *name = standard ? "standard input" : path;
    FILE *file = standard ? stdin : fopen(path, "re");

    if (!file) {
        cn_error("%s: %s", name, strerror(errno));
        return CN_EXIT_FAILED;
    }
    if (standard && isatty(STDIN_FILENO))
        fprintf(stderr, "cyphernet: paste the text, then press Ctrl-D\n");
    errno = 0;
    *size = fread(text, 1, size_max, file);
    if (ferror(file)) {
        cn_error("%s: %s", name, strerror(errno));
        if (!standard)
            fclose(file);
        return CN_EXIT_FAILED;
    }
    if (!standard)
        fclose(file);
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
    return CN_EXIT_FAILED;
}

int cn_text_writable(const char *path)
{
    struct stat st;

    if (!path || strcmp(path, "-") == 0)
        return CN_EXIT_DONE;
    if (lstat(path, &st) == 0)
        return write_failed(path, EEXIST);
    return CN_EXIT_DONE;
}

int cn_text_write(const char *path, const char *text, size_t size)
{
    int fd, error = 0;

    if (!path || strcmp(path, "-") == 0)
        return fwrite(text, 1, size, stdout) == size ? CN_EXIT_DONE
                                                     : write_failed("standard output", errno);
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return write_failed(path, errno);
    for (size_t done = 0; done < size && !error;) {
        ssize_t put = write(fd, text + done, size - done);

        if (put < 0 && errno != EINTR)
            error = errno;
        done += put > 0 ? (size_t)put : 0;
    }
    if (!error && fsync(fd) != 0)
        error = errno;
    if (close(fd) != 0 && !error)
        error = errno;
    if (error) {
        (void)unlink(path); /* half a card must not look like one */
        return write_failed(path, error);
    }
    return CN_EXIT_DONE;
}

bool cn_seconds(const char *text, int64_t *ms)
{
    char *end;
    double seconds;

    if (text[0] < '0' || text[0] > '9')
        return false;
    errno = 0;
    seconds = strtod(text, &end);
    if (errno || *end || !(seconds >= 0) || seconds > 1e9)
        return false;
    *ms = (int64_t)(seconds * 1000);
    return true;
}
