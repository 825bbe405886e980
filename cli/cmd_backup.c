#include <stddef.h>
#include <stdlib.h>

#include "cli.h"
#include "crypto.h"
#include "passphrase.h"

static const struct cn_option options[] = {
    { "output", 'o', "FILE", offsetof(struct cn_cli, output),
      "write it there, instead of to standard output" },
    { NULL, 0, NULL, 0, NULL },
};

static int run(struct cn_cli *cli)
{
    struct cn_passphrase passphrase = { 0 };
    struct cn_output output;
    char *text = NULL;
    size_t size = 0;
    enum cn_err err = CN_OK;
    int code = cn_output_open(&output, cli->output);

    if (code != CN_EXIT_DONE)
        return code;
    code = cn_passphrase_new(cli, "the backup", &passphrase);
    if (code == CN_EXIT_DONE)
        err = cn_home_backup(cli->home, passphrase.text, passphrase.size, &text, &size);
    cn_wipe(&passphrase, sizeof passphrase);
    if (err != CN_OK)
        code = cn_fail(cli, err, "making the backup");
    if (code == CN_EXIT_DONE)
        code = cn_output_write(cli, &output, "backup", text, size);
    else
        cn_output_drop(&output);
    free(text);
    if (code == CN_EXIT_DONE)
        cn_say(cli, "everything is in it; without its passphrase it is of no use");
    return code;
}

const struct cn_command cn_cmd_backup = {
    .name = "backup",
    .usage = "backup [-o FILE]",
    .summary = "Put keys, contacts and preferences into one file, under a passphrase",
    .help = "The passphrase of the backup is its own, and asked for: with --passphrase-fd it is "
            "the\nline after that of your keys, if they have one.\n",
    .options = options,
    .json = true,
    .run = run,
};
