/* The text of agent.conf. */
#include "fuzz.h"

#include "fingerprint.h"
#include "rules.h"

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t in_size)
{
    static char text[8192];
    char complaint[CN_RULES_COMPLAINT_SIZE];
    struct cn_rules rules = { 0 };
    enum cn_err err;

    if (in_size >= sizeof text)
        return 0;
    memcpy(text, in, in_size);
    text[in_size] = '\0';
    err = cn_rules_parse(&rules, text, complaint);
    must((err == CN_OK) == (complaint[0] == '\0'));
    must(err == CN_OK || (!rules.rule && rules.count == 0));
    for (size_t i = 0; i < rules.count; i++) {
        const struct cn_rule *rule = &rules.rule[i];

        must(strcmp(rule->contact, "*") == 0 || cn_name_valid(rule->contact));
        must(cn_rules_find(&rules, rule->contact, false) == rule);
        must(rule->talk != CN_RULE_TALK_NOTIFY || rule->notify[0][0]);
        must(!rule->pipe || rule->pipe[0][0]);
    }
    cn_rules_wipe(&rules);
    return 0;
}
