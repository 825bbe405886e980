#include "cli.h"

#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

static const struct cn_option options[] = {
    { "rsa", 0, "2048|3072|4096|8192", offsetof(struct cn_cli, rsa),
      "an RSA key of so many bits instead of X25519" },
    { "status", 0, NULL, offsetof(struct cn_cli, status), "tell who has not moved yet, and why" },
    { "finish", 0, NULL, offsetof(struct cn_cli, finish),
      "leave those behind: they and you must exchange cards again" },
    { "yes", 'y', NULL, offsetof(struct cn_cli, yes), "finish: without asking" },
    { NULL, 0, NULL, 0, NULL },
};

static const struct {
    const char *name; /* in events */
    const char *text;
} movings[] = {
    [CN_MOVING_NOT] = { "", "" },
    [CN_MOVING_CALL] = { "call", "the next call hands over your new card" },
    [CN_MOVING_NEXT_CALL] = { "next-call", "has new cards, which the next call uses" },
    [CN_MOVING_UNVERIFIED] = { "unverified", "is not verified, and gets no new card before it is" },
    [CN_MOVING_EXCHANGE] = { "exchange", "has not answered your card: offer a new one" },
};

const char *cn_moving_name(enum cn_contact_moving moving)
{
    return movings[moving].name;
}

const char *cn_moving_text(enum cn_contact_moving moving)
{
    return movings[moving].text;
}

static void print(const struct cn_cli *cli, const struct cn_contact_info *info)
{
    if (cli->json)
        printf("{\"v\":1,\"event\":\"moving\",\"name\":\"%s\",\"moving\":\"%s\"}\n", info->name,
               cn_moving_name(info->moving));
    else
        printf("%-24s %s\n", info->name, cn_moving_text(info->moving));
}

/* Those that have not moved; their number. */
static int print_contacts(struct cn_cli *cli, size_t *count)
{
    struct cn_contact_info *contacts = NULL;
    size_t all = 0;
    enum cn_err err = cn_contact_list(cli->home, &contacts, &all);
    int code = CN_EXIT_DONE;

    *count = 0;
    if (err != CN_OK)
        return cn_fail(cli, err, "listing");
    for (size_t i = 0; i < all; i++) {
        if (contacts[i].err != CN_OK) {
            err = cn_contact_show(cli->home, contacts[i].name, &contacts[i]); /* for the detail */
            code = cn_fail(cli, err == CN_OK ? contacts[i].err : err, "listing");
            ++*count;
        } else if (contacts[i].moving != CN_MOVING_NOT) {
            print(cli, &contacts[i]);
            ++*count;
        }
    }
    free(contacts);
    fflush(stdout);
    return code;
}

static int tell(struct cn_cli *cli)
{
    bool under_way;
    const char *kind;
    size_t count;
    enum cn_err err = cn_home_rotation(cli->home, &under_way, &kind);
    int code;

    if (err != CN_OK)
        return cn_fail(cli, err, "reading the identity");
    if (cli->json)
        printf("{\"v\":1,\"event\":\"rotation\",\"under_way\":%s,\"identity\":\"%s\"}\n",
               under_way ? "true" : "false", kind);
    code = print_contacts(cli, &count);
    if (!under_way)
        cn_say(cli, "your identity: %s and ML-KEM-768; no other is to come", kind);
    else if (code != CN_EXIT_DONE && count == 0) /* nor is it known how many have not moved */
        cn_say(cli, "your new identity, %s and ML-KEM-768, is to replace the old one", kind);
    else
        cn_say(cli, "your new identity, %s and ML-KEM-768, replaces the old one when %zu more %s",
               kind, count, count == 1 ? "has moved" : "have moved");
    return code;
}

static int begin(struct cn_cli *cli)
{
    unsigned bits = cli->rsa ? (unsigned)strtoul(cli->rsa, NULL, 10) : 0;
    enum cn_err err = cn_home_rotate(cli->home, bits);

    if (err == CN_E_EXISTS) {
        cn_error("your new identity is there already: %s", cn_home_detail(cli->home)->about);
        cn_hint("`cyphernet rotate --status` tells who has not moved; --finish leaves them behind");
        return CN_EXIT_FAILED;
    }
    if (err != CN_OK)
        return cn_fail(cli, err, "making the new identity");
    return tell(cli);
}

static bool ask(size_t count)
{
    char line[16] = "";

    fprintf(stderr, "Leave %s behind, and wipe the old identity? [y/N] ",
            count == 1 ? "this one" : "these");
    return fgets(line, sizeof line, stdin) && (line[0] == 'y' || line[0] == 'Y');
}

static int finish(struct cn_cli *cli)
{
    bool under_way;
    const char *kind;
    size_t count;
    enum cn_err err = cn_home_rotation(cli->home, &under_way, &kind);
    int code;

    if (err != CN_OK)
        return cn_fail(cli, err, "reading the identity");
    if (!under_way) {
        cn_error("no new identity is to come");
        cn_hint("`cyphernet rotate` makes one");
        return CN_EXIT_FAILED;
    }
    code = print_contacts(cli, &count);
    if (code != CN_EXIT_DONE)
        return code;
    if (!cli->yes && !isatty(STDIN_FILENO))
        return cn_misuse(cli, "--finish needs --yes where nobody can be asked");
    if (!cli->yes && !ask(count)) {
        cn_say(cli, "nothing was changed");
        return CN_EXIT_FAILED;
    }
    err = cn_home_rotate_finish(cli->home);
    if (err != CN_OK)
        return cn_fail(cli, err, "finishing");
    cn_say(cli, "your identity: %s and ML-KEM-768; the old one is gone", kind);
    return CN_EXIT_DONE;
}

static int run(struct cn_cli *cli)
{
    if (cli->status + cli->finish > 1 || (cli->rsa && (cli->status || cli->finish)))
        return cn_misuse(cli, "one of --rsa, --status and --finish");
    if (cli->yes && !cli->finish)
        return cn_misuse(cli, "--yes goes with --finish");
    if (cli->status)
        return tell(cli);
    return cli->finish ? finish(cli) : begin(cli);
}

const struct cn_command cn_cmd_rotate = {
    .name = "rotate",
    .usage = "rotate [--rsa 2048|3072|4096|8192] | --status | --finish [--yes]",
    .summary = "Change your identity, and take your contacts along",
    .help = "The new identity stays beside the old one. Each call with a verified contact, for "
            "whatever,\nhands over new cards, and the next one uses them; nobody has to meet, or "
            "compare numbers.\nWhen all have moved the old identity is wiped.\n",
    .options = options,
    .json = true,
    .run = run,
};
