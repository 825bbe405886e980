/* cmd_serve.c - cyphernet serve: what a contact may reach from here, in any number of calls at
 * once.
 *
 * One call waits for the contact; as soon as somebody has come to it the next one begins to. */
#include "signals.h"
#include "tunneling.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "connect.h"

enum {
    CALL_COUNT_MAX = 64,
    STARVED_MS = 1000 /* before it is tried again */
};

static const struct cn_option options[] = {
    { "allow", 0, "HOST:PORT", offsetof(struct cn_cli, repeated),
      "NAME may connect to it from here" },
    { "allow-listen", 0, "PORT", offsetof(struct cn_cli, repeated), "NAME may listen at it here" },
    CN_OPTION_RESUME("3600"),
    { NULL, 0, NULL, 0, NULL },
};

struct served {
    struct cn_tunneling tunneling;
    bool joined; /* with somebody: the next one waits */
};

struct serving {
    struct cn_cli *cli;
    struct served *call[CALL_COUNT_MAX]; /* owned; no gaps */
    size_t count;
    bool started; /* a call has waited */
    bool starved; /* there is no room for the next one, which has been told */
    uint64_t retry_ms;
    bool ending;
    int code;
};

/* --- calls ----------------------------------------------------------------------------------- */

static int rules_add(struct cn_tunneling *t)
{
    int code = CN_EXIT_DONE;

    for (size_t i = 0; i < t->cli->given_count && code == CN_EXIT_DONE; i++) {
        const struct cn_given *given = &t->cli->given[i];

        if (strcmp(given->option->name, "allow") == 0)
            code = cn_tunneling_check(t, cn_tunnel_allow(t->tunnel, given->value),
                                      "[udp:]HOST:PORT[-PORT] or a /PATH");
        else
            code = cn_tunneling_check(t, cn_tunnel_allow_listening(t->tunnel, given->value),
                                      "[udp:][BIND:]PORT[-PORT] or a /PATH");
    }
    return code;
}

static void served_free(struct served *call)
{
    cn_tunneling_end(&call->tunneling);
    free(call);
}

/* Not yet: whoever comes then waits until there is room. */
static void starve(struct serving *s)
{
    if (!s->starved) {
        cn_warn("no room for another call of %s until one ends: too many files are open, or memory "
                "is short",
                s->cli->arguments[0]);
        cn_hint("`ulimit -n` tells how many files may be open");
    }
    s->starved = true;
    s->retry_ms = cn_connect_clock_ms() + STARVED_MS;
}

/* A tunnel with its rules, and a call that waits. */
static int served_start(struct serving *s, struct served *call)
{
    struct cn_tunneling *t = &call->tunneling;
    enum cn_err err =
        cn_tunnel_open_beside(&t->tunnel, s->count > 0 ? s->call[0]->tunneling.tunnel : NULL);
    int code;

    t->dial.is_starved =
        t->dial.can_starve && (err == CN_E_MEMORY || (err == CN_E_SYSTEM && cn_is_shortage(errno)));
    if (t->dial.is_starved)
        return CN_EXIT_FAILED;
    if (err != CN_OK)
        return cn_fail(s->cli, err, "beginning");
    code = rules_add(t);
    if (code == CN_EXIT_DONE)
        code = cn_dial_start(s->cli, &t->dial, CN_CALL_FORWARD, false, true);
    return code;
}

static void call_add(struct serving *s)
{
    struct served *call = !s->started || cn_has_room() ? calloc(1, sizeof *call) : NULL;
    int code;

    if (!call && s->started) {
        starve(s);
        return;
    }
    if (!call) {
        cn_error("no memory for a call");
        s->code = CN_EXIT_FAILED;
        s->ending = true;
        return;
    }
    call->tunneling = (struct cn_tunneling) { .cli = s->cli,
                                              .serving = true,
                                              .dial = { .name = s->cli->arguments[0],
                                                        .partner_command = "forward",
                                                        .again = s->started,
                                                        .can_starve = s->started,
                                                        .events_fd = -1 } };
    code = served_start(s, call);
    if (call->tunneling.dial.is_starved) {
        served_free(call);
        starve(s);
        return;
    }
    if (code != CN_EXIT_DONE) {
        s->code = code;
        s->ending = true;
        served_free(call);
        return;
    }
    s->started = true;
    s->starved = false;
    s->call[s->count++] = call;
}

static void call_remove(struct serving *s, size_t index)
{
    served_free(s->call[index]);
    s->call[index] = s->call[--s->count];
    s->retry_ms = 0;
}

