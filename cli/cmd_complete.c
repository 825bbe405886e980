/* cmd_complete.c - what may come next, for shells: each word on a line, a tab, what it means.
 * Everything is taken from the tables of commands. ":files" and ":directories" ask the shell for
 * those. */
#include "cli.h"

#include <string.h>

#include "agent/queue.h"
#include "completion.h"
#include "home.h"

enum { OPTION_COUNT_MAX = 32 };

/* One command, or one of its verbs; the words behind it. */
struct place {
    const struct cn_command *command; /* NULL: none yet */
    const struct cn_verb *verb;       /* NULL: none */
    char **words;
    size_t word_count;
};

static void offer(const char *begun, const char *word, const char *meaning)
{
    if (strncmp(word, begun, strlen(begun)) == 0)
        printf("%s\t%s\n", word, meaning);
}

static void offer_commands(const char *begun)
{
    for (size_t i = 0; cn_commands[i]; i++)
        offer(begun, cn_commands[i]->name, cn_commands[i]->summary);
}

static void offer_verbs(const char *begun, const struct cn_verb *verbs)
{
    for (; verbs->name; verbs++)
        offer(begun, verbs->name, verbs->usage);
}

static void offer_contacts(struct cn_cli *cli, const char *begun)
{
    char **names = NULL;
    size_t count = 0;

    if (cn_contact_names(cli->home, &names, &count) != CN_OK)
        return; /* a line that is being typed is no place to say why */
    for (size_t i = 0; i < count; i++)
        offer(begun, names[i], "contact");
    cn_contact_names_free(names, count);
}

static void offer_deliveries(struct cn_cli *cli, const char *begun)
{
    struct cn_delivery *list = NULL;
    size_t count = 0;

    if (cn_queue_list(cli->home, &list, &count) != CN_OK)
        return;
    for (size_t i = 0; i < count; i++)
        offer(begun, list[i].id, list[i].contact);
    cn_queue_free(list, count);
}

static const char *usage_of(const struct place *place)
{
    if (!place->command)
        return "COMMAND";
    return place->verb ? place->verb->usage : place->command->usage;
}

/* The options of a command are those of its verbs, too: each says in its usage which it takes. */
static bool mentions(const char *usage, const struct cn_option *option)
{
    char name[64], letter[] = { '-', option->letter, '\0' };

    snprintf(name, sizeof name, "--%s", option->name);
    return strstr(usage, name) || (option->letter && strstr(usage, letter));
}

static bool takes_json(const struct place *place)
{
    return place->command && (place->verb ? place->verb->json : place->command->json);
}

static void offer_option(const char *begun, const struct cn_option *option)
{
    char word[64];

    snprintf(word, sizeof word, "--%s", option->name);
    offer(begun, word, option->help);
}

static void offer_options(const struct place *place, const char *begun)
{
    const struct cn_option *option = place->command ? place->command->options : NULL;

    for (; option && option->name; option++) {
        if (!place->verb || mentions(place->verb->usage, option))
            offer_option(begun, option);
    }
    for (option = cn_options_common(); option->name; option++) {
        if (strcmp(option->name, "json") != 0 || takes_json(place))
            offer_option(begun, option);
    }
    offer(begun, "--help", "tell about the command");
    offer(begun, "--version", "tell the version");
}

/* Each of ONE|OTHER. */
static void offer_alternatives(const char *begun, const char *called)
{
    char word[64];

    while (*called) {
        size_t size = strcspn(called, "|");

        snprintf(word, sizeof word, "%.*s", (int)size, called);
        offer(begun, word, "");
        called += size + (called[size] == '|');
    }
}

/* What is called so: an argument, or the value of an option. */
static void offer_called(struct cn_cli *cli, const struct place *place, const char *name,
                         bool argument, const char *begun)
{
    if (!argument && strchr(name, '|'))
        offer_alternatives(begun, name);
    else if (argument && cn_completion_is(name, "COMMAND") &&
             (!place->command || place->command == &cn_cmd_help))
        offer_commands(begun);
    else if (argument && (cn_completion_is(name, "NAME") || cn_completion_is(name, "OLD")))
        offer_contacts(cli, begun);
    else if (argument && cn_completion_is(name, "ID"))
        offer_deliveries(cli, begun);
    else if (cn_completion_is(name, "DIR"))
        puts(":directories");
    else if (cn_completion_is(name, "FILE") || cn_completion_is(name, "PATH") ||
             cn_completion_is(name, "COMMAND"))
        puts(":files");
}

static size_t options_add(struct cn_completion_option *out, size_t count,
                          const struct cn_option *options)
{
    for (; options && options->name && count < OPTION_COUNT_MAX; options++)
        out[count++] =
            (struct cn_completion_option) { options->name, options->letter, options->value };
    return count;
}

static void seek(const struct place *place, struct cn_completion *completion)
{
    struct cn_completion_option options[OPTION_COUNT_MAX];
    size_t count = options_add(options, 0, place->command ? place->command->options : NULL);
    struct cn_completion_line line = { (const char *const *)place->words, place->word_count,
                                       options, 0 };

    line.option_count = options_add(options, count, cn_options_common());
    cn_completion_seek(&line, completion);
}

/* Behind the word of a command or verb. */
static void go_behind(struct place *place, size_t index)
{
    place->words += index + 1;
    place->word_count -= index + 1;
}

static const struct cn_verb *verb_find(const struct cn_verb *verbs, const char *name)
{
    for (; verbs->name; verbs++) {
        if (strcmp(verbs->name, name) == 0)
            return verbs;
    }
    return NULL;
}

static void offer_next(struct cn_cli *cli, const struct place *place, const struct cn_completion *c)
{
    const char *name;

    if (c->value_of) {
        if (c->value_of->value)
            offer_called(cli, place, c->value_of->value, false, c->begun);
    } else if (c->options && c->begun[0] == '-') {
        offer_options(place, c->begun);
    } else if (place->command && place->command->verbs && !place->verb) {
        offer_verbs(c->begun, place->command->verbs);
    } else if (cn_completion_argument(usage_of(place), c->argument_count, &name)) {
        offer_called(cli, place, name, true, c->begun);
    }
}

static int run(struct cn_cli *cli)
{
    static char nothing[] = "";
    static char *no_words[] = { nothing };
    struct place place = { NULL, NULL, no_words, 1 };
    struct cn_completion c;

    if (cli->argument_count > 0) {
        place.words = cli->arguments;
        place.word_count = (size_t)cli->argument_count;
    }
    seek(&place, &c);
    if (c.argument_count > 0) {
        place.command = cn_command_find(place.words[c.first]);
        if (!place.command)
            return CN_EXIT_DONE;
        go_behind(&place, c.first);
        seek(&place, &c);
    }
    if (place.command && place.command->verbs && c.argument_count > 0) {
        place.verb = verb_find(place.command->verbs, place.words[c.first]);
        if (!place.verb)
            return CN_EXIT_DONE;
        go_behind(&place, c.first);
        seek(&place, &c);
    }
    offer_next(cli, &place, &c);
    return CN_EXIT_DONE;
}

const struct cn_command cn_cmd_complete = {
    .name = "complete",
    .usage = "complete -- WORD...",
    .summary = "Tell a shell which words may come next",
    .help = "The last WORD is being typed, and may be empty. Installed scripts for bash, zsh and\n"
            "fish ask this.\n",
    .arguments_max = -1,
    .keyless =
        true, /* names of contacts are no secrets of files, and nobody wants to be asked now */
    .run = run,
};
