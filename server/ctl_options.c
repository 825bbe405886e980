#include "ctl.h"

#include <stdlib.h>
#include <string.h>

#define AT(member) offsetof(struct cn_ctl_arguments, member)

/* Those of every verb, before it or behind it. */
static const struct cn_ctl_option common[] = {
    { "dir", '\0', CN_CTL_TEXT, AT(dir), "DIR", "the server's directory (" CN_DIR_DEFAULT ")" },
    { "json", '\0', CN_CTL_FLAG, AT(json), NULL, "the result as JSON, one object a line" },
    { "quiet", 'q', CN_CTL_FLAG, AT(quiet), NULL, "say nothing but errors" },
    { "verbose", 'v', CN_CTL_FLAG, AT(verbose), NULL, "say more" },
    { "help", 'h', CN_CTL_FLAG, AT(help), NULL, "tell about the command" },
    { "version", '\0', CN_CTL_FLAG, AT(version), NULL, "tell the version" },
    { NULL, '\0', CN_CTL_FLAG, 0, NULL, NULL },
};

const struct cn_ctl_option *cn_ctl_options_common(void)
{
    return common;
}

/* What is left of argv. */
struct rest {
    char **at;
    const char *attached; /* VALUE of --name=VALUE or -oVALUE; NULL: none */
};

static void hint_help(const struct cn_ctl *ctl)
{
    if (ctl->verb)
        cn_ctl_hint("cyphernetctl help %s", ctl->verb->name);
    else
        cn_ctl_hint("cyphernetctl help");
}

void cn_ctl_verb_unknown(const char *name)
{
    cn_ctl_error("there is no command %s", name);
    cn_ctl_hint("cyphernetctl help");
}

const struct cn_ctl_verb *cn_ctl_verb_find(const struct cn_ctl_verb *const *verbs, const char *name)
{
    for (; *verbs; verbs++) {
        if (strcmp((*verbs)->name, name) == 0)
            return *verbs;
    }
    return NULL;
}

static const struct cn_ctl_option *option_in(const struct cn_ctl_option *options, const char *name,
                                             size_t name_size, char letter)
{
    for (; options && options->name; options++) {
        if (name && strlen(options->name) == name_size &&
            strncmp(options->name, name, name_size) == 0)
            return options;
        if (!name && options->letter != '\0' && options->letter == letter)
            return options;
    }
    return NULL;
}

static const struct cn_ctl_option *option_find(const struct cn_ctl *ctl, const char *name,
                                               size_t name_size, char letter)
{
    const struct cn_ctl_option *found = option_in(common, name, name_size, letter);

    if (!found && ctl->verb)
        found = option_in(ctl->verb->options, name, name_size, letter);
    return found;
}

static bool number_take(const char *text, unsigned min, unsigned max, unsigned *number)
{
    char *end;
    unsigned long value;

    if (text[0] < '0' || text[0] > '9' || strlen(text) > 5)
        return false;
    value = strtoul(text, &end, 10);
    if (*end != '\0' || value < min || value > max)
        return false;
    *number = (unsigned)value;
    return true;
}

/* Of a kind that is a number. */
static bool number_store(const struct cn_ctl *ctl, const struct cn_ctl_option *option,
                         const char *text, void *place)
{
    unsigned min = option->kind == CN_CTL_DAYS ? 1 : 0;
    unsigned max = option->kind == CN_CTL_DAYS ? CN_CTL_DAYS_MAX : CN_CTL_CLASS_MAX;
    unsigned number;

    if (!number_take(text, min, max, &number)) {
        cn_ctl_error("--%s: %s is not a number from %u to %u", option->name, text, min, max);
        hint_help(ctl);
        return false;
    }
    if (option->kind == CN_CTL_DAYS)
        *(unsigned *)place = number;
    else
        *(int *)place = (int)number;
    return true;
}

/* Store a value. False, having said why, if it is not one. */
static bool value_take(const struct cn_ctl *ctl, const struct cn_ctl_option *option,
                       const char *text, void *place)
{
    struct cn_ctl_texts *texts = place;

    if (option->kind == CN_CTL_DAYS || option->kind == CN_CTL_CLASS)
        return number_store(ctl, option, text, place);
    if (option->kind == CN_CTL_TEXT) {
        *(const char **)place = text;
        return true;
    }
    if (texts->count == CN_CTL_LIST_COUNT_MAX) {
        cn_ctl_error("--%s: at most %d of them", option->name, CN_CTL_LIST_COUNT_MAX);
        return false;
    }
    texts->text[texts->count++] = text;
    return true;
}

