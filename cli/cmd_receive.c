/* cmd_receive.c - cyphernet receive: what the partner sends with `send`. */
#include "transferring.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

static const struct cn_option options[] = {
    { "directory", 'd', "DIR", offsetof(struct cn_cli, directory),
      "put the files there, instead of here" },
    { "on-conflict", 0, "skip|rename|overwrite", offsetof(struct cn_cli, conflict),
      "what becomes of the new one where a name is taken (skip)" },
    { "overwrite", 0, NULL, offsetof(struct cn_cli, overwrite), "the same as overwrite there" },
    { "yes", 0, NULL, offsetof(struct cn_cli, yes), "take everything without asking" },
    { "keep", 0, NULL, offsetof(struct cn_cli, keep),
      "go on waiting for further calls, until interrupted" },
    { "wait", 0, "SECONDS", offsetof(struct cn_cli, wait),
      "give up when the partner has not come by then (no limit)" },
    CN_OPTION_RESUME("604800, a week"),
    { NULL, 0, NULL, 0, NULL },
};

bool cn_conflict_read(struct cn_cli *cli, enum cn_receiving_conflict *conflict)
{
    static const char *const words[] = {
        [CN_CONFLICT_SKIP] = "skip",
        [CN_CONFLICT_RENAME] = "rename",
        [CN_CONFLICT_OVERWRITE] = "overwrite",
    };

    *conflict = cli->overwrite ? CN_CONFLICT_OVERWRITE : CN_CONFLICT_SKIP;
    if (!cli->conflict)
        return true;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcmp(cli->conflict, words[i]) != 0)
            continue;
        if (cli->overwrite && i != CN_CONFLICT_OVERWRITE)
            return false;
        *conflict = (enum cn_receiving_conflict)i;
        return true;
    }
    return false;
}

/* The directory is looked at before anybody is called. */
int cn_receive_cannot(struct cn_cli *cli, enum cn_err err)
{
    const struct cn_detail *detail = cn_home_detail(cli->home);

    if (err != CN_E_SYSTEM)
        return cn_fail(cli, err, "receiving");
    cn_error("%s: %s", detail->about, strerror(detail->system_error));
    if (detail->system_error == ENOENT || detail->system_error == ENOTDIR)
        cn_hint("-d must name a directory that exists");
    else
        cn_hint("-d DIR puts the files elsewhere");
    return CN_EXIT_FAILED;
}

/* *again: whatever --keep says. */
static int receive_call(struct cn_cli *cli, const struct cn_receiving_options *receive,
                        bool *was_open, bool *again)
{
    struct cn_transferring t = {
        .cli = cli,
        .dial = { .name = cli->arguments[0],
                  .partner_command = "send",
                  .resume_s = CN_RESUME_FILES_S,
                  .watches = true,
                  .events_fd = -1 },
        .asks = receive->ask,
    };
    enum cn_err err = cn_receiving_open(&t.receiving, cli->home, receive);
    int code;

    *was_open = *again = false;
    if (err != CN_OK) {
        code = cn_receive_cannot(cli, err);
        cn_dial_over(cli, &t.dial, code);
        return code;
    }
    code = cn_dial(cli, &t.dial, CN_CALL_FILE, false, true);
    *was_open = t.dial.is_open;
    if (code == CN_EXIT_DONE)
        code = cn_transferring_run(&t);
    *again = t.anew;
    cn_transferring_end(&t);
    return code;
}

static int run(struct cn_cli *cli)
{
    struct cn_receiving_options receive = {
        .directory = cli->directory,
        .contact = cli->arguments[0],
        .ask = !cli->yes && isatty(STDIN_FILENO) && isatty(STDERR_FILENO),
    };
    bool was_open, again;
    int code;

    if (!cn_conflict_read(cli, &receive.conflict)) {
        const struct cn_dial dial = { .name = receive.contact, .events_fd = -1 };

        code = cn_misuse(cli, "--on-conflict wants overwrite, where --overwrite is given");
        cn_dial_over(cli, &dial, code);
        return code;
    }
    do { /* what keeps one call from beginning would keep the next from it, without end */
        code = receive_call(cli, &receive, &was_open, &again);
    } while (again || (cli->keep && was_open &&
                       (code == CN_EXIT_DONE || code == CN_EXIT_FAILED ||
                        code == CN_EXIT_INTERRUPTED || code == CN_EXIT_REFUSED)));
    return code;
}

const struct cn_command cn_cmd_receive = {
    .name = "receive",
    .usage = "receive NAME [-d DIR] [--on-conflict skip|rename|overwrite | --overwrite] [--yes] "
             "[--keep] "
             "[--wait SECONDS]",
    .summary = "Receive what NAME sends with `cyphernet send`",
    .help =
        "At a terminal you are shown what is offered, and asked; elsewhere running this is your\n"
        "consent. Files are written under a temporary name, verified, and get their own name\n"
        "when they are whole and on disk; none is ever replaced unless you say so. Permissions\n"
        "and times are kept. What is interrupted goes on where it was when both run the same\n"
        "again.\n",
    .options = options,
    .arguments_min = 1,
    .arguments_max = 1,
    .json = true,
    .run = run,
};
