#include "cli.h"

#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/asking.h"
#include "dial.h"
#include "home.h"
#include "passphrase.h"

enum {
    PROBE_MS = 10000, /* a server that does not know us hangs up after 5 s */
    DAY_S = 86400,
    WARN_DAYS = 14,
    LOCKED_SIZE_MIN = 2 << 20
};

/* What is wanted of a home, from the bottom up; the first that is wrong gives the exit code. */
struct report {
    struct cn_cli *cli;
    int code;
};

/* One line: what was looked at, how it is, and, unless remedy is NULL, what to do about it. */
static void tell(struct report *report, const char *check, int code, const char *remedy,
                 const char *format, ...) __attribute__((format(printf, 5, 6)));

static void tell(struct report *report, const char *check, int code, const char *remedy,
                 const char *format, ...)
{
    char text[1024];
    char safe[1024];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (report->code == CN_EXIT_DONE)
        report->code = code;
    if (report->cli->json) {
        printf("{\"v\":1,\"event\":\"check\",\"check\":\"%s\",\"good\":%s,\"text\":", check,
               code == CN_EXIT_DONE ? "true" : "false");
        cn_json_string(text);
        printf(",\"remedy\":");
        cn_json_string(remedy ? remedy : "");
        puts("}");
        return;
    }
    printf("%-4s %-10s %s%s%s\n", code == CN_EXIT_DONE ? "ok" : "BAD", check,
           cn_printable(safe, sizeof safe, text, strlen(text)), remedy ? "; " : "",
           remedy ? remedy : "");
}

/* A file of ours that cannot be used. */
static void tell_failure(struct report *report, const char *check, enum cn_err err)
{
    const struct cn_detail *detail = cn_home_detail(report->cli->home);
    const char *remedy = CN_HINT_DAMAGED;
    char chmod[sizeof detail->about + 32];

    if (err == CN_E_OPEN_MODE) {
        char about[sizeof detail->about];

        snprintf(chmod, sizeof chmod, "chmod 600 '%s', which must be a file of yours",
                 cn_printable(about, sizeof about, detail->about, strlen(detail->about)));
        remedy = chmod;
    } else if (detail->system_error) {
        remedy = "mend that first";
    } else if (err == CN_E_SEALED) {
        remedy = "it can be seen with the passphrase";
    } else if (err == CN_E_VERSION) {
        remedy = "made by a newer version: update this program";
    }
    tell(report, check, cn_exit_code(err), remedy, "%s%s%s", detail->about,
         detail->about[0] ? ": " : "",
         detail->system_error ? strerror(detail->system_error) : cn_err_text(err));
}

static void check_program(struct report *report)
{
    tell(report, "program", CN_EXIT_DONE, NULL, "cyphernet %s, %s, ML-KEM-768 from %s",
         cn_version(), cn_version_crypto(), cn_version_mlkem());
}

/* Locking too little is no failure: calls work, but secrets may reach the swap space. */
static void check_memory(struct report *report)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_MEMLOCK, &limit) != 0 || limit.rlim_cur >= LOCKED_SIZE_MIN)
        return;
    tell(report, "memory", CN_EXIT_DONE, "raise `ulimit -l`",
         "only %llu KiB may be locked: secrets may be swapped out",
         (unsigned long long)limit.rlim_cur / 1024);
}

/* Whoever may change what is in it may put one file in another's place. */
static void check_directory(struct report *report, const char *path)
{
    char about[PATH_MAX], remedy[PATH_MAX + 64];
    struct stat st;

    if (stat(path, &st) != 0 || (st.st_uid == geteuid() && (st.st_mode & 022) == 0))
        return; /* what is in it tells why it cannot be seen */
    snprintf(remedy, sizeof remedy, "chmod go-w '%s', which must be a directory of yours",
             cn_printable(about, sizeof about, path, strlen(path)));
    tell(report, "directory", CN_EXIT_FAILED, remedy, "%s: others may change it", path);
}

static void check_directories(struct report *report)
{
    const struct cn_home *home = report->cli->home;
    char contacts[PATH_MAX];

    cn_home_path(home, CN_CONTACTS_DIRECTORY, contacts);
    check_directory(report, home->data);
    check_directory(report, contacts);
    if (strcmp(home->config, home->data) != 0)
        check_directory(report, home->config);
}

