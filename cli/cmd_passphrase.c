#include <stddef.h>

#include "cli.h"
#include "passphrase.h"

static const struct cn_option options[] = {
    { "remove", 0, NULL, offsetof(struct cn_cli, remove), "lay the keys open again" },
    { NULL, 0, NULL, 0, NULL },
};

static int remove_passphrase(struct cn_cli *cli)
{
    enum cn_home_sealing_state state = CN_HOME_PLAIN;
    enum cn_err err = cn_home_sealing(cli->home, &state);

    if (err == CN_OK && state == CN_HOME_PLAIN) {
        cn_say(cli, "there is no passphrase");
        return CN_EXIT_DONE;
    }
    if (err == CN_OK)
        err = cn_home_seal_remove(cli->home);
    if (err != CN_OK)
        return cn_fail(cli, err, "removing the passphrase");
    cn_say(cli, "the passphrase is removed: whoever can read your files has your keys");
    return CN_EXIT_DONE;
}

static int run(struct cn_cli *cli)
{
    return cli->remove ? remove_passphrase(cli) : cn_passphrase_set(cli);
}

const struct cn_command cn_cmd_passphrase = {
    .name = "passphrase",
    .usage = "passphrase [--remove]",
    .summary = "Seal your keys and contacts under a passphrase, or change it",
    .help = "Every command that needs them asks for it then, at the terminal or by "
            "--passphrase-fd.\nEach passphrase that is asked for is one line: the present one "
            "first, then the new one.\n",
    .options = options,
    .run = run,
};
