#include "completion.h"

#include <string.h>

static const struct cn_completion_option *find(const struct cn_completion_line *line,
                                               const char *name, size_t size, char letter)
{
    for (size_t i = 0; i < line->option_count; i++) {
        const struct cn_completion_option *option = &line->options[i];

        if (letter ? option->letter == letter
                   : strlen(option->name) == size && strncmp(option->name, name, size) == 0)
            return option;
    }
    return NULL;
}

/* The option whose value is the next word; NULL: none. */
static const struct cn_completion_option *wanting(const struct cn_completion_line *line,
                                                  const char *word)
{
    const struct cn_completion_option *option = NULL;

    if (word[1] == '-') {
        option = find(line, word + 2, strlen(word + 2), 0);
        return option && option->value ? option : NULL;
    }
    for (const char *letter = word + 1; *letter; letter++) {
        option = find(line, "", 0, *letter);
        if (option && option->value)
            return letter[1] ? NULL : option; /* else the rest of the word is the value */
    }
    return NULL;
}

void cn_completion_seek(const struct cn_completion_line *line, struct cn_completion *completion)
{
    const char *last = line->words[line->word_count - 1];
    struct cn_completion c = { .options = true, .begun = last };
    const char *equals;

    for (size_t i = 0; i + 1 < line->word_count; i++) {
        const char *word = line->words[i];

        if (c.value_of)
            c.value_of = NULL;
        else if (c.options && strcmp(word, "--") == 0)
            c.options = false;
        else if (c.options && word[0] == '-' && word[1])
            c.value_of = wanting(line, word);
        else if (c.argument_count++ == 0)
            c.first = i;
    }
    equals = strchr(last, '=');
    if (!c.value_of && c.options && equals && strncmp(last, "--", 2) == 0) {
        const struct cn_completion_option *option =
            find(line, last + 2, (size_t)(equals - last) - 2, 0);

        if (option && option->value) { /* else nothing begins so */
            c.value_of = option;
            c.begun = equals + 1;
            c.options = false;
        }
    }
    *completion = c;
}

static bool is_capital(char c)
{
    return c >= 'A' && c <= 'Z';
}

/* Of a usage line: "-o" or "--output", not "-", "--" or "[-n]", behind which no value comes. */
static bool takes_value(const char *word, size_t size)
{
    size_t dashes = strspn(word, "-");

    return dashes > 0 && size > dashes && !memchr(word, ']', size);
}

bool cn_completion_argument(const char *usage, size_t index, const char **name)
{
    const char *repeated = NULL;
    bool behind_option = false;

    while (*usage) {
        const char *word = usage + strspn(usage, "[");
        size_t size = strcspn(word, " ");

        if (is_capital(*word) && !behind_option) {
            if (index-- == 0) {
                *name = word;
                return true;
            }
            repeated = strncmp(word + strcspn(word, ". "), "...", 3) == 0 ? word : NULL;
        }
        behind_option = takes_value(word, size);
        usage = word + size + strspn(word + size, " ");
    }
    if (repeated)
        *name = repeated;
    return repeated != NULL;
}

bool cn_completion_is(const char *name, const char *word)
{
    size_t size = strlen(word);

    return strncmp(name, word, size) == 0 && !is_capital(name[size]);
}
