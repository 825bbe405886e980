/* completion.h - what a shell asks for when it completes a command line: which argument, or which
 * option's value, the last word is, by the usage line and the options that the program's own tables
 * hold. Words are looked at as they were typed; nothing is expanded. */
#ifndef CN_COMPLETION_H
#define CN_COMPLETION_H

#include <stdbool.h>
#include <stddef.h>

struct cn_completion_option {
    const char *name;  /* long, without dashes */
    char letter;       /* 0: none */
    const char *value; /* what its value is called; NULL: it has none */
};

struct cn_completion_line {
    const char *const *words; /* the last is being typed, and may be empty */
    size_t word_count;        /* at least 1 */
    const struct cn_completion_option *options;
    size_t option_count;
};

struct cn_completion {
    size_t argument_count; /* before the last word: not options, and not their values */
    size_t first;          /* index of the first of them; only if there is one */
    const struct cn_completion_option *value_of; /* the last word is its value; NULL: it is not */
    bool options;                                /* the last word may be an option */
    const char *begun; /* what has been typed of the last word; of --name=VALUE, of VALUE */
};

void cn_completion_seek(const struct cn_completion_line *line, struct cn_completion *completion);

/* What a usage line calls argument number index: "PATH" of "send NAME PATH... [--wait SECONDS]" for
 * 1, 2, and so on. Words in capitals are arguments, those right behind an option are values.
 * Borrowed from usage. False: there is none. */
bool cn_completion_argument(const char *usage, size_t index, const char **name);
/* Whether what is called so is a WORD: of "FILE|-", "FILE..." and "FILE" it is FILE. */
bool cn_completion_is(const char *name, const char *word);

#endif
