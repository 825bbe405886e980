/* cmd_send.c - cyphernet send: files and directories to the partner, who runs `receive`. */
#include "transferring.h"

#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "agent/asking.h"
#include "agent/queue.h"

static const struct cn_option options[] = {
    { "exclude", 0, "GLOB", offsetof(struct cn_cli, repeated),
      "leave out what matches, as in a .gitignore" },
    { "gitignore", 0, NULL, offsetof(struct cn_cli, gitignore),
      "leave out what .gitignore files name, and .git" },
    { "compress", 0, NULL, offsetof(struct cn_cli, compress),
      "compress files of which a sample shows that it pays" },
    { "later", 0, NULL, offsetof(struct cn_cli, later),
      "the agent delivers it as soon as the partner is there" },
    { "name", 0, "NAME", offsetof(struct cn_cli, input_name),
      "what standard input is called there (stdin)" },
    { "wait", 0, "SECONDS", offsetof(struct cn_cli, wait),
      "give up when the partner has not come by then (600)" },
    CN_OPTION_RESUME("604800, a week"),
    { NULL, 0, NULL, 0, NULL },
};

/* What can be wrong with a path. */
static const struct {
    enum cn_err err;
    const char *what;
    const char *hint;
} refusals[] = {
    { CN_E_KIND, "no file, directory or link",
      "`cyphernet send NAME - < PATH` sends what it yields" },
    { CN_E_NAME, "has no name to arrive under", "name what is in it" },
    { CN_E_EXISTS, "another would arrive under the same name",
      "send them one after the other, or rename one" },
};

static bool sends_input(const struct cn_cli *cli)
{
    for (int i = 1; i < cli->argument_count; i++) {
        if (strcmp(cli->arguments[i], "-") == 0)
            return true;
    }
    return false;
}

/* The detail names what was wrong. */
int cn_send_cannot(struct cn_cli *cli, enum cn_err err)
{
    const struct cn_detail *detail = cn_home_detail(cli->home);

    if (err == CN_E_NAME && strcmp(detail->about, "-") == 0)
        return cn_misuse(cli, "--name wants the name of a file, without a slash, not '%s'",
                         cli->input_name);
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        if (err != refusals[i].err)
            continue;
        cn_error("%s: %s", detail->about, refusals[i].what);
        cn_hint("%s", refusals[i].hint);
        return CN_EXIT_FAILED;
    }
    if (err == CN_E_CONFIG)
        return cn_misuse(cli, "--exclude wants a pattern, not '%s'", detail->about);
    if (err == CN_E_USAGE)
        return cn_misuse(cli, "standard input can be sent once only");
    if (err == CN_E_ABSENT)
        cn_error("nothing is left to send");
    else if (err == CN_E_SYSTEM)
        cn_error("%s: %s", detail->about, strerror(detail->system_error));
    else
        return cn_fail(cli, err, "listing");
    return CN_EXIT_FAILED;
}

/* Before anybody is called. */
static int prepare(struct cn_transferring *t, const struct cn_sending_options *send)
{
    enum cn_err err;

    if (send->input_name && !t->sends_input)
        return cn_misuse(t->cli, "--name is for standard input, which is '-'");
    err = cn_sending_open(&t->sending, t->cli->home, send);
    return err == CN_OK ? CN_EXIT_DONE : cn_send_cannot(t->cli, err);
}

/* --- later ---------------------------------------------------------------------------------- */

/* Absolute, and else as it was given. NULL: no memory, or no working directory (errno). */
static char *absolute_make(const char *path)
{
    char here[PATH_MAX];
    char *made = NULL;

    if (path[0] == '/')
        return strdup(path);
    if (!getcwd(here, sizeof here))
        return NULL;
    return asprintf(&made, "%s/%s", here, path) < 0 ? NULL : made;
}

/* Whoever is to get it must be one who can be called. */
static int contact_check(struct cn_cli *cli)
{
    struct cn_dial dial = { .name = cli->arguments[0], .partner_command = "receive" };
    int code;

    cli->asked_agent = true; /* nothing is called now */
    code = cn_dial_start(cli, &dial, CN_CALL_FILE, true, false);
    cn_dial_end(&dial);
    return code;
}