static void check_identity(struct report *report)
{
    const char *kind;
    enum cn_err err = cn_home_identity_kind(report->cli->home, &kind);

    if (err == CN_E_ABSENT)
        tell(report, "identity", CN_EXIT_FAILED, "`cyphernet init` or `cyphernet join`",
             "none yet");
    else if (err != CN_OK)
        tell_failure(report, "identity", err);
    else
        tell(report, "identity", CN_EXIT_DONE, NULL, "%s and ML-KEM-768", kind);
}

/* Contacts that still need the old identity. */
static void check_rotation(struct report *report, const struct cn_contact_info *contacts,
                           size_t count)
{
    bool under_way = false;
    const char *kind;
    size_t moving = 0;

    if (cn_home_rotation(report->cli->home, &under_way, &kind) != CN_OK || !under_way)
        return; /* check_identity has told */
    for (size_t i = 0; i < count; i++)
        moving += contacts[i].moving != CN_MOVING_NOT;
    tell(report, "rotation", CN_EXIT_DONE, "`cyphernet rotate --status` tells who",
         "a new identity, %s and ML-KEM-768, is to come; not moved: %zu", kind, moving);
}

static void check_passphrase(struct report *report)
{
    enum cn_home_sealing_state state = CN_HOME_PLAIN;
    enum cn_err err = cn_home_sealing(report->cli->home, &state);

    if (err != CN_OK) {
        tell_failure(report, "passphrase", err);
        return;
    }
    if (state == CN_HOME_PLAIN) {
        tell(report, "passphrase", CN_EXIT_DONE, "`cyphernet passphrase` sets one",
             "none: whoever can read your files has your keys");
        return;
    }
    if (cn_passphrase_unseal(report->cli) != CN_EXIT_DONE)
        tell(report, "passphrase", CN_EXIT_FAILED, "give the right one",
             "your keys are sealed, and were not opened");
    else if (state == CN_HOME_CHANGING)
        tell(report, "passphrase", CN_EXIT_FAILED,
             "`cyphernet passphrase`, or with --remove, once more",
             "setting or removing it was interrupted: some files are not sealed");
    else
        tell(report, "passphrase", CN_EXIT_DONE, NULL, "your keys are sealed");
}

/* Of the preferences, which are a file, or of a variable. */
static const char *config_remedy(const struct cn_cli *cli)
{
    if (strchr(cn_home_detail(cli->home)->about, '/'))
        return "cyphernet(1) tells under FILES what it may hold";
    return "set it as cyphernet(1) tells under ENVIRONMENT, or unset it";
}

static void check_preferences(struct report *report)
{
    uint16_t suite[CN_CARD_LIST_SIZE_MAX];
    size_t count = 0;
    struct cn_proxy_setting proxy = { 0 };
    char name[CN_PROXY_NAME_SIZE];
    enum cn_err err = cn_home_suites(report->cli->home, suite, CN_CARD_LIST_SIZE_MAX, &count);

    if (err == CN_OK)
        err = cn_home_proxy(report->cli->home, &proxy);
    if (err == CN_OK && proxy.kind != CN_PROXY_NONE)
        tell(report, "proxy", CN_EXIT_DONE, NULL, "%s", cn_proxy_setting_name(&proxy, name));
    cn_proxy_setting_wipe(&proxy);
    if (err == CN_E_CONFIG)
        tell(report, "config", CN_EXIT_FAILED, config_remedy(report->cli), "%s: not understood",
             cn_home_detail(report->cli->home)->about);
    else if (err != CN_OK)
        tell_failure(report, "config", err);
}

static void check_dates(struct report *report, const struct cn_admission_info *info)
{
    uint64_t now = (uint64_t)time(NULL);
    char span[CN_SPAN_TEXT_SIZE];

    cn_span_text((int64_t)(info->not_after - now), span);
    if (now < info->not_before)
        tell(report, "admission", CN_EXIT_NOT_ADMITTED, "is this computer's clock right?",
             "%s: not valid yet", info->label);
    else if (now >= info->not_after)
        tell(report, "admission", CN_EXIT_NOT_ADMITTED, "ask the server's operator to renew it",
             "%s: expired %s ago", info->label, span);
    else
        tell(report, "admission", CN_EXIT_DONE,
             info->not_after - now <= (uint64_t)WARN_DAYS * DAY_S
                 ? "ask the server's operator to renew it"
                 : NULL,
             "%s, number %llu, valid for %s", info->label, (unsigned long long)info->serial, span);
}

