#include "allow.h"

#include <stdlib.h>
#include <strings.h>

void cn_allow_wipe(struct cn_allow *allow)
{
    if (!allow)
        return;
    free(allow->rules);
    *allow = (struct cn_allow) { 0 };
}

static enum cn_err add(struct cn_allow *allow, const struct cn_allow_rule *rule)
{
    struct cn_allow_rule *more;

    if (allow->count == CN_ALLOW_RULE_COUNT_MAX)
        return CN_E_LIMIT;
    more = reallocarray(allow->rules, allow->count + 1, sizeof *more);
    if (!more)
        return CN_E_MEMORY;
    more[allow->count++] = *rule;
    allow->rules = more;
    return CN_OK;
}

/* PORT, PORT-PORT, or * for all from first on. */
static bool ports_parse(const struct cn_field *field, uint16_t first, struct cn_allow_rule *rule)
{
    const char *dash = field->bracketed ? NULL : memchr(field->at, '-', field->size);
    struct cn_field low = *field, high = *field;

    if (cn_field_is(field, "*")) {
        rule->first = first;
        rule->last = UINT16_MAX;
        return true;
    }
    if (dash) {
        low.size = (size_t)(dash - field->at);
        high.at = dash + 1;
        high.size = field->size - low.size - 1;
    }
    return cn_field_port(&low, &rule->first) && cn_field_port(&high, &rule->last) &&
           rule->first >= first && rule->first <= rule->last;
}

static bool is_any(const struct cn_field *field, struct cn_allow_rule *rule)
{
    if (!cn_field_is(field, "*"))
        return false;
    memcpy(rule->name, "*", 2);
    return true;
}

enum cn_err cn_allow_add(struct cn_allow *allow, const char *text)
{
    struct cn_field fields[CN_FIELD_COUNT_MAX];
    struct cn_allow_rule rule = { .form = cn_takes_udp(&text) ? CN_TERMINUS_UDP : CN_TERMINUS_TCP };
    size_t count = cn_fields_split(text, fields);

    if (count == 1 && rule.form == CN_TERMINUS_TCP && cn_field_path(&fields[0], rule.name))
        rule.form = CN_TERMINUS_UNIX;
    else if (count != 2 || !(is_any(&fields[0], &rule) || cn_field_host(&fields[0], rule.name)) ||
             !ports_parse(&fields[1], 1, &rule))
        return CN_E_FORMAT;
    return add(allow, &rule);
}

enum cn_err cn_allow_add_listening(struct cn_allow *allow, const char *text)
{
    struct cn_field fields[CN_FIELD_COUNT_MAX];
    struct cn_allow_rule rule = { .form = cn_takes_udp(&text) ? CN_TERMINUS_UDP : CN_TERMINUS_TCP,
                                  .name = "localhost" };
    size_t count = cn_fields_split(text, fields);

    if (count == 1 && rule.form == CN_TERMINUS_TCP && cn_field_path(&fields[0], rule.name))
        rule.form = CN_TERMINUS_UNIX;
    else if (count == 0 || count > 2 || (count == 2 && !cn_field_bind(&fields[0], rule.name)) ||
             !ports_parse(&fields[count - 1], 0, &rule))
        return CN_E_FORMAT;
    return add(allow, &rule);
}

static bool matches(const struct cn_allow_rule *rule, const struct cn_terminus *place)
{
    if (rule->form != place->form)
        return false;
    if (rule->form == CN_TERMINUS_UNIX)
        return strcmp(rule->name, place->name) == 0;
    return place->port >= rule->first && place->port <= rule->last &&
           (strcmp(rule->name, "*") == 0 || strcasecmp(rule->name, place->name) == 0);
}

bool cn_allow_permits(const struct cn_allow *allow, const struct cn_terminus *place)
{
    for (size_t i = 0; i < allow->count; i++) {
        if (matches(&allow->rules[i], place))
            return true;
    }
    return false;
}
