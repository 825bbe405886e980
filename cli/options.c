#include "cli.h"

#include <stddef.h>
#include <string.h>

#define FIELD(field) offsetof(struct cn_cli, field)

/* Of every command. */
static const struct cn_option common[] = {
    { "json", 0, NULL, FIELD(json), "results as JSON, one object a line" },
    { "passphrase-fd", 0, "FD", FIELD(passphrase_fd),
      "the passphrase is a line of this descriptor" },
    { "quiet", 'q', NULL, FIELD(quiet), "say nothing but errors and what was asked for" },
    { "verbose", 'v', NULL, FIELD(verbose), "say more" },
    { NULL, 0, NULL, 0, NULL },
};

const struct cn_option *cn_options_common(void)
{
    return common;
}

bool cn_option_applies(const struct cn_command *command, const struct cn_option *option)
{
    return option->field != FIELD(json) || command->json;
}

static const struct cn_option *find_in(const struct cn_option *list, const char *name, size_t size,
                                       char letter)
{
    for (; list && list->name; list++) {
        if (letter ? list->letter == letter
                   : strlen(list->name) == size && strncmp(list->name, name, size) == 0)
            return list;
    }
    return NULL;
}

static const struct cn_option *find(const struct cn_cli *cli, const char *name, size_t size,
                                    char letter)
{
    const struct cn_option *option = find_in(cli->command->options, name, size, letter);

    return option ? option : find_in(common, name, size, letter);
}

int cn_option_common_words(char *const *arguments)
{
    const char *argument = arguments[0];

    if (argument[1] == '-') {
        size_t size = strcspn(argument + 2, "=");
        const struct cn_option *option = find_in(common, argument + 2, size, 0);

        if (!option)
            return 0;
        return option->value && !argument[2 + size] && arguments[1] ? 2 : 1;
    }
    for (const char *c = argument + 1; *c; c++) {
        if (!find_in(common, NULL, 0, *c))
            return 0;
    }
    return argument[1] != '\0';
}

/* Of ONE|OTHER, one of them; anything else can be anything. */
static bool value_fits(const char *called, const char *value)
{
    if (!strchr(called, '|'))
        return true;
    while (*called) {
        size_t size = strcspn(called, "|");

        if (strlen(value) == size && strncmp(called, value, size) == 0)
            return true;
        called += size + (called[size] == '|');
    }
    return false;
}

static int set(struct cn_cli *cli, const struct cn_option *option, const char *value)
{
    char *field = (char *)cli + option->field;

    if (option->value && !value_fits(option->value, value))
        return cn_misuse(cli, "--%s wants one of %s", option->name, option->value);
    if (option->value)
        memcpy(field, &value, sizeof value);
    else
        *(bool *)(void *)field = true;
    if (option->field != FIELD(repeated))
        return CN_EXIT_DONE;
    if (cli->given_count == CN_GIVEN_COUNT_MAX)
        return cn_misuse(cli, "too many options");
    cli->given[cli->given_count++] = (struct cn_given) { option, value };
    return CN_EXIT_DONE;
}

/* --name, --name=value, --name value. */
static int take_long(struct cn_cli *cli, char **argv, int *i, int argc)
{
    const char *name = argv[*i] + 2;
    const char *equals = strchr(name, '=');
    size_t size = equals ? (size_t)(equals - name) : strlen(name);
    const struct cn_option *option = find(cli, name, size, 0);

    if (!option)
        return cn_misuse(cli, "there is no option '%s'", argv[*i]);
    if (!option->value && equals)
        return cn_misuse(cli, "--%s takes no value", option->name);
    if (option->value && !equals && *i + 1 == argc)
        return cn_misuse(cli, "--%s wants a value: %s", option->name, option->value);
    return set(cli, option, !option->value ? NULL : equals ? equals + 1 : argv[++*i]);
}

