#include "picture.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli.h"
#include "crypto.h"

enum {
    PICTURE_SIZE_MAX = 64 << 20,
    READER_SECONDS = 60, /* of processor time */
    READER_MEMORY_MAX = 1 << 30,
    NOT_INSTALLED = 127, /* as shells say it */
    NOTHING_FOUND = 4    /* zbarimg(1) */
};

/* What ImageMagick, on which zbarimg stands, calls them: it shall not guess what else it may be. */
static const struct {
    const char *kind;
    size_t at, size;
    const char *octets;
} kinds[] = {
    { "png", 0, 8, "\x89PNG\r\n\x1a\n" },
    { "jpeg", 0, 3, "\xff\xd8\xff" },
    { "webp", 8, 4, "WEBP" },
};

static const char *kind_of(const char *octets, size_t size)
{
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (size >= kinds[i].at + kinds[i].size &&
            memcmp(octets + kinds[i].at, kinds[i].octets, kinds[i].size) == 0)
            return kinds[i].kind;
    }
    return NULL;
}

bool cn_picture_begins(const char *octets, size_t size)
{
    return kind_of(octets, size) != NULL;
}

static bool put_all(int fd, const char *octets, size_t size)
{
    while (size > 0) {
        ssize_t put = write(fd, octets, size);

        if (put < 0 && errno != EINTR)
            return false;
        octets += put > 0 ? put : 0;
        size -= put > 0 ? (size_t)put : 0;
    }
    return true;
}

/* Append what is left of fd. */
static bool copy_rest(int fd, int whole, size_t total)
{
    char block[16384];
    bool good = true;

    while (good) {
        ssize_t got = read(fd, block, sizeof block);

        if (got == 0)
            break;
        if (got < 0 && errno == EINTR)
            continue;
        total += got > 0 ? (size_t)got : 0;
        good = got > 0 && total <= PICTURE_SIZE_MAX && put_all(whole, block, (size_t)got);
        if (total > PICTURE_SIZE_MAX)
            errno = EFBIG;
    }
    cn_wipe(block, sizeof block);
    return good;
}

/* The whole picture as a file without a name, since it shows a secret; -1 and errno. */
static int collect(int fd, const char *begin, size_t size)
{
    int whole = memfd_create("picture", MFD_CLOEXEC);
    int error;

    if (whole < 0 || (put_all(whole, begin, size) && copy_rest(fd, whole, size) &&
                      lseek(whole, 0, SEEK_SET) == 0))
        return whole;
    error = errno;
    close(whole);
    errno = error;
    return -1;
}

/* In the child: what it finds goes to the pipe, and to nobody on a bus. */
__attribute__((noreturn)) static void reader_run(int picture, int out, const char *kind)
{
    const struct rlimit time = { READER_SECONDS, READER_SECONDS };
    const struct rlimit memory = { READER_MEMORY_MAX, READER_MEMORY_MAX };
    int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    char file[32];

    /* its own name for the descriptor, of which ImageMagick makes no file in /tmp, as of "-" */
    snprintf(file, sizeof file, "%s:fd:0", kind);
    (void)setenv("MAGICK_THREAD_LIMIT", "1", true); /* each would take its share of the memory */
    (void)setenv("OMP_NUM_THREADS", "1", true);
    (void)setrlimit(RLIMIT_CPU, &time);
    (void)setrlimit(RLIMIT_AS, &memory);
    if (nowhere >= 0 && dup2(picture, STDIN_FILENO) == STDIN_FILENO &&
        dup2(out, STDOUT_FILENO) == STDOUT_FILENO &&
        dup2(nowhere, STDERR_FILENO) == STDERR_FILENO &&
        close_range(STDERR_FILENO + 1, UINT_MAX, 0) == 0) /* one may hold the passphrase */
        (void)execlp("zbarimg", "zbarimg", "--quiet", "--nodbus", "--raw", "-Sdisable",
                     "-Sqrcode.enable", file, (char *)NULL);
    _exit(NOT_INSTALLED);
}

/* Its output, and its exit code; -1: it did not end by itself, or said too much. */
static int reader_wait(pid_t child, int in, char *text, size_t size_max, size_t *size)
{
    int status = 0;
    ssize_t got = 1;

    *size = 0;
    while (*size < size_max && got != 0) {
        got = read(in, text + *size, size_max - *size);
        if (got < 0 && errno != EINTR)
            break;
        *size += got > 0 ? (size_t)got : 0;
    }
    close(in); /* if it has more to say, it ends by SIGPIPE */
    while (waitpid(child, &status, 0) < 0) {
        if (errno != EINTR)
            return -1;
    }
    return got == 0 && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* zbarimg's exit code; -1: it could not be run, or did not end as it should. */
static int find_codes(int picture, const char *kind, char *text, size_t size_max, size_t *size)
{
    int ends[2];
    pid_t child;

    if (pipe2(ends, O_CLOEXEC) != 0)
        return -1;
    child = fork();
    if (child == 0)
        reader_run(picture, ends[1], kind);
    close(ends[1]);
    if (child > 0)
        return reader_wait(child, ends[0], text, size_max, size);
    close(ends[0]);
    return -1;
}

static int tell(const char *name, int code)
{
    if (code == NOT_INSTALLED) {
        cn_error("%s: reading codes from pictures needs zbarimg, which is not there", name);
        cn_hint(
            "`apt-get install zbar-tools`; or give the text that another reader of codes shows");
    } else if (code == NOTHING_FOUND) {
        cn_error("%s: no code found in the picture", name);
        cn_hint("take it straight, sharp and whole, with the white edge around each code");
    } else {
        cn_error("%s: not a picture that zbarimg can read", name);
    }
    return CN_EXIT_FAILED;
}

int cn_picture_read(const char *name, int fd, char *text, size_t size_max, size_t *size)
{
    const char *kind = kind_of(text, *size);
    int picture = collect(fd, text, *size);
    int code;

    if (picture < 0) {
        cn_error("%s: %s", name, strerror(errno));
        return CN_EXIT_FAILED;
    }
    code = find_codes(picture, kind, text, size_max, size);
    close(picture);
    if (code == 0 && *size == 0) /* of a picture that is cut off */
        code = NOTHING_FOUND;
    return code == 0 ? CN_EXIT_DONE : tell(name, code);
}
