/* service.c - what a service manager is told: the protocol of sd_notify(3), of which
 * server/notify.c has more; all that the two programs share is core/, which opens no socket. */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent.h"

void cn_service_say(const char *text)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    size_t size = path ? strlen(path) : 0;
    int fd;

    if (size < 2 || (path[0] != '/' && path[0] != '@') || size >= sizeof to.sun_path)
        return;
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    memcpy(to.sun_path, path, size);
    if (to.sun_path[0] == '@')
        to.sun_path[0] = '\0';
    /* a manager that does not listen hinders nobody */
    (void)sendto(fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT, (const struct sockaddr *)&to,
                 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size));
    close(fd);
}