/* One option; its value is attached or the next word. */
static bool option_take(struct cn_ctl *ctl, const struct cn_ctl_option *option, struct rest *rest)
{
    void *place = (char *)&ctl->arguments + option->offset;
    const char *text = rest->attached;

    if (option->kind == CN_CTL_FLAG) {
        *(bool *)place = true;
        if (!text)
            return true;
        cn_ctl_error("--%s takes no value", option->name);
        hint_help(ctl);
        return false;
    }
    if (!text && *rest->at)
        text = *rest->at++;
    if (!text || text[0] == '\0') {
        cn_ctl_error("--%s needs a value", option->name);
        hint_help(ctl);
        return false;
    }
    return value_take(ctl, option, text, place);
}

static bool unknown(const struct cn_ctl *ctl, const char *word)
{
    cn_ctl_error("there is no option %s%s%s", word, ctl->verb ? " for " : "",
                 ctl->verb ? ctl->verb->name : "");
    hint_help(ctl);
    return false;
}

/* --name, --name=VALUE */
static bool long_take(struct cn_ctl *ctl, const char *word, struct rest *rest)
{
    const char *equals = strchr(word, '=');
    size_t size = equals ? (size_t)(equals - word) : strlen(word);
    const struct cn_ctl_option *option = option_find(ctl, word + 2, size - 2, '\0');

    rest->attached = equals ? equals + 1 : NULL;
    return option ? option_take(ctl, option, rest) : unknown(ctl, word);
}

/* -o VALUE, -oVALUE, -qv */
static bool letters_take(struct cn_ctl *ctl, const char *word, struct rest *rest)
{
    for (const char *letter = word + 1; *letter; letter++) {
        const struct cn_ctl_option *option = option_find(ctl, NULL, 0, *letter);

        if (!option)
            return unknown(ctl, word);
        rest->attached = option->kind != CN_CTL_FLAG && letter[1] ? letter + 1 : NULL;
        if (!option_take(ctl, option, rest))
            return false;
        if (option->kind != CN_CTL_FLAG)
            break;
    }
    return true;
}

static bool operand_take(struct cn_ctl *ctl, const struct cn_ctl_verb *const *verbs,
                         const char *word)
{
    struct cn_ctl_arguments *a = &ctl->arguments;

    if (!ctl->verb) {
        ctl->verb = cn_ctl_verb_find(verbs, word);
        if (!ctl->verb)
            cn_ctl_verb_unknown(word);
        return ctl->verb != NULL;
    }
    if (a->operand_count == ctl->verb->operand_max) {
        cn_ctl_error("%s: too much: %s", ctl->verb->name, word);
        cn_ctl_hint("usage: cyphernetctl %s", ctl->verb->usage);
        return false;
    }
    a->operand[a->operand_count++] = word;
    return true;
}

bool cn_ctl_options_parse(struct cn_ctl *ctl, const struct cn_ctl_verb *const *verbs, int argc,
                          char **argv)
{
    struct rest rest = { .at = argc > 0 ? argv + 1 : argv };
    bool options = true; /* until -- */
    bool good = true;

    while (good && *rest.at) {
        const char *word = *rest.at++;

        if (options && strcmp(word, "--") == 0)
            options = false;
        else if (options && word[0] == '-' && word[1] == '-')
            good = long_take(ctl, word, &rest);
        else if (options && word[0] == '-' && word[1] != '\0')
            good = letters_take(ctl, word, &rest);
        else
            good = operand_take(ctl, verbs, word);
    }
    if (!good || ctl->arguments.help || ctl->arguments.version || !ctl->verb)
        return good;
    if (ctl->arguments.operand_count < ctl->verb->operand_min) {
        cn_ctl_error("%s: something is missing", ctl->verb->name);
        cn_ctl_hint("usage: cyphernetctl %s", ctl->verb->usage);
        return false;
    }
    return true;
}
