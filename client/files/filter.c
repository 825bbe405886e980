#include "filter.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct rule {
    char *copy;          /* of the command line's pattern, owned; else NULL */
    const char *pattern; /* octets of the text that it was read from */
    uint32_t size;
    bool is_kept;      /* what it matches stays */
    bool is_directory; /* matches nothing else */
    bool is_last_part; /* matches the last part of a name, else a path */
};

/* The patterns of one place, in their order. */
struct level {
    char *text; /* owned */
    struct rule *rules;
    size_t count, capacity;
    size_t path_size;
};

struct cn_filter {
    struct level command;
    struct level *levels; /* of the directories that are entered, the deepest last */
    size_t count, capacity;
    bool uses_gitignore;
};

/* Room for one more of size octets each; false: no memory. */
static bool make_room(void **block, size_t *capacity, size_t count, size_t size)
{
    size_t wanted = *capacity ? *capacity * 2 : 16;
    void *grown;

    if (count < *capacity)
        return true;
    grown = reallocarray(*block, wanted, size);
    if (!grown)
        return false;
    *block = grown;
    *capacity = wanted;
    return true;
}

enum cn_err cn_filter_create(struct cn_filter **filter)
{
    struct cn_filter *made = calloc(1, sizeof *made);

    if (!made)
        return CN_E_MEMORY;
    *filter = made;
    return CN_OK;
}

static void level_wipe(struct level *level)
{
    free(level->text);
    free(level->rules);
}

void cn_filter_free(struct cn_filter *filter)
{
    if (!filter)
        return;
    for (size_t i = 0; i < filter->count; i++)
        level_wipe(&filter->levels[i]);
    free(filter->levels);
    for (size_t i = 0; i < filter->command.count; i++)
        free(filter->command.rules[i].copy);
    level_wipe(&filter->command);
    free(filter);
}

/* --- patterns ------------------------------------------------------------------------------- */

/* Add pattern[0..size), borrowed; one that can match nothing is left away. */
static enum cn_err rule_add(struct level *level, const char *pattern, size_t size)
{
    struct rule rule = { .pattern = pattern };
    void *rules = level->rules;

    if (size > 0 && *rule.pattern == '!') {
        rule.is_kept = true;
        rule.pattern++;
        size--;
    }
    if (size > 0 && rule.pattern[size - 1] == '/') {
        rule.is_directory = true;
        size--;
    }
    if (size == 0 || size > CN_FILTER_PATTERN_SIZE_MAX)
        return CN_OK;
    rule.is_last_part = !memchr(rule.pattern, '/', size);
    if (*rule.pattern == '/') {
        rule.pattern++;
        size--;
    }
    rule.size = (uint32_t)size;
    if (!make_room(&rules, &level->capacity, level->count, sizeof rule))
        return CN_E_MEMORY;
    level->rules = rules;
    level->rules[level->count++] = rule;
    return CN_OK;
}

enum cn_err cn_filter_exclude(struct cn_filter *filter, const char *pattern)
{
    size_t size = strlen(pattern);
    size_t before = filter->command.count;
    enum cn_err err;
    char *copy;

    if (size == 0 || size > CN_FILTER_PATTERN_SIZE_MAX)
        return CN_E_NAME;
    copy = strdup(pattern);
    if (!copy)
        return CN_E_MEMORY;
    err = rule_add(&filter->command, copy, size);
    if (filter->command.count > before)
        filter->command.rules[before].copy = copy;
    else
        free(copy);
    return err;
}

void cn_filter_use_gitignore(struct cn_filter *filter)
{
    filter->uses_gitignore = true;
}

bool cn_filter_uses_gitignore(const struct cn_filter *filter)
{
    return filter->uses_gitignore;
}

/* Spaces at the end do not count, but after a backslash. */
static size_t line_size(const char *line, size_t size)
{
    size_t kept = 0;

    for (size_t i = 0; i < size; i++) {
        if (line[i] == '\\' && i + 1 < size)
            i++;
        else if (line[i] == ' ')
            continue;
        kept = i + 1;
    }
    return kept;
}

static enum cn_err line_take(struct level *level, const char *line, size_t size)
{
    const char *nul = memchr(line, '\0', size);

    if (size > 0 && line[size - 1] == '\r')
        size--;
    if (nul && (size_t)(nul - line) < size)
        size = (size_t)(nul - line);
    if (size == 0 || line[0] == '#')
        return CN_OK;
    return rule_add(level, line, line_size(line, size));
}

static enum cn_err text_take(struct level *level, const char *text, size_t size)
{
    static const char mark[] = "\xef\xbb\xbf"; /* that it is UTF-8 */
    size_t at = size >= 3 && memcmp(text, mark, 3) == 0 ? 3 : 0;
    enum cn_err err = CN_OK;

    while (err == CN_OK && at < size) {
        const char *end = memchr(text + at, '\n', size - at);
        size_t length = end ? (size_t)(end - text) - at : size - at;

        err = line_take(level, text + at, length);
        at += length + 1;
    }
    return err;
}

enum cn_err cn_filter_enter(struct cn_filter *filter, size_t path_size, const char *text,
                            size_t size)
{
    struct level level = { .path_size = path_size };
    void *levels = filter->levels;
    enum cn_err err = CN_OK;

    if (!make_room(&levels, &filter->capacity, filter->count, sizeof level))
        return CN_E_MEMORY;
    filter->levels = levels;
    if (size > 0) {
        level.text = malloc(size);
        if (!level.text)
            return CN_E_MEMORY;
        memcpy(level.text, text, size);
        err = text_take(&level, level.text, size);
    }
    if (err == CN_OK)
        filter->levels[filter->count++] = level;
    else
        level_wipe(&level);
    return err;
}

void cn_filter_leave(struct cn_filter *filter)
{
    level_wipe(&filter->levels[--filter->count]);
}

/* --- matching ------------------------------------------------------------------------------- */

struct subject {
    const char *path;
    size_t size, part;
    bool is_directory, is_top;
};

static bool rule_matches(const struct rule *rule, const struct level *level,
                         const struct subject *s)
{
    size_t from = rule->is_last_part ? s->part : level->path_size;

    if ((rule->is_directory && !s->is_directory) || (s->is_top && !rule->is_last_part))
        return false;
    return cn_glob_matches(rule->pattern, rule->size, s->path + from, s->size - from);
}

/* The last that matches, or NULL. */
static const struct rule *level_decides(const struct level *level, const struct subject *s)
{
    for (size_t i = level->count; i-- > 0;) {
        if (rule_matches(&level->rules[i], level, s))
            return &level->rules[i];
    }
    return NULL;
}

bool cn_filter_excludes(const struct cn_filter *filter, const char *path, size_t size, size_t part,
                        bool is_directory, bool is_top)
{
    const struct subject s = { path, size, part, is_directory, is_top };
    const struct rule *rule = level_decides(&filter->command, &s);

    if (filter->uses_gitignore && !is_top && size - part == 4 &&
        memcmp(path + part, ".git", 4) == 0)
        return true;
    for (size_t i = filter->count; !rule && !is_top && i-- > 0;)
        rule = level_decides(&filter->levels[i], &s);
    return rule && !rule->is_kept;
}
