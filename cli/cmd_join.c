#include "cli.h"

#include <stddef.h>

#include "crypto.h"
#include "dial.h"

static const struct cn_option options[] = {
    { "replace", 0, NULL, offsetof(struct cn_cli, replace),
      "go to another server, although your contacts are of the present one" },
    { NULL, 0, NULL, 0, NULL },
};

static int failed(struct cn_cli *cli, enum cn_err err)
{
    int code = cn_fail(cli, err, "joining");

    if (err == CN_E_KIND)
        cn_hint("it must be a fingerprint file, as `cyphernetctl invite` or `admit` makes it");
    if (err == CN_E_ABSENT)
        cn_hint("this fingerprint holds no admission key: it answers a request made elsewhere");
    if (err == CN_E_KEY)
        cn_hint("it answers another request; send the operator the output of `cyphernet request`");
    if (err == CN_E_SERVER)
        cn_hint("your contacts are of another server; --replace goes to this one, and then all "
                "cards must be exchanged again");
    return code;
}

static int run(struct cn_cli *cli)
{
    char text[CN_TEXT_SIZE_MAX];
    struct cn_admission_info info;
    char until[CN_SPAN_TEXT_SIZE];
    size_t size = 0;
    enum cn_err err;
    int code =
        cn_text_read(cli->argument_count ? cli->arguments[0] : NULL, text, sizeof text, &size);

    err = code == CN_EXIT_DONE ? cn_home_join(cli->home, text, size, cli->replace) : CN_OK;
    cn_wipe(text, sizeof text);
    if (code != CN_EXIT_DONE)
        return code;
    if (err == CN_OK)
        err = cn_home_admission(cli->home, &info);
    if (err != CN_OK)
        return failed(cli, err);
    cn_date_text(info.not_after, until);
    cn_say(cli, "joined %s as %s, until %s", info.address[0], info.label, until);
    cn_tell_expiry(cli);
    cn_say(cli,
           "next: `cyphernet contact offer NAME -o FILE`, and hand the card to NAME in person");
    return CN_EXIT_DONE;
}

const struct cn_command cn_cmd_join = {
    .name = "join",
    .usage = "join [FILE|-] [--replace]",
    .summary = "Take the fingerprint file that admits you to a server",
    .help = "Without FILE it is read from standard input. Makes your identity if there is none.\n",
    .options = options,
    .arguments_max = 1,
    .run = run,
};
