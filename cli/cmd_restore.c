#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "crypto.h"
#include "passphrase.h"

static const struct cn_option options[] = {
    { "replace", 0, NULL, offsetof(struct cn_cli, replace),
      "although there is something; it is moved aside" },
    { NULL, 0, NULL, 0, NULL },
};

static void hint_of_place(int system_error)
{
    if (system_error == EOPNOTSUPP)
        cn_hint("nothing was changed: this file system cannot exchange files at once; move away "
                "what is there, and try again");
    if (system_error == EBUSY)
        cn_hint("nothing was changed: what is mounted cannot be replaced; unmount it, or set "
                "CYPHERNET_HOME to a directory inside it, and try again");
}

/* Only the preferences could not be put. */
static void hint_of_half(const struct cn_restore_info *info)
{
    cn_hint("keys and contacts are those of the backup, its preferences are in %s: put them there "
            "yourself",
            info->preferences);
    if (info->replaced[0])
        cn_hint("the keys and contacts that were there are in %s", info->replaced);
}

static int failed(const struct cn_cli *cli, enum cn_err err, const struct cn_restore_info *info)
{
    int code = cn_fail(cli, err, "restoring");

    if (info->preferences[0])
        hint_of_half(info);
    else if (err == CN_E_SYSTEM)
        hint_of_place(cn_home_detail(cli->home)->system_error);
    if (err == CN_E_EXISTS)
        cn_hint("--replace moves aside what is there, and restores the backup");
    if (err == CN_E_KIND && !cn_home_detail(cli->home)->about[0])
        cn_hint("it must be a backup, as `cyphernet backup` makes it");
    return code;
}

static void tell(const struct cn_cli *cli, const struct cn_restore_info *info)
{
    char contacts[CN_COUNT_TEXT_SIZE];

    cn_say(cli, "restored, with %s%s", cn_count_text(contacts, info->contact_count, "contact"),
           info->sealed ? "; your keys have the passphrase of the backup" : "");
    if (info->replaced[0])
        cn_say(cli, "what was there is in %s; it holds secrets", info->replaced);
    if (info->preferences[0])
        cn_say(cli, "the preferences that were there are in %s", info->preferences);
}

static int run(struct cn_cli *cli)
{
    struct cn_passphrase passphrase = { 0 };
    struct cn_restore_options restore = { .replace = cli->replace };
    struct cn_restore_info info = { 0 };
    char *text = malloc(CN_BACKUP_TEXT_SIZE_MAX);
    enum cn_err err = CN_OK;
    int code =
        text ? cn_text_read(cli->arguments[0], text, CN_BACKUP_TEXT_SIZE_MAX, &restore.text_size)
             : cn_fail(cli, CN_E_MEMORY, "restoring");

    if (code == CN_EXIT_DONE)
        code = cn_passphrase_ask(cli, "the backup", &passphrase);
    if (code == CN_EXIT_DONE) {
        restore.text = text;
        restore.passphrase = passphrase.text;
        restore.passphrase_size = passphrase.size;
        err = cn_home_restore(cli->home, &restore, &info);
    }
    cn_wipe(&passphrase, sizeof passphrase);
    free(text);
    if (err != CN_OK)
        return failed(cli, err, &info);
    if (code == CN_EXIT_DONE)
        tell(cli, &info);
    return code;
}

const struct cn_command cn_cmd_restore = {
    .name = "restore",
    .usage = "restore FILE|- [--replace]",
    .summary = "Take keys, contacts and preferences from a backup",
    .help = "All is checked before anything is changed. If your keys had a passphrase when the "
            "backup\nwas made, they have that of the backup now.\n",
    .options = options,
    .arguments_min = 1,
    .arguments_max = 1,
    .keyless = true,
    .run = run,
};
