/* main.c - cyphernet: the table of commands, and the only exit. */
#include "cli.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

const struct cn_command *const cn_commands[] = {
    &cn_cmd_init, &cn_cmd_request, &cn_cmd_join, &cn_cmd_contact,
    &cn_cmd_pipe, &cn_cmd_doctor, &cn_cmd_version, &cn_cmd_help, NULL,
};

const struct cn_command *cn_command_find(const char *name)
{
    for (size_t i = 0; cn_commands[i]; i++) {
        if (strcmp(cn_commands[i]->name, name) == 0)
            return cn_commands[i];
    }
    return NULL;
}

/* Nobody else shall read our memory: no core, no debugger of the same user. */
static void harden(void)
{
    const struct rlimit none = { 0, 0 };

    (void)setrlimit(RLIMIT_CORE, &none); /* best effort, both */
    (void)prctl(PR_SET_DUMPABLE, 0);
}

static int run(struct cn_cli *cli)
{
    enum cn_err err = cn_home_open(&cli->home, NULL);
    int code;

    if (err == CN_E_ABSENT) {
        cn_error("nowhere to keep your identity: HOME is not set, or a path is too long");
        cn_hint("set HOME, or CYPHERNET_HOME to a directory of your own");
        return CN_EXIT_FAILED;
    }
    if (err != CN_OK)
        return cn_fail(cli, err, "starting");
    code = cli->command->run(cli);
    cn_home_close(cli->home);
    return code;
}

int main(int argc, char **argv)
{
    struct cn_cli cli = { 0 };
    bool told = false;
    int code;

    if (argc < 2) {
        cn_error("no command given");
        cn_hint("cyphernet help");
        return CN_EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
        cli.command = &cn_cmd_help;
    else if (strcmp(argv[1], "--version") == 0)
        cli.command = &cn_cmd_version;
    else
        cli.command = cn_command_find(argv[1]);
    if (!cli.command) {
        cn_error("there is no command '%s'", argv[1]);
        cn_hint("cyphernet help lists the commands");
        return CN_EXIT_USAGE;
    }
    signal(SIGPIPE, SIG_IGN); /* a reader that goes away is an error to be told, not a death */
    harden();
    code = cn_options_take(&cli, argc - 1, argv + 1, &told);
    if (code == CN_EXIT_DONE && !told)
        code = run(&cli);
    if (fflush(stdout) != 0 && code == CN_EXIT_DONE) {
        cn_error("standard output: %s", strerror(errno));
        code = CN_EXIT_FAILED;
    }
    return code;
}
