#include "cli.h"

#include <stddef.h>

static const struct cn_option options[] = {
    { "output", 'o', "FILE", offsetof(struct cn_cli, output),
      "write the request there, instead of standard output" },
    { NULL, 0, NULL, 0, NULL },
};

static int run(struct cn_cli *cli)
{
    char text[CN_TEXT_SIZE_MAX];
    size_t size = sizeof text;
    struct cn_output output;
    int code = cn_output_open(&output, cli->output);
    enum cn_err err;

    if (code != CN_EXIT_DONE)
        return code;
    err = cn_home_request(cli->home, text, &size);
    if (err != CN_OK) {
        cn_output_drop(&output);
        return cn_fail(cli, err, "making the request");
    }
    code = cn_output_write(cli, &output, "request", text, size);
    if (code == CN_EXIT_DONE)
        cn_say(cli,
               "hand it to the operator, who makes your fingerprint with `cyphernetctl admit`");
    return code;
}

const struct cn_command cn_cmd_request = {
    .name = "request",
    .usage = "request [-o FILE]",
    .summary = "Ask an operator for admission with a key that only you have",
    .help = "Not needed if the operator sends you a fingerprint file made by `cyphernetctl "
            "invite`.\nThe same request comes out until you have joined.\n",
    .options = options,
    .json = true,
    .run = run,
};