static void check_clock(struct report *report, int64_t ahead_s)
{
    char span[CN_SPAN_TEXT_SIZE];

    if (ahead_s < CN_CLOCK_OFF_S && ahead_s > -CN_CLOCK_OFF_S) {
        tell(report, "clock", CN_EXIT_DONE, NULL, "agrees with the server's");
        return;
    }
    cn_span_text(ahead_s, span);
    tell(report, "clock", CN_EXIT_FAILED, "set it, or the other's call is not found", "%s %s", span,
         ahead_s > 0 ? "ahead of the server's" : "behind the server's");
}

/* What to do where the server does not answer as it should. */
static const char *probe_remedy(enum cn_err err)
{
    if (err == CN_E_CONFIG || err == CN_E_OPEN_MODE) /* which proxy is used is not known */
        return "mend what `config` says above; until then nobody is called";
    if (err == CN_E_HUNG_UP || err == CN_E_TIMEOUT) /* connected, and no answer */
        return "it may be another server, or not know your operator: ask for a new fingerprint";
    if (err == CN_E_PROXY)
        return "`proxy` in the preferences, ALL_PROXY or HTTPS_PROXY says which proxy is used";
    if (err == CN_E_AUTH)
        return "this is not the server of your fingerprint: ask its operator";
    return "is the network up, and the server running? ask its operator";
}

static int probe_code(enum cn_err err)
{
    if (err == CN_E_AUTH || err == CN_E_CONFIG || err == CN_E_OPEN_MODE)
        return cn_exit_code(err);
    return CN_EXIT_UNREACHABLE;
}

static void check_server(struct report *report, const struct cn_admission_info *info, size_t index)
{
    struct cn_admission_note note = { 0 };
    const char *address = info->address[index];
    enum cn_err err = cn_home_probe(report->cli->home, index, PROBE_MS, &note);
    const struct cn_detail *detail = cn_home_detail(report->cli->home);
    int failure = detail->system_error;

    if (err == CN_OK)
        tell(report, "server", CN_EXIT_DONE, NULL, "%s admits you", address);
    else if (err == CN_E_ADMISSION && note.notices & CN_NOTICE_RENEWED)
        tell(report, "server", CN_EXIT_NOT_ADMITTED, "your next call takes it in by itself",
             "%s: %s, but the operator has renewed it", address, cn_refusal_what(note.refusal));
    else if (err == CN_E_ADMISSION)
        tell(report, "server", CN_EXIT_NOT_ADMITTED, cn_refusal_hint(note.refusal), "%s: %s",
             address, cn_refusal_what(note.refusal));
    else
        tell(report, "server", probe_code(err), probe_remedy(err), "%s: %s", detail->about,
             failure ? strerror(failure) : cn_err_text(err));
    if (err == CN_OK || err == CN_E_ADMISSION)
        check_clock(report, note.clock_ahead_s);
}

static void check_admission(struct report *report)
{
    struct cn_admission_info info;
    enum cn_err err = cn_home_admission(report->cli->home, &info);

    if (err == CN_E_ABSENT) {
        tell(report, "admission", CN_EXIT_FAILED, "`cyphernet join FILE`", "not joined yet");
        return;
    }
    if (err != CN_OK) {
        tell_failure(report, "admission", err);
        return;
    }
    check_dates(report, &info);
    for (size_t i = 0; i < info.address_count; i++)
        check_server(report, &info, i);
}

