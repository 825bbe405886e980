/* cmd_forward.c - cyphernet forward: connections made here, or there, lead to addresses that the
 * partner, or we, can reach. PROTOCOL.md 7.5 */
#include "signals.h"
#include "tunneling.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>

static const struct cn_option options[] = {
    { "local", 'L', "FROM:TO", offsetof(struct cn_cli, repeated),
      "who connects here, to FROM, gets to TO at NAME's" },
    { "remote", 'R', "FROM:TO", offsetof(struct cn_cli, repeated),
      "who connects at NAME's, to FROM, gets to TO here" },
    { "dynamic", 'D', "FROM", offsetof(struct cn_cli, repeated),
      "a SOCKS 5 proxy here; NAME connects, and looks names up" },
    { "wait", 0, "SECONDS", offsetof(struct cn_cli, wait),
      "give up when the partner has not come by then (600)" },
    CN_OPTION_RESUME("3600"),
    { NULL, 0, NULL, 0, NULL },
};

/* Everything that can be found wrong is found before anybody is called. */
static int forwards_add(struct cn_tunneling *t)
{
    int code = CN_EXIT_DONE;

    for (size_t i = 0; i < t->cli->given_count && code == CN_EXIT_DONE; i++) {
        const struct cn_given *given = &t->cli->given[i];

        if (given->option->letter == 'L')
            code = cn_tunneling_check(t, cn_tunnel_forward(t->tunnel, given->value),
                                      "[BIND:]PORT:HOST:PORT, or either half a /PATH");
        else if (given->option->letter == 'R')
            code = cn_tunneling_check(t, cn_tunnel_forward_back(t->tunnel, given->value),
                                      "[BIND:]PORT:HOST:PORT, or either half a /PATH");
        else
            code = cn_tunneling_check(t, cn_tunnel_forward_socks(t->tunnel, given->value),
                                      "[BIND:]PORT or a /PATH");
    }
    return code;
}

/* Until the call is over, or the second signal. */
static void forward(struct cn_tunneling *t, const struct cn_signals *signals)
{
    bool leaving = false;

    while (!t->closed) {
        struct pollfd polled[1 + CN_TUNNELING_DESCRIPTOR_COUNT] = { { signals->fd, POLLIN, 0 } };
        int timeout_ms = -1;
        size_t count;
        int number;

        cn_tunneling_process(t);
        if (t->closed)
            break;
        count = 1 + cn_tunneling_descriptors(t, polled + 1, &timeout_ms);
        if (poll(polled, count, timeout_ms) < 0 && errno != EINTR && errno != EAGAIN) {
            cn_error("poll: %s", strerror(errno));
            t->code = CN_EXIT_FAILED;
            return;
        }
        number = polled[0].revents ? cn_signals_take(signals) : 0;
        if (number && leaving) {
            t->code = 128 + number;
            return;
        }
        if (number)
            cn_tunneling_leave(t);
        leaving |= number != 0;
    }
}

static int forward_call(struct cn_tunneling *t)
{
    struct cn_signals signals;
    int code = cn_dial(t->cli, &t->dial, CN_CALL_FORWARD, true, false);

    if (code != CN_EXIT_DONE)
        return code;
    if (!cn_signals_catch(&signals)) {
        cn_error("catching signals: %s", strerror(errno));
        return CN_EXIT_FAILED;
    }
    forward(t, &signals);
    cn_dial_over(t->cli, &t->dial, t->code);
    cn_signals_release(&signals);
    return t->code;
}

static int run(struct cn_cli *cli)
{
    struct cn_tunneling t = { .cli = cli,
                              .dial = { .name = cli->arguments[0],
                                        .partner_command = "serve",
                                        .shared = true,
                                        .events_fd = -1 } };
    enum cn_err err;
    int code;

    if (cli->given_count == 0)
        return cn_misuse(cli, "there is nothing to forward: -L, -R or -D");
    cn_tunneling_prepare();
    err = cn_tunnel_open(&t.tunnel);
    if (err != CN_OK)
        return cn_fail(cli, err, "beginning");
    code = forwards_add(&t);
    if (code == CN_EXIT_DONE) {
        cn_tunneling_tell(&t);
        code = forward_call(&t);
    }
    cn_tunneling_end(&t);
    return code;
}

const struct cn_command cn_cmd_forward = {
    .name = "forward",
    .usage = "forward NAME [-L FROM:TO]... [-R FROM:TO]... [-D FROM]... [--wait SECONDS]",
    .summary = "Carry connections of other programs to and from NAME, who runs serve",
    .help =
        "As with ssh: FROM is [BIND:]PORT, TO is HOST:PORT, and a /PATH is a Unix socket in "
        "either\n"
        "place. Without BIND only this machine gets in; * or nothing before the colon: all. PORT 0 "
        "to\n"
        "listen at: any that is free. -L udp:FROM:TO carries datagrams. NAME looks TO up, and "
        "must\n"
        "allow it; what is refused from the start ends the call (8). Who connects before NAME is\n"
        "there waits. Ends, with 0, when it is interrupted.\n",
    .options = options,
    .arguments_min = 1,
    .arguments_max = 1,
    .json = true,
    .run = run,
};
