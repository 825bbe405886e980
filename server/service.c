/* service.c - cyphernetd under a service manager. */
#include <inttypes.h>
#include <sys/socket.h>

#include "cyphernetd.h"

enum { STATUS_MS = 10000 };

/* Without a gate and a worker that answer nobody new is served: then we are as good as hung, and
 * the manager shall know; but not as long as there are calls, which it would end. */
static bool serves(void)
{
    struct cn_status status = { 0 };

    if (cn_cyphernetd.supervisor)
        cn_supervisor_status(cn_cyphernetd.supervisor, &status);
    return cn_cyphernetd.ending || status.calls.pairs > 0 ||
           (cn_cyphernetd.supervisor && cn_supervisor_serves(cn_cyphernetd.supervisor));
}

static void say_status(const char *before)
{
    struct cn_status status = { 0 };

    if (cn_cyphernetd.supervisor)
        cn_supervisor_status(cn_cyphernetd.supervisor, &status);
    cn_notify_say(&cn_cyphernetd.notify, "%sSTATUS=%s%" PRIu32 " lines wait, %" PRIu32 " calls",
                  before, cn_cyphernetd.ending ? "Ending: " : "", status.gate.waiting,
                  status.calls.pairs);
}

static void timer_set(void)
{
    uint64_t ms = cn_cyphernetd.notify.watchdog_us / 2000;

    if (ms == 0 || ms > STATUS_MS)
        ms = STATUS_MS;
    cn_loop_timer_set(&cn_cyphernetd.loop, &cn_cyphernetd.service, cn_cyphernetd.loop.now_ms + ms);
}

static void fire(struct cn_timer *timer)
{
    (void)timer;
    say_status(cn_cyphernetd.notify.watchdog_us > 0 && serves() ? "WATCHDOG=1\n" : "");
    timer_set();
}

void cn_service_watch(void)
{
    cn_cyphernetd.service.fire = fire;
    if (cn_cyphernetd.notify.path[0])
        timer_set();
}

void cn_service_ready(void)
{
    say_status("READY=1\n");
}

void cn_service_stopping(void)
{
    say_status("STOPPING=1\n");
}

bool cn_service_listeners(struct cn_listeners *listeners, const char **bad)
{
    const struct cn_notify *n = &cn_cyphernetd.notify;

    for (size_t i = 0; i < n->socket_count; i++) {
        const struct cn_notify_socket *s = &n->socket[i];

        *bad = s->name[0] ? s->name : "without a name";
        if (!cn_notify_listens(s->fd, false) || !cn_listener_take(listeners, s->fd))
            return false;
    }
    return true;
}
