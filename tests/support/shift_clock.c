/* shift_clock: preloaded into a program, lets it see the time of day CLOCK_SHIFT_S seconds off, and
 * every clock ahead by as many seconds as the file CLOCK_LEAP_FILE holds at that moment. The
 * others than that of day, and poll with them, go CLOCK_RATE times as fast. */
#undef _FORTIFY_SOURCE /* by which poll would be a function that includes another */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
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

static int rate(void)
{
    const char *text = getenv("CLOCK_RATE");

    return text ? (int)strtol(text, NULL, 10) : 1;
}

/* Since the machine was started, which is the same moment for all who look. */
static void hurry(struct timespec *t)
{
    const int64_t ns = 1000000000;
    const int64_t fast = (t->tv_sec * ns + t->tv_nsec) * rate();

    *t = (struct timespec) { fast / ns, fast % ns };
}

__attribute__((visibility("default"))) int poll(struct pollfd *polled, nfds_t count, int timeout_ms)
{
    const struct timespec timeout = { timeout_ms / 1000 / rate(),
                                      timeout_ms * 1000000L / rate() % 1000000000L };

    return (int)syscall(SYS_ppoll, polled, count, timeout_ms < 0 ? NULL : &timeout, NULL, 0L);
}

/* What poll is called where the compiler knows how many there is room for. */
__attribute__((visibility("default"))) int __poll_chk(struct pollfd *polled, nfds_t count,
                                                      int timeout_ms, size_t room);
__attribute__((visibility("default"))) int __poll_chk(struct pollfd *polled, nfds_t count,
                                                      int timeout_ms, size_t room)
{
    (void)room;
    return poll(polled, count, timeout_ms);
}

__attribute__((visibility("default"))) int clock_gettime(clockid_t clock, struct timespec *out)
{
    int failed = (int)syscall(SYS_clock_gettime, clock, out);

    if (failed == 0 && clock != CLOCK_REALTIME)
        hurry(out);
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
