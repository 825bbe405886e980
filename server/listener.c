#include "listener.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "log.h"

enum { BACKLOG = 4096, ACCEPTS_PER_TURN = 64, RESUME_MS = 100 };

/* False: errno. */
static bool bind_one(struct cn_listeners *listeners, const struct addrinfo *a)
{
    const int on = 1;
    int fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct cn_listener *l = &listeners->listener[listeners->count];

    if (fd < 0)
        return false;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        (a->ai_family == AF_INET6 &&
         setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) != 0) ||
        bind(fd, a->ai_addr, a->ai_addrlen) != 0 || listen(fd, BACKLOG) != 0) {
        int saved = errno;

        close(fd);
        errno = saved;
        return false;
    }
    l->watch.fd = fd;
    l->all = listeners;
    listeners->count++;
    return true;
}

/* An address of the name that this machine has not, IPv6 where that is off, say: another will do.
 */
static bool not_here(int number)
{
    return number == EAFNOSUPPORT || number == EADDRNOTAVAIL;
}

/* HOST:PORT, where HOST may be * for every address. */
static enum cn_err bind_address(struct cn_listeners *listeners, const char *address)
{
    const struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE };
    const char *colon = strrchr(address, ':');
    char host[CN_ADDRESS_SIZE_MAX + 1] = "";
    struct addrinfo *found = NULL;
    size_t size = colon ? (size_t)(colon - address) : 0;
    bool any = size == 1 && address[0] == '*';
    size_t bound = 0;
    int number = 0;

    if (!colon)
        return CN_E_NAME;
    if (address[0] == '[' && size > 2)
        memcpy(host, address + 1, size - 2);
    else
        memcpy(host, address, size);
    if (getaddrinfo(any ? NULL : host, colon + 1, &hints, &found) != 0)
        return CN_E_NAME;
    for (const struct addrinfo *a = found; a && (number == 0 || not_here(number)); a = a->ai_next) {
        if (listeners->count == sizeof listeners->listener / sizeof listeners->listener[0])
            break;
        if (bind_one(listeners, a))
            bound++;
        else
            number = errno;
    }
    freeaddrinfo(found);
    if (bound > 0 && (number == 0 || not_here(number)))
        return CN_OK;
    errno = number;
    return number != 0 ? CN_E_SYSTEM : CN_E_NAME;
}

enum cn_err cn_listeners_bind(struct cn_listeners *listeners, struct cn_loop *loop,
                              const struct cn_settings *settings, const char **bad)
{
    *listeners = (struct cn_listeners) { .loop = loop };
    for (size_t i = 0; i < settings->listen_count; i++) {
        enum cn_err err = bind_address(listeners, settings->listen[i]);

        if (err != CN_OK) {
            int saved = errno;

            *bad = settings->listen[i];
            cn_listeners_close(listeners);
            errno = saved;
            return err;
        }
    }
    return CN_OK;
}

static void pause_accepting(struct cn_listeners *listeners)
{
    if (listeners->paused)
        return;
    listeners->paused = true;
    for (size_t i = 0; i < listeners->count; i++)
        cn_loop_change(listeners->loop, &listeners->listener[i].watch, 0);
    if (!listeners->paused_told)
        cn_log("accepting_paused", NULL);
    listeners->paused_told = true;
}

static void resume_accepting(struct cn_listeners *listeners)
{
    if (!listeners->paused)
        return;
    listeners->paused = false;
    cn_loop_timer_clear(listeners->loop, &listeners->resume);
    for (size_t i = 0; i < listeners->count; i++)
        cn_loop_change(listeners->loop, &listeners->listener[i].watch, EPOLLIN);
}

static void on_room(void *context)
{
    struct cn_listeners *listeners = context;

    if (listeners->paused && !listeners->resume.place && cn_gate_has_room(listeners->gate))
        resume_accepting(listeners);
}

static void on_resume(struct cn_timer *timer)
{
    struct cn_listeners *listeners =
        (struct cn_listeners *)(void *)((char *)timer - offsetof(struct cn_listeners, resume));

    resume_accepting(listeners);
}

static void listener_ready(struct cn_watch *watch, uint32_t epoll_events)
{
    struct cn_listeners *listeners = ((struct cn_listener *)(void *)watch)->all;

    (void)epoll_events;
    for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
        struct sockaddr_storage address;
        socklen_t size = sizeof address;
        int fd;

        if (!cn_gate_has_room(listeners->gate)) {
            pause_accepting(listeners);
            return;
        }
        fd = accept4(watch->fd, (struct sockaddr *)&address, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            if (listeners->paused_told)
                cn_log("accepting_resumed", NULL);
            listeners->paused_told = false;
            cn_gate_accept(listeners->gate, fd, (const struct sockaddr *)&address);
            continue;
        }
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            /* somebody else took the descriptors: look again in a while, without spinning */
            pause_accepting(listeners);
            cn_loop_timer_set(listeners->loop, &listeners->resume,
                              listeners->loop->now_ms + RESUME_MS);
        }
        return; /* EAGAIN: all taken; ECONNABORTED and the like: that one has gone */
    }
}

enum cn_err cn_listeners_start(struct cn_listeners *listeners, struct cn_gate *gate)
{
    listeners->gate = gate;
    listeners->resume.fire = on_resume;
    for (size_t i = 0; i < listeners->count; i++) {
        listeners->listener[i].watch.ready = listener_ready;
        if (cn_loop_add(listeners->loop, &listeners->listener[i].watch, EPOLLIN) != CN_OK)
            return CN_E_SYSTEM;
    }
    cn_gate_on_room(gate, on_room, listeners);
    return CN_OK;
}

void cn_listeners_close(struct cn_listeners *listeners)
{
    for (size_t i = 0; i < listeners->count; i++) {
        cn_loop_remove(listeners->loop, &listeners->listener[i].watch);
        close(listeners->listener[i].watch.fd);
    }
    cn_loop_timer_clear(listeners->loop, &listeners->resume);
    listeners->count = 0;
    listeners->paused = false;
    if (listeners->gate)
        cn_gate_on_room(listeners->gate, NULL, NULL);
}

void cn_listeners_describe(const struct cn_listeners *listeners, char *out, size_t size)
{
    size_t used = 0;

    out[0] = '\0';
    for (size_t i = 0; i < listeners->count && used < size; i++) {
        struct sockaddr_storage address = { .ss_family = AF_UNSPEC };
        socklen_t address_size = sizeof address;
        char host[NI_MAXHOST] = "?", port[NI_MAXSERV] = "?";
        int wrote;

        if (getsockname(listeners->listener[i].watch.fd, (struct sockaddr *)&address,
                        &address_size) == 0)
            (void)getnameinfo((const struct sockaddr *)&address, address_size, host, sizeof host,
                              port, sizeof port, NI_NUMERICHOST | NI_NUMERICSERV);
        wrote = snprintf(out + used, size - used,
                         address.ss_family == AF_INET6 ? "%s[%s]:%s" : "%s%s:%s", i ? ", " : "",
                         host, port);
        used += wrote > 0 ? (size_t)wrote : 0;
    }
}
