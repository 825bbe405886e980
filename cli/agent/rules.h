/* rules.h - agent.conf: what of a contact's calls the agent answers, and how. cyphernet(1)
 *
 * Nothing is answered that no rule says. A contact's own section is all that holds for it; [*] is
 * for contacts that have none, once their safety number was compared. */
#ifndef CN_RULES_H
#define CN_RULES_H

#include <cyphernet.h>

enum {
    CN_RULES_TEXT_SIZE_MAX = 65536,
    CN_RULES_COMPLAINT_SIZE = 512,
    CN_RULES_CONTACT_SIZE = 65,
    CN_RULES_LIST_COUNT_MAX = 256,
    CN_RULES_TALK_HOLD_S = 600
};

enum cn_rule_talk {
    CN_RULE_TALK_NONE = 0, /* it is not waited for */
    CN_RULE_TALK_REFUSE,   /* who calls is told so at once */
    CN_RULE_TALK_HOLD,     /* the call waits for `talk --answer` */
    CN_RULE_TALK_NOTIFY    /* likewise, and a command tells the user */
};

/* A section; all of it is owned. */
struct cn_rule {
    char contact[CN_RULES_CONTACT_SIZE]; /* "*": those that have no section */
    unsigned line;
    char *receive; /* a directory, as it is written; NULL: no files are taken */
    bool has_receive_max;
    uint64_t receive_max; /* octets of one offer */
    bool has_on_conflict;
    enum cn_receiving_conflict on_conflict;
    char **allow; /* of cn_tunnel_allow */
    size_t allow_count;
    char **allow_listen;
    size_t allow_listen_count;
    bool has_talk;
    enum cn_rule_talk talk;
    bool has_talk_hold;
    uint32_t talk_hold_s; /* how long a call is held */
    char **notify;        /* words of a command; NULL: none */
    char **pipe;          /* likewise: pipe is not answered */
};

struct cn_rules {
    struct cn_rule *rule; /* owned */
    size_t count;
};

/* Read text over nothing. CN_E_FORMAT: complaint says which line and what is wrong; CN_E_MEMORY.
 * *rules is untouched on failure. */
CN_MUST_USE enum cn_err cn_rules_parse(struct cn_rules *rules, const char *text,
                                       char complaint[CN_RULES_COMPLAINT_SIZE]);
/* Zeroed ones are fine. */
void cn_rules_wipe(struct cn_rules *rules);

/* What holds for a contact; NULL: nothing. */
const struct cn_rule *cn_rules_find(const struct cn_rules *rules, const char *contact,
                                    bool verified);
/* Whether calls of this service are waited for. */
bool cn_rule_answers(const struct cn_rule *rule, enum cn_call_service service);

#endif
