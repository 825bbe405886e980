/* ctl_complete.c - what may come next, for shells: each word on a line, a tab, what it means. All
 * of it is in the tables of verbs. ":files" and ":directories" ask the shell for those. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "completion.h"
#include "ctl.h"

enum { OPTION_COUNT_MAX = 32 };

static void offer(const char *begun, const char *word, const char *meaning)
{
    if (strncmp(word, begun, strlen(begun)) == 0)
        printf("%s\t%s\n", word, meaning);
}

static void offer_verbs(const char *begun)
{
    for (size_t i = 0; cn_ctl_verbs[i]; i++)
        offer(begun, cn_ctl_verbs[i]->name, cn_ctl_verbs[i]->summary);
}

static void offer_labels(const struct cn_ctl *ctl, const char *begun)
{
    struct cn_subscriber *list = NULL;
    struct cn_ctl_place place;
    size_t count = 0;

    if (!cn_ctl_place_open(&place, ctl))
        return;
    if (cn_registry_list(place.registry, &list, &count) == CN_OK) {
        for (size_t i = 0; i < count; i++)
            offer(begun, list[i].label, "subscriber");
    }
    free(list);
    cn_ctl_place_close(&place);
}

static void offer_options(const char *begun, const struct cn_ctl_option *options)
{
    for (; options && options->name; options++) {
        char word[64];

        snprintf(word, sizeof word, "--%s", options->name);
        offer(begun, word, options->value ? options->value : "");
    }
}

/* What is called so: an argument, or the value of an option. A LABEL alone is one to be given;
 * where a subscriber is chosen there is another way to name him. */
static void offer_called(const struct cn_ctl *ctl, const char *name, const char *begun)
{
    if (cn_completion_is(name, "COMMAND"))
        offer_verbs(begun);
    else if (strncmp(name, "LABEL|", 6) == 0)
        offer_labels(ctl, begun);
    else if (cn_completion_is(name, "DIR"))
        puts(":directories");
    else if (cn_completion_is(name, "FILE") || cn_completion_is(name, "PUBFILE") ||
             cn_completion_is(name, "REQUEST"))
        puts(":files");
}

static size_t options_add(struct cn_completion_option *out, size_t count,
                          const struct cn_ctl_option *options)
{
    for (; options && options->name && count < OPTION_COUNT_MAX; options++)
        out[count++] =
            (struct cn_completion_option) { options->name, options->letter, options->value };
    return count;
}

static void seek(const struct cn_ctl_verb *verb, const char *const *words, size_t word_count,
                 struct cn_completion *completion)
{
    struct cn_completion_option options[OPTION_COUNT_MAX];
    size_t count = options_add(options, 0, verb ? verb->options : NULL);
    struct cn_completion_line line = { words, word_count, options, 0 };

    line.option_count = options_add(options, count, cn_ctl_options_common());
    cn_completion_seek(&line, completion);
}

static void offer_next(const struct cn_ctl *ctl, const struct cn_ctl_verb *verb,
                       const struct cn_completion *c)
{
    const char *name;

    if (c->value_of) {
        if (c->value_of->value)
            offer_called(ctl, c->value_of->value, c->begun);
    } else if (c->options && c->begun[0] == '-') {
        offer_options(c->begun, verb ? verb->options : NULL);
        offer_options(c->begun, cn_ctl_options_common());
    } else if (cn_completion_argument(verb ? verb->usage : "COMMAND", c->argument_count, &name)) {
        offer_called(ctl, name, c->begun);
    }
}

/* Labels are those of the directory that is being typed. */
static void directory_take(struct cn_ctl *ctl, const char *const *words, size_t word_count)
{
    for (size_t i = 0; i + 2 < word_count; i++) {
        if (strcmp(words[i], "--dir") == 0)
            ctl->arguments.dir = words[i + 1];
    }
}

static int run(struct cn_ctl *ctl)
{
    static const char *const nothing[] = { "" };
    size_t word_count = ctl->arguments.operand_count;
    const char *const *words = word_count > 0 ? ctl->arguments.operand : nothing;
    const struct cn_ctl_verb *verb = NULL;
    struct cn_completion c;

    if (word_count == 0)
        word_count = 1;
    directory_take(ctl, words, word_count);
    seek(NULL, words, word_count, &c);
    if (c.argument_count > 0) {
        size_t behind = c.first + 1;

        verb = cn_ctl_verb_find(cn_ctl_verbs, words[c.first]);
        if (!verb)
            return CN_CTL_OK;
        seek(verb, words + behind, word_count - behind, &c);
    }
    offer_next(ctl, verb, &c);
    return CN_CTL_OK;
}

const struct cn_ctl_verb cn_ctl_complete_verb = {
    .name = "complete",
    .usage = "complete -- WORD...",
    .summary = "Tell a shell which words may come next",
    .help = "The last WORD is being typed, and may be empty. Installed scripts for bash, zsh and\n"
            "fish ask this.\n",
    .operand_max = CN_CTL_OPERAND_COUNT_MAX,
    .run = run,
};
