#include "cli.h"

#include <stddef.h>
#include <stdlib.h>

#include "passphrase.h"

static const struct cn_option options[] = {
    { "rsa", 0, "2048|3072|4096|8192", offsetof(struct cn_cli, rsa),
      "an RSA key of so many bits instead of X25519" },
    { "passphrase", 0, NULL, offsetof(struct cn_cli, passphrase),
      "seal it under a passphrase, which is asked for" },
    { NULL, 0, NULL, 0, NULL },
};

static int run(struct cn_cli *cli)
{
    unsigned bits = cli->rsa ? (unsigned)strtoul(cli->rsa, NULL, 10) : 0;
    const char *kind;
    enum cn_err err;

    if (cli->passphrase && cn_home_identity_kind(cli->home, &kind) == CN_E_ABSENT) {
        int code = cn_passphrase_set(cli);

        if (code != CN_EXIT_DONE)
            return code;
    }
    err = cn_home_identity_create(cli->home, bits);
    if (err == CN_E_EXISTS) {
        cn_error("you have an identity already: %s", cn_home_detail(cli->home)->about);
        cn_hint("your contacts know you by it; to begin anew, move that file and `contacts` away");
        return CN_EXIT_FAILED;
    }
    if (err == CN_OK)
        err = cn_home_identity_kind(cli->home, &kind);
    if (err != CN_OK)
        return cn_fail(cli, err, "making the identity");
    cn_say(cli, "identity made: %s and ML-KEM-768", kind);
    cn_say(cli, "next: `cyphernet join FILE` with the fingerprint file of a server's operator");
    return CN_EXIT_DONE;
}

const struct cn_command cn_cmd_init = {
    .name = "init",
    .usage = "init [--rsa 2048|3072|4096|8192] [--passphrase]",
    .summary = "Make your identity: the keys that your contacts know you by",
    .help = "`cyphernet join` makes the default one (X25519 and ML-KEM-768) if there is none.\n",
    .options = options,
    .run = run,
};
