/* cmd_queue.c - cyphernet queue: what waits to be delivered by the agent. */
#include <limits.h>
#include <string.h>
#include <time.h>

#include "agent/asking.h"
#include "agent/queue.h"
#include "crypto.h"

static void when_text(uint64_t when_s, char out[32])
{
    time_t when = (time_t)when_s;
    struct tm tm;

    out[0] = '\0';
    if (localtime_r(&when, &tm))
        strftime(out, 32, "%Y-%m-%d %H:%M", &tm);
}

static bool is_odd(const char *path)
{
    return !cn_is_shown(path, strlen(path));
}

/* Each octet for octet, of which "paths" cannot show that; null for the others. */
static void odd_paths_json(const struct cn_delivery *d)
{
    bool any = false;

    for (size_t i = 0; i < d->path_count; i++)
        any |= is_odd(d->paths[i]);
    for (size_t i = 0; any && i < d->path_count; i++) {
        char text[4 * (PATH_MAX / 3 + 1) + 1]; /* a longer one cannot be sent */

        cn_base64_encode(text, d->paths[i], strnlen(d->paths[i], PATH_MAX));
        fputs(i == 0 ? ",\"paths_base64\":[" : ",", stdout);
        if (is_odd(d->paths[i]))
            printf("\"%s\"", text);
        else
            fputs("null", stdout);
    }
    if (any)
        putchar(']');
}

static void list_json(const struct cn_delivery *d)
{
    printf("{\"v\":1,\"event\":\"delivery\",\"id\":\"%s\",\"contact\":\"%s\",\"queued\":%llu,"
           "\"failed\":",
           d->id, d->contact, (unsigned long long)d->when_s);
    if (d->failed[0])
        cn_json_string(d->failed);
    else
        fputs("null", stdout);
    fputs(",\"paths\":[", stdout);
    for (size_t i = 0; i < d->path_count; i++) {
        if (i > 0)
            putchar(',');
        cn_json_string(d->paths[i]);
    }
    putchar(']');
    odd_paths_json(d);
    puts("}");
}

static void list_line(const struct cn_delivery *d)
{
    char when[32], path[1024], failed[4 * CN_DELIVERY_REASON_SIZE];
    const char *first = d->path_count > 0 ? d->paths[0] : "";

    when_text(d->when_s, when);
    printf("%s  %-12s  %-16s  %s", d->id, d->contact, when,
           cn_printable(path, sizeof path, first, strlen(first)));
    if (d->path_count > 1)
        printf(" and %zu more", d->path_count - 1);
    if (d->failed[0])
        printf("  FAILED: %s", cn_printable(failed, sizeof failed, d->failed, strlen(d->failed)));
    putchar('\n');
}

static int list(struct cn_cli *cli)
{
    struct cn_delivery *deliveries = NULL;
    size_t count = 0, waiting = 0;
    enum cn_err err = cn_queue_list(cli->home, &deliveries, &count);

    if (err != CN_OK)
        return cn_fail(cli, err, "reading the queue");
    for (size_t i = 0; i < count; i++) {
        waiting += !deliveries[i].failed[0];
        if (cli->json)
            list_json(&deliveries[i]);
        else
            list_line(&deliveries[i]);
    }
    if (count == 0 && !cli->json)
        cn_say(cli, "nothing is queued");
    if (waiting > 0 && !cn_asking_is_there(cli))
        cn_warn("no agent is running: start one with `systemctl --user start cyphernet-agent`, or "
                "`cyphernet agent`");
    cn_queue_free(deliveries, count);
    return CN_EXIT_DONE;
}

static int cancel(struct cn_cli *cli)
{
    const char *id = cli->arguments[1];
    enum cn_err err = cn_delivery_id_valid(id) ? cn_queue_remove(cli->home, id) : CN_E_ABSENT;

    if (err == CN_E_ABSENT) {
        cn_error("nothing is queued as '%s'", id);
        cn_hint("`cyphernet queue` lists what is, with its ID");
        return CN_EXIT_FAILED;
    }
    if (err != CN_OK)
        return cn_fail(cli, err, "taking it out of the queue");
    cn_say(cli, "cancelled; what has been delivered of it stays there");
    return CN_EXIT_DONE;
}

static const struct cn_verb verbs[] = {
    { "cancel", 2, 2, false, "queue cancel ID", cancel },
    { NULL, 0, 0, false, NULL, NULL },
};

static int run(struct cn_cli *cli)
{
    if (cli->argument_count == 0)
        return list(cli);
    if (strcmp(cli->arguments[0], verbs[0].name) != 0)
        return cn_misuse(cli, "there is no '%s' here", cli->arguments[0]);
    cli->usage = verbs[0].usage;
    if (cli->argument_count < verbs[0].arguments_min)
        return cn_misuse(cli, "too few arguments");
    if (cli->json)
        return cn_misuse(cli, "queue cancel: " CN_NO_JSON);
    return verbs[0].run(cli);
}

const struct cn_command cn_cmd_queue = {
    .name = "queue",
    .usage = "queue [cancel ID]",
    .summary = "List what `send --later` has queued, or take something out again",
    .help = "Each is delivered by the agent as soon as the contact is there to receive it, and is\n"
            "then no longer listed. What cannot be delivered stays, with the reason, until it is\n"
            "cancelled.\n",
    .arguments_max = 2,
    .keyless = true,
    .json = true,
    .verbs = verbs,
    .run = run,
};
