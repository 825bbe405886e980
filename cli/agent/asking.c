#include "asking.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "connect.h"
#include "demand.h"
#include "fingerprint.h"
#include "socket.h"

enum { ANSWER_MS = 5000 };

static void close_if_open(int fd)
{
    if (fd >= 0)
        close(fd);
}

/* A line, octet for octet, since what follows is not for us. False: none within the time. *passed:
 * the descriptor that came with it, owned; or -1. */
static bool reply_read(int fd, char reply[CN_REPLY_SIZE_MAX], int *passed)
{
    uint64_t until_ms = cn_connect_clock_ms() + ANSWER_MS;
    size_t size = 0;

    *passed = -1;
    while (size < CN_REPLY_SIZE_MAX) {
        uint64_t now_ms = cn_connect_clock_ms();
        struct pollfd p = { fd, POLLIN, 0 };
        int came;
        ssize_t got = cn_socket_receive(fd, reply + size, 1, &came);

        if (came >= 0) {
            close_if_open(*passed);
            *passed = came;
        }
        if (got == 1 && reply[size] == '\n') {
            reply[size] = '\0';
            return true;
        }
        if (got == 1) {
            size++;
            continue;
        }
        if (got == 0 || (errno != EAGAIN && errno != EINTR) || now_ms >= until_ms)
            return false;
        if (poll(&p, 1, (int)(until_ms - now_ms)) < 0 && errno != EINTR && errno != EAGAIN)
            return false;
    }
    return false;
}

static void reply_tell(const char *reply)
{
    char safe[4 * CN_REPLY_SIZE_MAX];

    if (!reply)
        cn_warn("the agent does not answer");
    else
        cn_warn("the agent: %s", cn_printable(safe, sizeof safe, reply, strlen(reply)));
}

/* The connection on which it says ok; -1: it does not, or there is none. *passed: what came with
 * the ok, owned; -1: nothing did. */
static int ask(const struct cn_cli *cli, const struct cn_demand *demand, int *passed)
{
    char path[PATH_MAX], line[CN_DEMAND_SIZE_MAX], reply[CN_REPLY_SIZE_MAX];
    bool answered;
    int fd;

    *passed = -1;
    cn_socket_path(cli->home, path);
    fd = cn_socket_connect(path);
    if (fd < 0) /* ENOENT, ECONNREFUSED: nobody is there; else nobody whom we could ask */
        return -1;
    if (!cn_socket_is_ours(fd)) {
        cn_warn("%s: not of this user, and not asked", path);
        close(fd);
        return -1;
    }
    cn_demand_encode(demand, line);
    answered = send(fd, line, strlen(line), MSG_NOSIGNAL) == (ssize_t)strlen(line) &&
               reply_read(fd, reply, passed);
    if (answered && strcmp(reply, "ok") == 0)
        return fd;
    if (!answered || strcmp(reply, "none") != 0)
        reply_tell(answered ? reply : NULL);
    close_if_open(*passed);
    *passed = -1;
    close(fd);
    return -1;
}

bool cn_asking_is_there(const struct cn_cli *cli)
{
    const struct cn_demand demand = { .kind = CN_DEMAND_HERE };
    int passed;
    int fd = ask(cli, &demand, &passed);

    close_if_open(passed);
    close_if_open(fd);
    return fd >= 0;
}

static bool contact_put(struct cn_demand *demand, const char *contact)
{
    if (!cn_name_valid(contact)) /* then there is no such contact, which is told elsewhere */
        return false;
    memcpy(demand->contact, contact, strlen(contact) + 1);
    return true;
}

void cn_asking_leave(struct cn_cli *cli, const char *contact, enum cn_call_service service,
                     bool caller)
{
    struct cn_demand demand = { .kind = CN_DEMAND_LEAVE, .service = service, .caller = caller };
    int passed;

    if (cli->asked_agent || !contact_put(&demand, contact))
        return;
    cli->asked_agent = true;
    cli->agent_fd = ask(cli, &demand, &passed);
    close_if_open(passed);
}

int cn_asking_attach(const struct cn_cli *cli, const char *contact, int *news_fd)
{
    struct cn_demand demand = { .kind = CN_DEMAND_ATTACH };

    *news_fd = -1;
    return contact_put(&demand, contact) ? ask(cli, &demand, news_fd) : -1;
}