static int queue_put(struct cn_cli *cli, struct cn_delivery *delivery)
{
    enum cn_err err = cn_queue_add(cli->home, delivery);

    if (err == CN_E_LIMIT) {
        cn_error("the queue is full, or this is too long for it");
        cn_hint("`cyphernet queue` lists what is there");
        return CN_EXIT_FAILED;
    }
    if (err != CN_OK)
        return cn_fail(cli, err, "writing the queue");
    cn_say(cli, "queued as %s; %s gets it as soon as both are there", delivery->id,
           delivery->contact);
    if (cli->json)
        printf("{\"v\":1,\"event\":\"queued\",\"id\":\"%s\",\"contact\":\"%s\"}\n", delivery->id,
               delivery->contact);
    if (!cn_asking_is_there(cli)) {
        cn_warn("no agent is running, and it is the agent that delivers");
        cn_hint("systemctl --user enable --now cyphernet-agent, or `cyphernet agent`");
    }
    return CN_EXIT_DONE;
}

/* What would be found wrong when it is sent is found now. */
static int later_check(struct cn_cli *cli, const struct cn_sending_options *send)
{
    struct cn_transferring t = { .cli = cli };
    enum cn_err err;

    if (sends_input(cli))
        return cn_misuse(cli, "standard input cannot be sent later");
    if (send->input_name)
        return cn_misuse(cli, "--name is for standard input, which cannot be sent later");
    err = cn_sending_open(&t.sending, cli->home, send);
    if (err != CN_OK)
        return cn_send_cannot(cli, err);
    cn_transferring_tell(&t);
    cn_transferring_end(&t);
    return contact_check(cli);
}

static int later(struct cn_cli *cli, const struct cn_sending_options *send)
{
    struct cn_delivery delivery = { .when_s = (uint64_t)time(NULL),
                                    .gitignore = send->gitignore,
                                    .compress = send->compress,
                                    .excludes = send->excludes,
                                    .exclude_count = send->exclude_count };
    int code = later_check(cli, send);
    char **paths = code == CN_EXIT_DONE ? calloc(send->path_count, sizeof paths[0]) : NULL;
    bool made = paths != NULL;

    for (size_t i = 0; made && i < send->path_count; i++)
        made = (paths[i] = absolute_make(send->paths[i])) != NULL;
    delivery.paths = (const char *const *)paths;
    delivery.path_count = send->path_count;
    snprintf(delivery.contact, sizeof delivery.contact, "%s", cli->arguments[0]);
    if (code == CN_EXIT_DONE && !made) {
        cn_error("the paths: %s", strerror(errno));
        code = CN_EXIT_FAILED;
    }
    if (code == CN_EXIT_DONE)
        code = queue_put(cli, &delivery);
    for (size_t i = 0; paths && i < send->path_count; i++)
        free(paths[i]);
    free(paths);
    return code;
}

/* *again: the partner wants it in another call. */
static int send_call(struct cn_cli *cli, const struct cn_sending_options *send, bool *again)
{
    struct cn_transferring t = {
        .cli = cli,
        .dial = { .name = cli->arguments[0],
                  .partner_command = "receive",
                  .resume_s = CN_RESUME_FILES_S,
                  .shared = true,
                  .watches = true,
                  .events_fd = -1 },
        .sends_input = sends_input(cli),
    };
    int code = prepare(&t, send);

    *again = false;
    if (code != CN_EXIT_DONE) {
        cn_dial_over(cli, &t.dial, code);
        return code;
    }
    cn_transferring_tell(&t);
    code = cn_dial(cli, &t.dial, CN_CALL_FILE, true, false);
    if (code == CN_EXIT_DONE)
        code = cn_transferring_run(&t);
    *again = t.anew;
    cn_transferring_end(&t);
    return code;
}

static int run(struct cn_cli *cli)
{
    const char *excludes[CN_GIVEN_COUNT_MAX];
    const struct cn_sending_options send = {
        .paths = (const char *const *)(cli->arguments + 1),
        .path_count = (size_t)cli->argument_count - 1,
        .excludes = excludes,
        .exclude_count = cli->given_count,
        .gitignore = cli->gitignore,
        .compress = cli->compress,
        .input_name = cli->input_name,
    };
    bool again;
    int code;

    for (size_t i = 0; i < cli->given_count; i++)
        excludes[i] = cli->given[i].value;
    if (cli->later)
        return later(cli, &send);
    do {
        code = send_call(cli, &send, &again);
    } while (again);
    return code;
}

const struct cn_command cn_cmd_send = {
    .name = "send",
    .usage = "send NAME PATH... [--exclude GLOB] [--gitignore] [--compress] [--name NAME] "
             "[--wait SECONDS] [--later]",
    .summary = "Send files and directories to NAME, who runs `cyphernet receive`",
    .help =
        "Exit code 0 means that the partner has everything, whole, verified and on disk. Links\n"
        "are kept as links; '-' is standard input. What is there already is not sent again, and\n"
        "what was interrupted goes on where it was. With --later it is queued for the agent.\n",
    .options = options,
    .arguments_min = 2,
    .arguments_max = -1,
    .json = true,
    .run = run,
};
