#include "rules.h"

#include <errno.h>
#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command_line.h"
#include "fingerprint.h"
#include "tunnel/allow.h"

struct parse {
    struct cn_rules rules;
    bool in_section;  /* the last of rules */
    const char *rest; /* of the text */
    unsigned line;    /* that was read last, from 1 */
    unsigned complaint_line;
    char complaint[CN_RULES_COMPLAINT_SIZE]; /* the first; empty: none */
    bool no_memory;
};

/* --- complaints ----------------------------------------------------------------------------- */

static int complain(struct parse *p, const char *what, const char *section, const char *name)
{
    if (p->complaint[0])
        return 0;
    p->complaint_line = p->line;
    snprintf(p->complaint, sizeof p->complaint, "line %u: [%.64s] %.64s: %s", p->line, section,
             name, what);
    return 0;
}

static int out_of_memory(struct parse *p)
{
    p->no_memory = true;
    return 0;
}

/* --- values --------------------------------------------------------------------------------- */

/* What is wrong with a value, or NULL; "" for no memory. */
typedef const char *take(struct cn_rule *rule, const char *value);

static const char no_memory[] = "";
static const char twice[] = "is set twice; remove one";

static const char *take_receive(struct cn_rule *rule, const char *value)
{
    if (rule->receive)
        return twice;
    if (value[0] != '/' && strncmp(value, "~/", 2) != 0)
        return "must be a directory, beginning with / or ~/";
    rule->receive = strdup(value);
    return rule->receive ? NULL : no_memory;
}

/* "2G"; K, M, G and T are powers of 1000. */
static bool size_read(const char *text, uint64_t *size)
{
    static const char units[] = "KMGT";
    uint64_t n = 0;
    size_t digits = strspn(text, "0123456789");
    const char *unit = text[digits] ? strchr(units, text[digits]) : NULL;

    if (digits == 0 || digits > 15 || (text[digits] && (!unit || text[digits + 1])))
        return false;
    for (size_t i = 0; i < digits; i++)
        n = n * 10 + (uint64_t)(text[i] - '0');
    for (const char *u = unit; u && u >= units; u--) {
        if (n > UINT64_MAX / 1000)
            return false;
        n *= 1000;
    }
    *size = n;
    return true;
}

static const char *take_receive_max(struct cn_rule *rule, const char *value)
{
    if (rule->has_receive_max)
        return twice;
    if (!size_read(value, &rule->receive_max))
        return "must be a number of octets, as 500M or 2G";
    rule->has_receive_max = true;
    return NULL;
}

static const char *take_on_conflict(struct cn_rule *rule, const char *value)
{
    static const char *const words[] = {
        [CN_CONFLICT_SKIP] = "skip",
        [CN_CONFLICT_RENAME] = "rename",
        [CN_CONFLICT_OVERWRITE] = "overwrite",
    };

    if (rule->has_on_conflict)
        return twice;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcmp(value, words[i]) != 0)
            continue;
        rule->on_conflict = (enum cn_receiving_conflict)i;
        rule->has_on_conflict = true;
        return NULL;
    }
    return "must be skip, rename or overwrite";
}

static const char *list_add(char ***list, size_t *count, const char *value)
{
    char **more;

    if (*count == CN_RULES_LIST_COUNT_MAX)
        return "is given too often";
    more = realloc(*list, (*count + 1) * sizeof more[0]);
    if (!more)
        return no_memory;
    *list = more;
    more[*count] = strdup(value);
    if (!more[*count])
        return no_memory;
    ++*count;
    return NULL;
}

static const char *take_allow(struct cn_rule *rule, const char *value)
{
    struct cn_allow tried = { 0 };
    enum cn_err err = cn_allow_add(&tried, value);

    cn_allow_wipe(&tried);
    if (err == CN_E_MEMORY)
        return no_memory;
    return err == CN_OK ? list_add(&rule->allow, &rule->allow_count, value)
                        : "must be HOST:PORT[-PORT] or a /PATH";
}

static const char *take_allow_listen(struct cn_rule *rule, const char *value)
{
    struct cn_allow tried = { 0 };
    enum cn_err err = cn_allow_add_listening(&tried, value);

    cn_allow_wipe(&tried);
    if (err == CN_E_MEMORY)
        return no_memory;
    return err == CN_OK ? list_add(&rule->allow_listen, &rule->allow_listen_count, value)
                        : "must be [BIND:]PORT[-PORT] or a /PATH";
}

