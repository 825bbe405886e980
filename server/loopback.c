#include "loopback.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 16, IPV4_LOOPBACK = 127 };

static bool port_parse(const char *text, in_port_t *port)
{
    char *end;
    unsigned long number;

    if (text[0] < '1' || text[0] > '9')
        return false;
    number = strtoul(text, &end, 10);
    *port = htons((uint16_t)number);
    return *end == '\0' && end - text <= 5 && number <= UINT16_MAX;
}

static bool ipv4_parse(struct cn_loopback *l, const char *host, const char *port)
{
    struct sockaddr_in a = { .sin_family = AF_INET };

    if (inet_pton(AF_INET, host, &a.sin_addr) != 1 ||
        ntohl(a.sin_addr.s_addr) >> 24 != IPV4_LOOPBACK || !port_parse(port, &a.sin_port))
        return false;
    memcpy(&l->address, &a, sizeof a);
    l->size = sizeof a;
    return true;
}

static bool ipv6_parse(struct cn_loopback *l, const char *host, const char *port)
{
    struct sockaddr_in6 a = { .sin6_family = AF_INET6 };

    if (inet_pton(AF_INET6, host, &a.sin6_addr) != 1 || !IN6_IS_ADDR_LOOPBACK(&a.sin6_addr) ||
        !port_parse(port, &a.sin6_port))
        return false;
    memcpy(&l->address, &a, sizeof a);
    l->size = sizeof a;
    return true;
}

/* The ending keeps it from taking the place of any other file of the directory. */
static bool name_parse(struct cn_loopback *l, const char *text)
{
    static const char fine[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.";
    static const char ending[] = ".sock";
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    size_t size = strlen(text);

    if (size < sizeof ending || size >= sizeof a.sun_path || strspn(text, fine) != size ||
        text[0] == '.' || strcmp(text + size - (sizeof ending - 1), ending) != 0)
        return false;
    memcpy(a.sun_path, text, size);
    memcpy(&l->address, &a, sizeof a);
    l->size = sizeof a;
    return true;
}

bool cn_loopback_parse(struct cn_loopback *loopback, const char *text)
{
    struct cn_loopback l = { 0 };
    char host[CN_LOOPBACK_TEXT_SIZE];
    const char *colon = strrchr(text, ':');
    size_t size = colon ? (size_t)(colon - text) : 0;
    bool fine;

    if (strlen(text) >= sizeof host)
        return false;
    memcpy(host, text, size);
    host[size] = '\0';
    if (!colon) {
        fine = name_parse(&l, text);
    } else if (size > 2 && host[0] == '[' && host[size - 1] == ']') {
        host[size - 1] = '\0';
        fine = ipv6_parse(&l, host + 1, colon + 1);
    } else {
        fine = ipv4_parse(&l, host, colon + 1);
    }
    if (fine)
        *loopback = l;
    return fine;
}

static void old_remove(const struct cn_loopback *l)
{
    const struct sockaddr_un *a = (const struct sockaddr_un *)(const void *)&l->address;
    struct stat st;

    if (l->address.ss_family == AF_UNIX && lstat(a->sun_path, &st) == 0 && S_ISSOCK(st.st_mode))
        (void)unlink(a->sun_path);
}

enum cn_err cn_loopback_listen(int *fd, const char *text)
{
    const int on = 1;
    struct cn_loopback l;
    int made, saved;

    if (!cn_loopback_parse(&l, text))
        return CN_E_FORMAT;
    made = socket(l.address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (made < 0)
        return CN_E_SYSTEM;
    old_remove(&l);
    if (setsockopt(made, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
        bind(made, (const struct sockaddr *)&l.address, l.size) == 0 &&
        listen(made, BACKLOG) == 0) {
        *fd = made;
        return CN_OK;
    }
    saved = errno;
    close(made);
    errno = saved;
    return CN_E_SYSTEM;
}
