#include "cli.h"

static int run(struct cn_cli *cli)
{
    const struct cn_command *command;

    if (cli->argument_count == 0) {
        puts("usage: cyphernet COMMAND ...\n");
        for (size_t i = 0; cn_commands[i]; i++)
            printf("  %-10s %s\n", cn_commands[i]->name, cn_commands[i]->summary);
        puts("\n`cyphernet help COMMAND` tells more; cyphernet(1) tells all.");
        return CN_EXIT_DONE;
    }
    command = cn_command_find(cli->arguments[0]);
    if (!command)
        return cn_misuse(cli, "there is no command '%s'", cli->arguments[0]);
    cn_options_help(command);
    return CN_EXIT_DONE;
}

const struct cn_command cn_cmd_help = {
    .name = "help",
    .usage = "help [COMMAND]",
    .summary = "Tell about a command, or list them all",
    .arguments_max = 1,
    .keyless = true,
    .run = run,
};
