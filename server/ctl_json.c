#include "ctl.h"

#include <stdio.h>
#include <string.h>

/* A member of an object; name and value point into the text, strings without their quotes. */
struct member {
    const char *name;
    size_t name_size;
    const char *value;
    size_t value_size;
    bool is_text;
    bool is_object;
};

static const char *blanks_skip(const char *at)
{
    return at + strspn(at, " \t");
}

/* Past the string that begins at the quote *at, or NULL. */
static const char *string_end(const char *at)
{
    for (at++; *at && *at != '"'; at++) {
        if (*at == '\\' && at[1])
            at++;
    }
    return *at ? at + 1 : NULL;
}

/* Past a value: whatever is inside brackets goes with it. NULL if it does not end. */
static const char *value_end(const char *at)
{
    unsigned depth = 0;

    while (*at) {
        if (*at == '"') {
            at = string_end(at);
            if (!at || depth == 0)
                return at;
            continue;
        }
        if (depth == 0 && (*at == ',' || *at == '}' || *at == ']'))
            return at;
        if (*at == '{' || *at == '[')
            depth++;
        if ((*at == '}' || *at == ']') && --depth == 0)
            return at + 1;
        at++;
    }
    return NULL;
}

/* Take the member at *at, which is behind { or a comma. False at the end, or if it is none. */
static bool member_next(const char **at, struct member *m)
{
    const char *start = blanks_skip(*at);
    const char *end = *start == '"' ? string_end(start) : NULL;
    const char *value;

    if (!end)
        return false;
    m->name = start + 1;
    m->name_size = (size_t)(end - start) - 2;
    end = blanks_skip(end);
    if (*end != ':')
        return false;
    value = blanks_skip(end + 1);
    end = value_end(value);
    if (!end)
        return false;
    m->is_text = *value == '"';
    m->is_object = *value == '{';
    m->value = value + (m->is_text ? 1 : 0);
    m->value_size = (size_t)(end - value) - (m->is_text ? 2 : 0);
    end = blanks_skip(end);
    *at = *end == ',' ? end + 1 : end;
    return true;
}

static bool members_begin(const char **at)
{
    *at = blanks_skip(*at);
    if (**at != '{')
        return false;
    ++*at;
    return true;
}

bool cn_ctl_json_number(const char *json, const char *name, uint64_t *value)
{
    struct member m;
    uint64_t number = 0;

    if (!members_begin(&json))
        return false;
    while (member_next(&json, &m)) {
        if (m.name_size != strlen(name) || strncmp(m.name, name, m.name_size) != 0)
            continue;
        if (m.is_text || m.value_size == 0 || m.value_size > 19 ||
            strspn(m.value, "0123456789") != m.value_size)
            return false;
        for (size_t i = 0; i < m.value_size; i++)
            number = number * 10 + (uint64_t)(m.value[i] - '0');
        *value = number;
        return true;
    }
    return false;
}

/* Nothing of a reply gets to drive the terminal. */
static void plain_print(const char *text, size_t size, bool spaces)
{
    for (size_t i = 0; i < size; i++) {
        char c = text[i];

        if (spaces && c == '_')
            c = ' ';
        putchar(c >= ' ' && c <= '~' ? c : '?');
    }
}

static void members_print(const char *json, int indent)
{
    struct member m;

    if (!members_begin(&json))
        return;
    while (member_next(&json, &m)) {
        if (indent == 0 && (strncmp(m.name, "v\"", 2) == 0 || strncmp(m.name, "event\"", 6) == 0))
            continue;
        printf("%*s", indent, "");
        plain_print(m.name, m.name_size, true);
        if (m.is_object) {
            putchar('\n');
            members_print(m.value, indent + 2);
            continue;
        }
        printf("%*s", m.name_size < 28 - (size_t)indent ? 28 - indent - (int)m.name_size : 1, "");
        plain_print(m.value, m.value_size, false);
        putchar('\n');
    }
}

void cn_ctl_json_print(const char *json)
{
    members_print(json, 0);
}
