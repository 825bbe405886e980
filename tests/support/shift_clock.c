/* shift_clock: preloaded into a program, lets it see the time of day CLOCK_SHIFT_S seconds off, and
 * every clock ahead by as many seconds as the file CLOCK_LEAP_FILE holds at that moment. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static time_t shift_s(void)
{
    const char *text = getenv("CLOCK_SHIFT_S");

    return text ? (time_t)strtol(text, NULL, 10) : 0;
}

static time_t leap_s(void)
{
    const char *path = getenv("CLOCK_LEAP_FILE");
    char text[16] = "";
    int saved = errno;
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;

    if (fd >= 0) {
        if (read(fd, text, sizeof text - 1) < 0)
            abort();
        close(fd);
    }
    errno = saved;
    return (time_t)strtol(text, NULL, 10);
}

__attribute__((visibility("default"))) int clock_gettime(clockid_t clock, struct timespec *out)
{
    int failed = (int)syscall(SYS_clock_gettime, clock, out);

    if (failed == 0)
        out->tv_sec += leap_s() + (clock == CLOCK_REALTIME ? shift_s() : 0);
    return failed;
}

__attribute__((visibility("default"))) time_t time(time_t *out)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    if (out)
        *out = now.tv_sec;
    return now.tv_sec;
}
