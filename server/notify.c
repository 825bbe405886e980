#include "notify.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { FIRST_FD = 3, SAY_MS_MAX = 500 };

/* False: there is one, but it is no number. */
static bool number_take(const char *name, uint64_t *value)
{
    const char *text = getenv(name);
    char *end;

    *value = 0;
    if (!text)
        return true;
    if (text[0] < '0' || text[0] > '9')
        return false;
    errno = 0;
    *value = strtoull(text, &end, 10);
    return errno == 0 && *end == '\0';
}

/* A variable that goes with a pid is meant for that process alone. */
static bool for_us(const char *pid_name, bool *is)
{
    uint64_t pid;

    if (!number_take(pid_name, &pid))
        return false;
    *is = pid == (uint64_t)getpid();
    return true;
}

static bool path_take(struct cn_notify *n)
{
    const char *path = getenv("NOTIFY_SOCKET");

    if (!path || !path[0])
        return true;
    if ((path[0] != '/' && path[0] != '@') || strlen(path) >= sizeof n->path)
        return false;
    memcpy(n->path, path, strlen(path));
    return true;
}

static bool watchdog_take(struct cn_notify *n)
{
    uint64_t us;
    bool is = false;

    if (!number_take("WATCHDOG_USEC", &us) || !for_us("WATCHDOG_PID", &is))
        return false;
    if (is || !getenv("WATCHDOG_PID"))
        n->watchdog_us = us;
    return true;
}

/* The i-th of names that stand between colons. */
static void name_take(struct cn_notify_socket *socket, const char *names, size_t i)
{
    for (; names && i > 0; i--) {
        names = strchr(names, ':');
        names = names ? names + 1 : NULL;
    }
    if (names)
        snprintf(socket->name, sizeof socket->name, "%.*s", (int)strcspn(names, ":"), names);
}

static bool sockets_take(struct cn_notify *n)
{
    const char *names = getenv("LISTEN_FDNAMES");
    uint64_t count;
    bool is = false;

    if (!number_take("LISTEN_FDS", &count) || !for_us("LISTEN_PID", &is))
        return false;
    if (!is)
        return true;
    if (count > CN_NOTIFY_SOCKETS_MAX)
        return false;
    for (size_t i = 0; i < count; i++) {
        n->socket[i].fd = FIRST_FD + (int)i;
        name_take(&n->socket[i], names, i);
        if (fcntl(n->socket[i].fd, F_SETFD, FD_CLOEXEC) != 0)
            return false;
    }
    n->socket_count = (size_t)count;
    return true;
}

void cn_notify_forget(void)
{
    static const char *const names[] = { "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID",
                                         "LISTEN_FDS",    "LISTEN_PID",    "LISTEN_FDNAMES" };

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        unsetenv(names[i]);
}

enum cn_err cn_notify_take(struct cn_notify *notify)
{
    struct cn_notify n = { 0 };
    bool fine = path_take(&n) && watchdog_take(&n) && sockets_take(&n);

    cn_notify_forget();
    if (!fine)
        return CN_E_FORMAT;
    *notify = n;
    return CN_OK;
}

bool cn_notify_give(const struct cn_notify *notify)
{
    char us[32], pid[32];

    snprintf(us, sizeof us, "%" PRIu64, notify->watchdog_us);
    snprintf(pid, sizeof pid, "%d", (int)getpid());
    if (!notify->path[0])
        return true;
    if (setenv("NOTIFY_SOCKET", notify->path, 1) != 0)
        return false;
    return notify->watchdog_us == 0 ||
           (setenv("WATCHDOG_USEC", us, 1) == 0 && setenv("WATCHDOG_PID", pid, 1) == 0);
}

static void send_text(const struct cn_notify *n, const char *text, size_t size)
{
    const struct timeval limit = { .tv_usec = SAY_MS_MAX * 1000 };
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    size_t path_size = strlen(n->path);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return;
    memcpy(to.sun_path, n->path, path_size);
    if (to.sun_path[0] == '@')
        to.sun_path[0] = '\0';
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    (void)sendto(fd, text, size, MSG_NOSIGNAL, (const struct sockaddr *)&to,
                 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + path_size));
    close(fd);
}

void cn_notify_say(const struct cn_notify *notify, const char *format, ...)
{
    char text[CN_NOTIFY_TEXT_SIZE];
    va_list args;
    int size;

    if (!notify->path[0])
        return;
    va_start(args, format);
    size = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (size > 0 && (size_t)size < sizeof text)
        send_text(notify, text, (size_t)size);
}

void cn_notify_reloading(const struct cn_notify *notify)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    cn_notify_say(notify, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64 "\nSTATUS=Replacing the program",
                  (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000);
}

static int option(int fd, int name)
{
    socklen_t size = sizeof(int);
    int value = -1;

    return getsockopt(fd, SOL_SOCKET, name, &value, &size) == 0 ? value : -1;
}

bool cn_notify_listens(int fd, bool local)
{
    int family = option(fd, SO_DOMAIN);
    bool fits = local ? family == AF_UNIX : family == AF_INET || family == AF_INET6;

    return fits && option(fd, SO_TYPE) == SOCK_STREAM && option(fd, SO_ACCEPTCONN) == 1;
}
