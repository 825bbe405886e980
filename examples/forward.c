/* forward.c - one port here leads to an address at NAME's: <cyphernet/tunnel.h> in brief.
 *
 *   forward NAME PORT:HOST:HOSTPORT                      here
 *   cyphernet serve NAME-OF-THIS --allow HOST:HOSTPORT   at the other end, which ends it */
#include <cyphernet.h>

#include <poll.h>
#include <stdio.h>

/* False: what was wanted cannot be had. */
static bool tell(struct cn_tunnel *tunnel)
{
    struct cn_tunnel_event event;
    bool good = true;

    while (cn_tunnel_next_event(tunnel, &event)) {
        if (event.type == CN_TUNNEL_EVENT_LISTENING)
            printf("listening at %s\n", event.address);
        if (event.type == CN_TUNNEL_EVENT_CLOSED)
            printf("%s: %llu octets there, %llu back\n", event.address,
                   (unsigned long long)event.sent, (unsigned long long)event.received);
        if (event.type == CN_TUNNEL_EVENT_REFUSED)
            fprintf(stderr, "forward: %s: %s\n", event.address,
                    cn_tunnel_outcome_text(event.outcome));
        good &= event.type != CN_TUNNEL_EVENT_REFUSED || !event.permanent;
    }
    fflush(stdout);
    return good;
}

/* Until the call or the tunnel has something to do. */
static void rest(struct cn_call *call, struct cn_tunnel *tunnel)
{
    struct pollfd polled[CN_CALL_DESCRIPTORS_MAX + 1];
    size_t count = cn_call_descriptors(call, polled, CN_CALL_DESCRIPTORS_MAX);
    int timeout_ms = cn_call_timeout_ms(call);
    int tunnel_ms = cn_tunnel_timeout_ms(tunnel);

    count += cn_tunnel_descriptors(tunnel, polled + count, 1);
    if (timeout_ms < 0 || (tunnel_ms >= 0 && tunnel_ms < timeout_ms))
        timeout_ms = tunnel_ms;
    (void)poll(polled, count, timeout_ms); /* interrupted: it is looked at a little early */
}

static enum cn_err carry(struct cn_call *call, struct cn_tunnel *tunnel)
{
    struct cn_event event = { CN_EVENT_NONE, NULL, CN_OK };
    enum cn_err err = CN_OK;

    while (err == CN_OK && event.type != CN_EVENT_CLOSED) {
        cn_call_process(call);
        while (err == CN_OK && event.type != CN_EVENT_CLOSED && cn_call_next_event(call, &event)) {
            if (event.type == CN_EVENT_OPEN)
                err = cn_tunnel_begin(tunnel, call);
            else
                (void)cn_tunnel_take(tunnel, &event);
        }
        cn_tunnel_process(tunnel);
        if (!tell(tunnel))
            cn_call_cancel(call, CN_E_CANCELLED);
        if (err == CN_OK && event.type != CN_EVENT_CLOSED)
            rest(call, tunnel);
    }
    return err == CN_OK ? event.err : err;
}

static enum cn_err forward(struct cn_home *home, const char *name, const char *what)
{
    const struct cn_call_options options = { name, CN_CALL_FORWARD, true, -1 };
    struct cn_tunnel *tunnel = NULL;
    struct cn_call *call = NULL;
    enum cn_err err = cn_tunnel_open(&tunnel);

    if (err == CN_OK)
        err = cn_tunnel_forward(tunnel, what);
    if (err != CN_OK && tunnel)
        fprintf(stderr, "forward: %s\n", cn_tunnel_detail(tunnel)->about);
    if (err == CN_OK)
        err = cn_call_open(&call, home, &options);
    if (err == CN_OK)
        err = carry(call, tunnel);
    cn_tunnel_free(tunnel); /* before its call */
    cn_call_free(call);
    return err;
}

int main(int argc, char **argv)
{
    struct cn_home *home;
    enum cn_err err = argc == 3 ? cn_home_open(&home, NULL) : CN_E_USAGE;

    if (err == CN_OK) {
        err = forward(home, argv[1], argv[2]);
        cn_home_close(home);
    }
    if (err != CN_OK)
        fprintf(stderr, "forward: %s\n", cn_err_text(err));
    return err != CN_OK;
}
