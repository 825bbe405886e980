/* main.c - cyphernet: the table of commands, and the only exit. */
#include "cli.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "keeper.h"
#include "passphrase.h"

enum { STACK_LOCKED_SIZE = 384 << 10 };

const struct cn_command *const cn_commands[] = {
    &cn_cmd_init,     &cn_cmd_request,
    &cn_cmd_join,     &cn_cmd_contact,
    &cn_cmd_pipe,     &cn_cmd_talk,
    &cn_cmd_send,     &cn_cmd_receive,
    &cn_cmd_forward,  &cn_cmd_serve,
    &cn_cmd_connect,  &cn_cmd_agent,
    &cn_cmd_queue,    &cn_cmd_passphrase,
    &cn_cmd_backup,   &cn_cmd_restore,
    &cn_cmd_rotate,   &cn_cmd_doctor,
    &cn_cmd_version,  &cn_cmd_help,
    &cn_cmd_complete, NULL, /* as `help` lists them */
};

const struct cn_command *cn_command_find(const char *name)
{
    for (size_t i = 0; cn_commands[i]; i++) {
        if (strcmp(cn_commands[i]->name, name) == 0)
            return cn_commands[i];
    }
    return NULL;
}

/* A standard descriptor that is closed must not become the line to the server, to which we would
 * then write what only our user may see. What takes its place fails as it would: EBADF. */
static void standard_descriptors_fill(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF &&
            open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd)
            _exit(CN_EXIT_FAILED); /* and where would we say so? */
    }
}

/* Nobody else shall read our memory: no core, no debugger of the same user. */
static void harden(void)
{
    const struct rlimit none = { 0, 0 };

    (void)setrlimit(RLIMIT_CORE, &none); /* best effort, both */
    (void)prctl(PR_SET_DUMPABLE, 0);
}

/* Keys pass over the stack while files are read: the part of it that we use shall not reach the
 * swap space. The library locks what it keeps. False: refused. */
static bool stack_lock(void)
{
    char below[STACK_LOCKED_SIZE] = { 0 };

    return mlock(below, sizeof below) == 0;
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
    code = cli->command->keyless ? CN_EXIT_DONE : cn_passphrase_unseal(cli);
    if (code == CN_EXIT_DONE)
        code = cli->command->run(cli);
    cn_home_close(cli->home);
    return code;
}

/* `cyphernet -q pipe NAME` means `cyphernet pipe -q NAME`: the command goes before the options.
 * `--` ends those that stand before it. */
static void command_first(int *argc, char **argv)
{
    int at = 1;
    int words = 1;

    while (at < *argc && argv[at][0] == '-' && words > 0)
        at += words = cn_option_common_words(&argv[at]);
    if (at < *argc && strcmp(argv[at], "--") == 0) {
        memmove(&argv[at], &argv[at + 1], (size_t)(*argc - at) * sizeof argv[0]);
        --*argc;
    }
    if (at == 1 || at >= *argc)
        return;
    char *command = argv[at];

    memmove(&argv[2], &argv[1], (size_t)(at - 1) * sizeof argv[0]);
    argv[1] = command;
}

static const struct cn_command *asked_for(const char *name)
{
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
        return &cn_cmd_help;
    if (strcmp(name, "--version") == 0)
        return &cn_cmd_version;
    return cn_command_find(name);
}

/* Whether something that was asked for could not be printed, now or at an earlier flush. */
static bool output_lost(void)
{
    if (fflush(stdout) != 0)
        cn_error("standard output: %s", strerror(errno));
    else if (ferror(stdout))
        cn_error("standard output: not all of it could be written");
    else
        return false;
    return true;
}

int main(int argc, char **argv)
{
    struct cn_cli cli = { 0 };
    bool told = false;
    int code;

    if (argc == 2 && strcmp(argv[0], CN_KEEPER_NAME) == 0) {
        cn_keeper_run(argv[1]);
        return CN_EXIT_DONE;
    }
    standard_descriptors_fill();
    command_first(&argc, argv);
    if (argc < 2) {
        cn_error("no command given");
        cn_hint("cyphernet help");
        return CN_EXIT_USAGE;
    }
    cli.command = asked_for(argv[1]);
    if (!cli.command) {
        cn_error("there is no command '%s'", argv[1]);
        cn_hint("cyphernet help lists the commands");
        return CN_EXIT_USAGE;
    }
    signal(SIGPIPE, SIG_IGN); /* a reader that goes away is an error to be told, not a death */
    harden();
    code = cn_options_take(&cli, argc - 1, argv + 1, &told);
    if (code == CN_EXIT_DONE && !told) {
        cli.told_unlocked = !stack_lock();
        if (cli.told_unlocked)
            cn_warn(CN_WARN_UNLOCKED);
        code = run(&cli);
    }
    return output_lost() && code == CN_EXIT_DONE ? CN_EXIT_FAILED : code;
}
