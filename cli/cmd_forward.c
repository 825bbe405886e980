/* cmd_forward.c - cyphernet forward: connections made here, or there, lead to addresses that the
 * partner, or we, can reach. PROTOCOL.md 7.5 */
#include "tunneling.h"

#include <stddef.h>

#include "tunnel/terminus.h"

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

/* All that was typed is looked at before anything is listened at, or anybody called. */
static int forwards_check(const struct cn_cli *cli)
{
    struct cn_terminus at;
    struct cn_forward forward;

    for (size_t i = 0; i < cli->given_count; i++) {
        const char *value = cli->given[i].value;

        if (cli->given[i].option->letter == 'D') {
            if (cn_terminus_parse_listening(&at, value) != CN_OK)
                return cn_misuse(cli, "'%s' is not [BIND:]PORT or a /PATH", value);
        } else if (cn_forward_parse(&forward, value) != CN_OK) {
            return cn_misuse(cli, "'%s' is not [udp:][BIND:]PORT:HOST:PORT, or either half a /PATH",
                             value);
        }
    }
    return CN_EXIT_DONE;
}

static int forwards_add(struct cn_tunneling *t)
{
    int code = CN_EXIT_DONE;

    for (size_t i = 0; i < t->cli->given_count && code == CN_EXIT_DONE; i++) {
        const struct cn_given *given = &t->cli->given[i];
        enum cn_err err = given->option->letter == 'L' ? cn_tunnel_forward(t->tunnel, given->value)
                          : given->option->letter == 'R'
                              ? cn_tunnel_forward_back(t->tunnel, given->value)
                              : cn_tunnel_forward_socks(t->tunnel, given->value);

        code = cn_tunneling_check(t, err, "an address");
    }
    return code;
}

static int run(struct cn_cli *cli)
{
    struct cn_tunneling t = { .cli = cli,
                              .dial = { .name = cli->arguments[0],
                                        .partner_command = "serve",
                                        .shared = true,
                                        .watches = true,
                                        .events_fd = -1 } };
    enum cn_err err;
    int code;

    if (cli->given_count == 0)
        return cn_misuse(cli, "there is nothing to forward: -L, -R or -D");
    code = forwards_check(cli);
    if (code == CN_EXIT_DONE)
        code = cn_dial_check(cli, &t.dial, false);
    if (code != CN_EXIT_DONE)
        return code;
    cn_tunneling_prepare();
    err = cn_tunnel_open(&t.tunnel);
    if (err != CN_OK)
        return cn_fail(cli, err, "beginning");
    code = forwards_add(&t);
    if (code == CN_EXIT_DONE) {
        cn_tunneling_tell(&t);
        code = cn_tunneling_call(&t, true);
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
        "listen at: any that is free. udp:FROM:TO carries datagrams. NAME looks TO up, and "
        "must\n"
        "allow it; what is refused from the start ends the call (8). Who connects before NAME is\n"
        "there waits. Ends, with 0, when it is interrupted.\n",
    .options = options,
    .arguments_min = 1,
    .arguments_max = 1,
    .json = true,
    .run = run,
};