/* It is time for another one to wait. */
static bool is_wanted(const struct serving *s)
{
    if (s->ending || s->count == CALL_COUNT_MAX ||
        (s->starved && cn_connect_clock_ms() < s->retry_ms))
        return false;
    for (size_t i = 0; i < s->count; i++) {
        if (!s->call[i]->joined)
            return false;
    }
    return true;
}

static bool is_over(const struct serving *s)
{
    return s->ending && s->count == 0;
}

/* No more calls; those that are open end well. */
static void leave(struct serving *s)
{
    s->ending = true;
    for (size_t i = s->count; i > 0; i--) {
        struct cn_tunneling *t = &s->call[i - 1]->tunneling;

        if (t->begun)
            cn_tunneling_leave(t);
        else
            call_remove(s, i - 1);
    }
}

/* --- rounds ---------------------------------------------------------------------------------- */

/* One that nobody has come to, or has come to in vain, is over for a reason that is ours. */
static void call_over(struct serving *s, size_t index)
{
    struct served *call = s->call[index];
    struct cn_tunneling *t = &call->tunneling;

    cn_dial_over(s->cli, &t->dial, t->code);
    if (!t->begun && !s->ending) {
        s->code = t->code;
        s->ending = true;
    }
    call_remove(s, index);
}

static void calls_process(struct serving *s)
{
    for (size_t i = s->count; i > 0; i--) {
        struct served *call = s->call[i - 1];

        cn_tunneling_process(&call->tunneling);
        call->joined |= call->tunneling.dial.was_joined;
        if (call->tunneling.closed)
            call_over(s, i - 1);
        else if (call->joined && call->tunneling.dial.is_lost) /* the next one waits in its place */
            call_remove(s, i - 1);
    }
    if (is_wanted(s))
        call_add(s);
}

/* Until it is time to try again; -1: it needs something else to happen. */
static int starved_ms(const struct serving *s)
{
    uint64_t now_ms = cn_connect_clock_ms();

    if (!s->starved || s->ending)
        return -1;
    return s->retry_ms > now_ms ? (int)(s->retry_ms - now_ms) : 0;
}

static bool wait_for_any(struct serving *s, const struct cn_signals *signals)
{
    struct pollfd polled[1 + CALL_COUNT_MAX * CN_TUNNELING_DESCRIPTOR_COUNT] = { { signals->fd,
                                                                                   POLLIN, 0 } };
    int timeout_ms = starved_ms(s);
    size_t count = 1;
    int number;

    for (size_t i = 0; i < s->count; i++)
        count += cn_tunneling_descriptors(&s->call[i]->tunneling, polled + count, &timeout_ms);
    if (poll(polled, count, timeout_ms) < 0 && errno != EINTR && errno != EAGAIN) {
        cn_error("poll: %s", strerror(errno));
        s->code = CN_EXIT_FAILED;
        return false;
    }
    number = polled[0].revents ? cn_signals_take(signals) : 0;
    if (number && s->ending) {
        s->code = 128 + number;
        return false;
    }
    if (number)
        leave(s);
    return true;
}

static void serve(struct serving *s, const struct cn_signals *signals)
{
    bool going = true;

    call_add(s);
    while (going && !is_over(s)) {
        calls_process(s);
        going = !is_over(s) && wait_for_any(s, signals);
    }
    while (s->count > 0)
        call_remove(s, s->count - 1);
}

static int run(struct cn_cli *cli)
{
    struct serving s = { .cli = cli };
    struct cn_signals signals;

    if (cli->given_count == 0)
        return cn_misuse(cli, "there is nothing that %s may do: --allow or --allow-listen",
                         cli->arguments[0]);
    cn_tunneling_prepare();
    if (!cn_signals_catch(&signals)) {
        cn_error("catching signals: %s", strerror(errno));
        return CN_EXIT_FAILED;
    }
    serve(&s, &signals);
    cn_signals_release(&signals);
    return s.code;
}

const struct cn_command cn_cmd_serve = {
    .name = "serve",
    .usage = "serve NAME [--allow HOST:PORT[-PORT]]... [--allow-listen [BIND:]PORT[-PORT]]...",
    .summary = "Let NAME's forward and connect reach what is allowed here",
    .help =
        "Nothing is allowed that is not listed. * may stand for HOST or PORT, a /PATH is a Unix\n"
        "socket, and udp: before a rule is for datagrams. A HOST must be what NAME types: it is "
        "compared\n"
        "before it is looked up. --allow-listen is for NAME's -R; without BIND only this machine\n"
        "gets in there. Takes many calls at once, and ends, with 0, when it is interrupted.\n",
    .options = options,
    .arguments_min = 1,
    .arguments_max = 1,
    .json = true,
    .run = run,
};