/* -a, -ab, -ovalue, -o value. */
static int take_letters(struct cn_cli *cli, char **argv, int *i, int argc)
{
    for (const char *c = argv[*i] + 1; *c; c++) {
        const struct cn_option *option = find(cli, NULL, 0, *c);

        if (!option)
            return cn_misuse(cli, "there is no option '-%c'", *c);
        if (!option->value) {
            (void)set(cli, option, NULL);
            continue;
        }
        if (!c[1] && *i + 1 == argc)
            return cn_misuse(cli, "-%c wants a value: %s", *c, option->value);
        return set(cli, option, c[1] ? c + 1 : argv[++*i]);
    }
    return CN_EXIT_DONE;
}

/* What stands for another command wherever it stands: telling about this one, or the version. */
static bool told_instead(struct cn_cli *cli, const char *argument)
{
    if (strcmp(argument, "-h") == 0 || strcmp(argument, "--help") == 0)
        cn_options_help(cli->command);
    else if (strcmp(argument, "--version") == 0)
        (void)cn_cmd_version.run(cli);
    else
        return false;
    return true;
}

int cn_options_take(struct cn_cli *cli, int argc, char **argv, bool *told)
{
    bool only_arguments = false;
    int code = CN_EXIT_DONE;

    cli->arguments = argv; /* arguments move to the front, over what has been dealt with */
    for (int i = 1; i < argc && code == CN_EXIT_DONE; i++) {
        if (only_arguments || argv[i][0] != '-' || !argv[i][1]) {
            argv[cli->argument_count++] = argv[i];
        } else if (strcmp(argv[i], "--") == 0) {
            only_arguments = true;
            if (!cli->command->takes_command || cli->argument_count < cli->command->arguments_min)
                continue;
            if (i + 1 == argc)
                return cn_misuse(cli, "there is no command behind --");
            cli->words = argv + i + 1;
            break;
        } else if (told_instead(cli, argv[i])) {
            *told = true;
            return CN_EXIT_DONE;
        } else if (argv[i][1] == '-') {
            code = take_long(cli, argv, &i, argc);
        } else {
            code = take_letters(cli, argv, &i, argc);
        }
    }
    if (code != CN_EXIT_DONE)
        return code;
    if (cli->argument_count < cli->command->arguments_min)
        return cn_misuse(cli, "too few arguments");
    if (cli->command->arguments_max >= 0 && cli->argument_count > cli->command->arguments_max)
        return cn_misuse(cli, "too many arguments");
    if (cli->json && !cli->command->json)
        return cn_misuse(cli, "%s: %s", cli->command->name,
                         cli->command->no_json ? cli->command->no_json : CN_NO_JSON);
    return CN_EXIT_DONE;
}

static void help_options(const struct cn_command *command, const struct cn_option *list)
{
    for (; list && list->name; list++) {
        char left[64];

        if (!cn_option_applies(command, list))
            continue;
        snprintf(left, sizeof left, "%c%c%s--%s%s%s", list->letter ? '-' : ' ',
                 list->letter ? list->letter : ' ', list->letter ? ", " : "  ", list->name,
                 list->value ? " " : "", list->value ? list->value : "");
        printf("  %-26s %s\n", left, list->help);
    }
}

/* That of each verb, where there are some. */
static void help_usage(const struct cn_command *command)
{
    const struct cn_verb *verb = command->verbs;

    if (!verb || command->arguments_min == 0) { /* which may stand alone */
        printf("usage: cyphernet %s\n", command->usage);
        return;
    }
    for (; verb && verb->name; verb++)
        printf("%s cyphernet %s\n", verb == command->verbs ? "usage:" : "      ", verb->usage);
}

void cn_options_help(const struct cn_command *command)
{
    help_usage(command);
    printf("\n%s.\n", command->summary);
    if (command->help)
        printf("\n%s", command->help);
    puts("\nOptions:");
    help_options(command, command->options);
    help_options(command, common);
    puts("  -h, --help                 tell this\n"
         "      --version              tell the version");
    printf("\ncyphernet-%s(1) has examples.\n", command->name);
}
