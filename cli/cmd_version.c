#include "cli.h"

static int run(struct cn_cli *cli)
{
    if (cli->json) {
        printf("{\"v\":1,\"event\":\"version\",\"version\":\"%s\",\"crypto\":", cn_version());
        cn_json_string(cn_version_crypto());
        printf(",\"mlkem\":");
        cn_json_string(cn_version_mlkem());
        puts("}");
        return CN_EXIT_DONE;
    }
    printf("cyphernet %s\n%s\nML-KEM-768 from %s\n", cn_version(), cn_version_crypto(),
           cn_version_mlkem());
    return CN_EXIT_DONE;
}

const struct cn_command cn_cmd_version = {
    .name = "version",
    .usage = "version [--json]",
    .summary = "Tell the version, and which cryptographic library is in use",
    .keyless = true,
    .json = true,
    .run = run,
};