/* Contacts that cannot be called, or should not be trusted yet. */
static void check_contact(struct report *report, const struct cn_contact_info *contact)
{
    char remedy[256];
    struct cn_contact_info again;

    if (contact->err != CN_OK) {
        enum cn_err err = cn_contact_show(report->cli->home, contact->name, &again);

        tell_failure(report, "contact", err == CN_OK ? contact->err : err); /* for the detail */
        return;
    }
    if (contact->verified)
        return;
    if (contact->safety[0]) {
        snprintf(remedy, sizeof remedy, "`cyphernet contact verify %s`", contact->name);
        tell(report, "contact", CN_EXIT_DONE, remedy, "%s is not verified", contact->name);
        return;
    }
    snprintf(remedy, sizeof remedy,
             contact->accepted ? "`cyphernet contact offer %s`"
                               : "`cyphernet contact accept %s FILE`",
             contact->name);
    tell(report, "contact", CN_EXIT_FAILED, remedy, "%s: %s card is missing", contact->name,
         contact->accepted ? "your" : "the other's");
}

static void check_contacts(struct report *report)
{
    struct cn_contact_info *contacts = NULL;
    size_t count = 0, ready = 0, verified = 0;
    enum cn_err err = cn_contact_list(report->cli->home, &contacts, &count);

    if (err != CN_OK) {
        tell_failure(report, "contacts", err);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        ready += contacts[i].safety[0] != '\0';
        verified += contacts[i].verified;
    }
    tell(report, "contacts", CN_EXIT_DONE, NULL, "%zu, of these %zu can be called, %zu verified",
         count, ready, verified);
    check_rotation(report, contacts, count);
    for (size_t i = 0; i < count; i++)
        check_contact(report, &contacts[i]);
    free(contacts);
}

/* Of who has nothing to do with it nothing is said. */
/* The first line that is said. */
static void hear(void *context, const char *line)
{
    static const char head[] = "cyphernet: error: ";
    char *said = context;

    if (!said[0])
        snprintf(said, CN_RULES_COMPLAINT_SIZE + PATH_MAX, "%s",
                 strncmp(line, head, sizeof head - 1) == 0 ? line + sizeof head - 1 : line);
}

static void check_rules(struct report *report)
{
    char said[CN_RULES_COMPLAINT_SIZE + PATH_MAX] = "", sections[CN_COUNT_TEXT_SIZE];
    struct cn_rules rules = { 0 };
    bool good;

    cn_messages_to(hear, said);
    good = cn_rules_file_read(report->cli, &rules);
    cn_messages_to(NULL, NULL);
    if (!good)
        tell(report, "rules", CN_EXIT_FAILED, "`cyphernet agent --check` looks again", "%s", said);
    else if (rules.count > 0)
        tell(report, "rules", CN_EXIT_DONE, NULL, "agent.conf has %s",
             cn_count_text(sections, rules.count, "section"));
    cn_rules_wipe(&rules);
}

static void check_agent(struct report *report)
{
    struct cn_delivery *list = NULL;
    size_t count = 0, failed = 0;
    bool there = cn_asking_is_there(report->cli);
    enum cn_err err = cn_queue_list(report->cli->home, &list, &count);

    if (err != CN_OK) {
        tell_failure(report, "queue", err);
        return;
    }
    for (size_t i = 0; i < count; i++)
        failed += list[i].failed[0] != '\0';
    cn_queue_free(list, count);
    if (!there && count > failed)
        tell(report, "agent", CN_EXIT_FAILED, "systemctl --user enable --now cyphernet-agent",
             "not running, and %zu of the queue cannot go", count - failed);
    else if (there)
        tell(report, "agent", CN_EXIT_DONE, NULL, "running; %zu in the queue", count - failed);
    if (failed > 0)
        tell(report, "queue", CN_EXIT_DONE, "`cyphernet queue` says why",
             "%zu could not be delivered", failed);
}

static int run(struct cn_cli *cli)
{
    struct report report = { cli, CN_EXIT_DONE };

    check_program(&report);
    check_memory(&report);
    check_passphrase(&report);
    check_directories(&report);
    check_identity(&report);
    check_preferences(&report);
    check_contacts(&report);
    check_rules(&report);
    check_agent(&report);
    check_admission(&report);
    return report.code;
}

const struct cn_command cn_cmd_doctor = {
    .name = "doctor",
    .usage = "doctor [--json]",
    .summary = "Tell what is set up, what is missing, and whether the server admits you",
    .help = "Changes nothing, here or at the server. The exit code is that of the first thing that "
            "is\nwrong; 0: all is well.\n",
    .keyless = true, /* it says itself what it cannot see */
    .json = true,
    .run = run,
};