static const char *take_talk(struct cn_rule *rule, const char *value)
{
    static const char *const words[] = {
        [CN_RULE_TALK_REFUSE] = "refuse",
        [CN_RULE_TALK_HOLD] = "hold",
        [CN_RULE_TALK_NOTIFY] = "notify",
    };

    if (rule->has_talk)
        return twice;
    for (size_t i = CN_RULE_TALK_REFUSE; i < sizeof words / sizeof words[0]; i++) {
        if (strcmp(value, words[i]) != 0)
            continue;
        rule->talk = (enum cn_rule_talk)i;
        rule->has_talk = true;
        return NULL;
    }
    return "must be refuse, hold or notify";
}

static const char *take_talk_hold(struct cn_rule *rule, const char *value)
{
    size_t digits = strspn(value, "0123456789");

    if (rule->has_talk_hold)
        return twice;
    if (digits == 0 || digits > 5 || value[digits] || value[0] == '0')
        return "must be a number of seconds, up to 99999";
    rule->talk_hold_s = (uint32_t)strtoul(value, NULL, 10);
    rule->has_talk_hold = true;
    return NULL;
}

static const char *command_take(char ***words, const char *value)
{
    enum cn_err err;

    if (*words)
        return twice;
    err = cn_command_line_split(value, words);
    if (err == CN_E_MEMORY)
        return no_memory;
    return err == CN_OK ? NULL : "must be a command; quotes go in pairs";
}

static const char *take_notify(struct cn_rule *rule, const char *value)
{
    return command_take(&rule->notify, value);
}

static const char *take_pipe(struct cn_rule *rule, const char *value)
{
    return command_take(&rule->pipe, value);
}

/* --- sections ------------------------------------------------------------------------------- */

static struct cn_rule *section_find(const struct cn_rules *rules, const char *contact)
{
    for (size_t i = 0; i < rules->count; i++) {
        if (strcmp(rules->rule[i].contact, contact) == 0)
            return &rules->rule[i];
    }
    return NULL;
}

static bool section_add(struct parse *p, const char *contact)
{
    struct cn_rule *more = realloc(p->rules.rule, (p->rules.count + 1) * sizeof p->rules.rule[0]);

    if (!more)
        return false;
    p->rules.rule = more;
    more[p->rules.count] =
        (struct cn_rule) { .line = p->line, .talk_hold_s = CN_RULES_TALK_HOLD_S };
    snprintf(more[p->rules.count++].contact, sizeof more->contact, "%s", contact);
    return true;
}

/* A line that begins with a bracket: what follows is of that contact. */
static void section_take(struct parse *p, const char *line)
{
    const char *begin = line + 1;
    size_t size = strcspn(begin, "]\r\n");
    char contact[CN_RULES_CONTACT_SIZE];

    snprintf(contact, sizeof contact, "%.*s", (int)size, begin);
    if (begin[size] != ']' || begin[size + 1 + strspn(begin + size + 1, " \t\r\n")] ||
        size >= sizeof contact || (strcmp(contact, "*") != 0 && !cn_name_valid(contact)))
        (void)complain(p, "a section is [NAME] of a contact, or [*] for all others", contact,
                       "section");
    else if (section_find(&p->rules, contact))
        (void)complain(p, "there are two; put them into one", contact, "section");
    else if (!section_add(p, contact))
        p->no_memory = true;
    p->in_section = true;
}

/* inih's handler: 1 on success. */
static int handle(void *user, const char *section, const char *name, const char *value)
{
    static const struct {
        const char *name;
        take *take;
    } keys[] = {
        { "receive", take_receive },
        { "receive_max", take_receive_max },
        { "on_conflict", take_on_conflict },
        { "allow", take_allow },
        { "allow_listen", take_allow_listen },
        { "talk", take_talk },
        { "talk_hold", take_talk_hold },
        { "notify", take_notify },
        { "pipe", take_pipe },
    };
    struct parse *p = user;
    struct cn_rule *rule;

    (void)section; /* cut after 49 characters, and not told of at all if it is empty */
    if (p->complaint[0] || p->no_memory)
        return 0;
    if (!p->in_section)
        return complain(p, "belongs into a section, [NAME] of a contact or [*] for all others", "",
                        name);
    rule = &p->rules.rule[p->rules.count - 1];
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        const char *wrong;

        if (strcmp(name, keys[i].name) != 0)
            continue;
        wrong = keys[i].take(rule, value ? value : "");
        if (wrong == no_memory)
            return out_of_memory(p);
        return wrong ? complain(p, wrong, rule->contact, name) : 1;
    }
    return complain(p, "no such rule; cyphernet-agent(1) lists them", rule->contact, name);
}

/* What inih would understand otherwise than it looks: what follows a blank and a semicolon as a
 * comment, so that half a command is left, and a line that begins with a blank as more of the one
 * above. NULL: nothing. */
