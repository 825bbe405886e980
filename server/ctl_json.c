#include "ctl.h"

#include <string.h>

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
        if (depth == 0 && strchr(",}] ", *at))
            return at;
        if (*at == '{' || *at == '[')
            depth++;
        if ((*at == '}' || *at == ']') && --depth == 0)
            return at + 1;
        at++;
    }
    return NULL;
}

bool cn_ctl_json_enter(const char **at)
{
    *at = blanks_skip(*at);
    if (**at != '{' && **at != '[')
        return false;
    ++*at;
    return true;
}

/* `"name":` in front of *at goes into m. */
static bool name_take(const char **at, struct cn_ctl_member *m)
{
    const char *end = **at == '"' ? string_end(*at) : NULL;

    if (!end)
        return false;
    m->name = *at + 1;
    m->name_size = (size_t)(end - *at) - 2;
    end = blanks_skip(end);
    if (*end != ':')
        return false;
    *at = blanks_skip(end + 1);
    return true;
}

bool cn_ctl_json_next(const char **at, bool named, struct cn_ctl_member *member)
{
    struct cn_ctl_member m = { .name = "" };
    const char *value = blanks_skip(*at);
    const char *end;

    if (named && !name_take(&value, &m))
        return false;
    end = value_end(value);
    if (!end || end == value)
        return false;
    m.is_text = *value == '"';
    m.value = value + (m.is_text ? 1 : 0);
    m.value_size = (size_t)(end - value) - (m.is_text ? 2 : 0);
    end = blanks_skip(end);
    *at = *end == ',' ? end + 1 : end;
    *member = m;
    return true;
}

bool cn_ctl_json_named(const struct cn_ctl_member *member, const char *name)
{
    return member->name_size == strlen(name) && strncmp(member->name, name, member->name_size) == 0;
}

bool cn_ctl_json_value(const struct cn_ctl_member *member, uint64_t *value)
{
    uint64_t number = 0;

    if (member->value_size == 0 || member->value_size > 19 ||
        strspn(member->value, "0123456789") < member->value_size)
        return false;
    for (size_t i = 0; i < member->value_size; i++)
        number = number * 10 + (uint64_t)(member->value[i] - '0');
    *value = number;
    return true;
}

bool cn_ctl_json_find(const char *json, const char *name, struct cn_ctl_member *member)
{
    struct cn_ctl_member m;

    if (!cn_ctl_json_enter(&json))
        return false;
    while (cn_ctl_json_next(&json, true, &m)) {
        if (cn_ctl_json_named(&m, name)) {
            *member = m;
            return true;
        }
    }
    return false;
}

bool cn_ctl_json_number(const char *json, const char *name, uint64_t *value)
{
    struct cn_ctl_member m;

    return cn_ctl_json_find(json, name, &m) && !m.is_text && cn_ctl_json_value(&m, value);
}
