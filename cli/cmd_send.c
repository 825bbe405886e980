/* cmd_send.c - cyphernet send: files and directories to the partner, who runs `receive`. */
#include "transferring.h"

#include <stddef.h>
#include <string.h>

static const struct cn_option options[] = {
    { "exclude", 0, "GLOB", offsetof(struct cn_cli, repeated),
      "leave out what matches, as in a .gitignore" },
    { "gitignore", 0, NULL, offsetof(struct cn_cli, gitignore),
      "leave out what .gitignore files name, and .git" },
    { "compress", 0, NULL, offsetof(struct cn_cli, compress),
      "compress files of which a sample shows that it pays" },
    { "name", 0, "NAME", offsetof(struct cn_cli, input_name),
      "what standard input is called there (stdin)" },
    { "wait", 0, "SECONDS", offsetof(struct cn_cli, wait),
      "give up when the partner has not come by then (600)" },
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
static int not_to_send(struct cn_cli *cli, enum cn_err err)
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
    return err == CN_OK ? CN_EXIT_DONE : not_to_send(t->cli, err);
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
    struct cn_transferring t = {
        .cli = cli,
        .dial = { .name = cli->arguments[0], .partner_command = "receive", .events_fd = -1 },
        .sends_input = sends_input(cli),
    };
    int code;

    for (size_t i = 0; i < cli->given_count; i++)
        excludes[i] = cli->given[i].value;
    code = prepare(&t, &send);
    if (code != CN_EXIT_DONE) {
        cn_dial_over(cli, &t.dial, code);
        return code;
    }
    cn_transferring_tell(&t);
    code = cn_dial(cli, &t.dial, CN_CALL_FILE, true, false);
    if (code == CN_EXIT_DONE)
        code = cn_transferring_run(&t);
    cn_transferring_end(&t);
    return code;
}

const struct cn_command cn_cmd_send = {
    .name = "send",
    .usage = "send NAME PATH... [--exclude GLOB] [--gitignore] [--compress] [--name NAME] "
             "[--wait SECONDS]",
    .summary = "Send files and directories to NAME, who runs `cyphernet receive`",
    .help =
        "Exit code 0 means that the partner has everything, whole, verified and on disk. Links\n"
        "are kept as links; '-' is standard input. What is there already is not sent again, and\n"
        "what was interrupted goes on where it was.\n",
    .options = options,
    .arguments_min = 2,
    .arguments_max = -1,
    .json = true,
    .run = run,
};