static const char *misleading(const char *line)
{
    const char *c = line + strspn(line, " \t\r\n");

    if (*c == '\0' || *c == ';' || *c == '#')
        return NULL;
    if (c > line)
        return "begins with a blank";
    for (; *c; c++) {
        if ((c[0] == ' ' || c[0] == '\t') && c[1] == ';')
            return "has a semicolon after a blank: a comment has a line of its own, and a command "
                   "that needs one is put into a script";
    }
    return NULL;
}

static char *line_refuse(struct parse *p, const char *what)
{
    p->complaint_line = p->line;
    snprintf(p->complaint, sizeof p->complaint, "line %u: %s", p->line, what);
    return NULL;
}

/* inih's reader, as fgets. It reads in pieces of its own size, and would take the second piece of a
 * long line for a line. */
static char *read_line(char *line, int size_max, void *stream)
{
    struct parse *p = stream;
    const char *end = strchr(p->rest, '\n');
    size_t size = end ? (size_t)(end - p->rest) + 1 : strlen(p->rest);
    const char *wrong;

    if (size == 0 || p->complaint[0] || p->no_memory)
        return NULL;
    p->line++;
    if (size > (size_t)size_max - 1)
        return line_refuse(p, "is too long; put a long command into a script");
    memcpy(line, p->rest, size);
    line[size] = '\0';
    p->rest += size;
    wrong = misleading(line);
    if (wrong)
        return line_refuse(p, wrong);
    if (line[0] == '[')
        section_take(p, line);
    return line;
}

/* What no line shows alone. */
static void judge(struct parse *p)
{
    for (size_t i = 0; i < p->rules.count && !p->complaint[0]; i++) {
        const struct cn_rule *rule = &p->rules.rule[i];

        p->line = rule->line;
        if (rule->talk == CN_RULE_TALK_NOTIFY && !rule->notify)
            (void)complain(p, "wants a command: notify = COMMAND", rule->contact, "talk = notify");
        else if (rule->notify && rule->talk != CN_RULE_TALK_NOTIFY)
            (void)complain(p, "is run with talk = notify only", rule->contact, "notify");
        else if (rule->has_talk_hold && rule->talk < CN_RULE_TALK_HOLD)
            (void)complain(p, "is for talk = hold and talk = notify", rule->contact, "talk_hold");
        else if ((rule->has_receive_max || rule->has_on_conflict) && !rule->receive)
            (void)complain(p, "means nothing without receive = DIR", rule->contact,
                           rule->has_receive_max ? "receive_max" : "on_conflict");
    }
}

enum cn_err cn_rules_parse(struct cn_rules *rules, const char *text,
                           char complaint[CN_RULES_COMPLAINT_SIZE])
{
    struct parse p = { .rest = text };
    int bad_line = ini_parse_stream(read_line, &p, handle, &p);

    complaint[0] = '\0';
    if (!p.no_memory && bad_line > 0 && (!p.complaint[0] || (unsigned)bad_line < p.complaint_line))
        snprintf(p.complaint, sizeof p.complaint,
                 "line %d: neither [section], key = value, nor a comment", bad_line);
    if (!p.complaint[0] && !p.no_memory)
        judge(&p);
    if (bad_line >= 0 && !p.no_memory && !p.complaint[0]) {
        *rules = p.rules;
        return CN_OK;
    }
    cn_rules_wipe(&p.rules);
    memcpy(complaint, p.complaint, sizeof p.complaint);
    return complaint[0] ? CN_E_FORMAT : CN_E_MEMORY;
}

/* --- using them ----------------------------------------------------------------------------- */

static void list_free(char **list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(list[i]);
    free(list);
}

void cn_rules_wipe(struct cn_rules *rules)
{
    for (size_t i = 0; i < rules->count; i++) {
        struct cn_rule *rule = &rules->rule[i];

        free(rule->receive);
        list_free(rule->allow, rule->allow_count);
        list_free(rule->allow_listen, rule->allow_listen_count);
        free(rule->notify);
        free(rule->pipe);
    }
    free(rules->rule);
    *rules = (struct cn_rules) { 0 };
}

const struct cn_rule *cn_rules_find(const struct cn_rules *rules, const char *contact,
                                    bool verified)
{
    const struct cn_rule *rule = section_find(rules, contact);

    return rule || !verified ? rule : section_find(rules, "*");
}

bool cn_rule_answers(const struct cn_rule *rule, enum cn_call_service service)
{
    switch (service) {
    case CN_CALL_TALK:
        return rule->talk != CN_RULE_TALK_NONE;
    case CN_CALL_PIPE:
        return rule->pipe != NULL;
    case CN_CALL_FILE:
        return rule->receive != NULL;
    case CN_CALL_FORWARD:
        return rule->allow_count > 0 || rule->allow_listen_count > 0;
    }
    return false;
}
