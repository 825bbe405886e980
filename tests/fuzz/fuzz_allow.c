/* A rule that is accepted permits what it names, and nothing of another form. */
#include "fuzz.h"

#include <stdio.h>

#include "tunnel/allow.h"

static void rule_check(const struct cn_allow *allow)
{
    const struct cn_allow_rule *rule = &allow->rules[0];
    struct cn_terminus e = { .form = rule->form, .port = rule->first };

    must(rule->first <= rule->last);
    snprintf(e.name, sizeof e.name, "%s", strcmp(rule->name, "*") == 0 ? "any" : rule->name);
    must(cn_allow_permits(allow, &e));
    e.port = rule->last;
    must(cn_allow_permits(allow, &e));
    e.form = e.form == CN_TERMINUS_TCP ? CN_TERMINUS_UDP : CN_TERMINUS_TCP;
    must(!cn_allow_permits(allow, &e));
    e.form = rule->form;
    e.port = (uint16_t)(rule->last + 1);
    must(rule->form == CN_TERMINUS_UNIX || rule->last == UINT16_MAX ||
         !cn_allow_permits(allow, &e));
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t in_size)
{
    struct cn_allow allow = { 0 };
    char text[1024];
    enum cn_err err;

    if (in_size == 0)
        return 0;
    snprintf(text, sizeof text, "%.*s", (int)(in_size - 1), (const char *)in + 1);
    err = in[0] % 2 == 0 ? cn_allow_add(&allow, text) : cn_allow_add_listening(&allow, text);
    must(err == CN_OK || err == CN_E_FORMAT);
    if (err == CN_OK)
        rule_check(&allow);
    cn_allow_wipe(&allow);
    return 0;
}
