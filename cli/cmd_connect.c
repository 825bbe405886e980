/* cmd_connect.c - cyphernet connect: standard input and output joined with one address at the
 * partner's. */
#include "tunneling.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tunnel/terminus.h"

static const struct cn_option options[] = {
    { "wait", 0, "SECONDS", offsetof(struct cn_cli, wait),
      "give up when the partner has not come by then (600)" },
    { "events", 0, "FD", offsetof(struct cn_cli, events), "JSON events to this descriptor" },
    CN_OPTION_RESUME("3600"),
    { NULL, 0, NULL, 0, NULL },
};

/* A descriptor of the tunnel's alone, that does not block where that can be had; -1: errno. What
 * was there is replaced, so that an end can be passed on. */
static int taken_over(int fd, int flags)
{
    struct stat st;
    int own = fd;
    int none;

    if (isatty(fd) || (fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode)))
        own = cn_own_end(fd, flags);
    if (own == fd)
        own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (own < 0)
        return -1;
    none = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (none < 0 || dup2(none, fd) < 0) {
        close(own);
        own = -1;
    }
    if (none >= 0)
        close(none);
    return own;
}

static int ends_join(struct cn_tunneling *t)
{
    int in = taken_over(STDIN_FILENO, O_RDONLY);
    int out = in < 0 ? -1 : taken_over(STDOUT_FILENO, O_WRONLY);
    enum cn_err err;

    if (out < 0) {
        cn_error("standard input and output: %s", strerror(errno));
        if (in >= 0)
            close(in);
        return CN_EXIT_FAILED;
    }
    err = cn_tunnel_join(t->tunnel, t->cli->arguments[1], in, out);
    if (err != CN_OK) {
        close(in);
        close(out);
    }
    return cn_tunneling_check(t, err, "HOST:PORT or a /PATH");
}

static int run(struct cn_cli *cli)
{
    struct cn_tunneling t = { .cli = cli,
                              .joined = true,
                              .dial = { .name = cli->arguments[0],
                                        .partner_command = "serve",
                                        .shared = true,
                                        .watches = true,
                                        .events_fd = -1 } };
    struct cn_terminus to;
    enum cn_err err;
    int code;

    if (cn_terminus_parse(&to, cli->arguments[1]) != CN_OK || to.form == CN_TERMINUS_UDP)
        return cn_misuse(cli, "'%s' is not HOST:PORT or a /PATH", cli->arguments[1]);
    code = cn_dial_check(cli, &t.dial, false);
    if (code == CN_EXIT_DONE)
        code = cn_dial_events(cli, &t.dial);
    if (code != CN_EXIT_DONE)
        return code;
    err = cn_tunnel_open(&t.tunnel);
    if (err != CN_OK)
        return cn_fail(cli, err, "beginning");
    code = ends_join(&t);
    if (code == CN_EXIT_DONE)
        code = cn_tunneling_call(&t, false);
    cn_tunneling_end(&t);
    return code;
}

const struct cn_command cn_cmd_connect = {
    .name = "connect",
    .usage = "connect NAME HOST:PORT [--wait SECONDS] [--events FD]",
    .summary = "Join standard input and output with one address that NAME serves",
    .help =
        "A /PATH in place of HOST:PORT is a Unix socket. NAME must run serve, and allow it; if it\n"
        "does not, the exit code is 8. For ssh:\n"
        "  ssh -o ProxyCommand='cyphernet connect NAME localhost:22' HOST\n",
    .options = options,
    .arguments_min = 2,
    .arguments_max = 2,
    .no_json = CN_JSON_IN_EVENTS,
    .run = run,
};
