/* cmd_agent.c - cyphernet agent: answers calls of all contacts, as agent.conf says. */
#include <stddef.h>

#include "agent/agent.h"
#include "tunneling.h"

static const struct cn_option options[] = {
    { "check", 0, NULL, offsetof(struct cn_cli, check), "only look whether agent.conf is good" },
    { NULL, 0, NULL, 0, NULL },
};

static int check(struct cn_cli *cli)
{
    struct cn_rules rules = { 0 };
    char sections[CN_COUNT_TEXT_SIZE];

    if (!cn_rules_file_read(cli, &rules))
        return CN_EXIT_FAILED;
    cn_say(cli, "agent.conf can be used: %s", cn_count_text(sections, rules.count, "section"));
    cn_rules_wipe(&rules);
    return CN_EXIT_DONE;
}

/* Whoever may not call cannot answer either. */
static int run(struct cn_cli *cli)
{
    struct cn_admission_info info;
    enum cn_err err;

    if (cli->check && cli->json)
        return cn_misuse(cli, "agent --check: " CN_NO_JSON);
    if (cli->check)
        return check(cli);
    err = cn_home_admission(cli->home, &info);
    if (err != CN_OK)
        return cn_fail(cli, err, "starting");
    cn_tell_expiry(cli);
    cn_tunneling_prepare();
    return cn_agent_run(cli);
}

const struct cn_command cn_cmd_agent = {
    .name = "agent",
    .usage = "agent [--check]",
    .summary = "Answer calls of all contacts by rules, and deliver what is queued",
    .help =
        "One line to the server waits for everybody. agent.conf beside your preferences says, for\n"
        "each contact or for all others ([*], once they are verified), what is answered: files\n"
        "into a directory, addresses that may be reached, a command for pipe, and whether talk\n"
        "is refused, held or told of by a command. Nothing is answered that no rule says.\n"
        "`talk NAME --answer` takes a talk that is held; what `send --later` has queued is\n"
        "delivered when NAME comes. A command that you run for a contact goes before the agent.\n"
        "SIGHUP has it read the rules again. It ends, with 0, when it is interrupted.\n",
    .options = options,
    .json = true,
    .run = run,
};
