#include "cli.h"

#include <cyphernet/talk.h>
#include <cyphernet/transcript.h>

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/agent.h"
#include "crypto.h"
#include "qr_offer.h"

enum { WORDS_IN_LINE = 7 };

static const struct cn_option options[] = {
    { "output", 'o', "FILE", offsetof(struct cn_cli, output),
      "write my card there; offer: instead of standard output" },
    { "qr", 0, NULL, offsetof(struct cn_cli, qr),
      "offer: as QR codes, in the terminal or, with -o, as a picture (PNG)" },
    { "new", 0, NULL, offsetof(struct cn_cli, fresh), "offer: a new card; both exchange again" },
    { "replace", 0, NULL, offsetof(struct cn_cli, replace),
      "accept: instead of the card that is held" },
    { "yes", 'y', NULL, offsetof(struct cn_cli, yes), "verify: the numbers are equal" },
    { NULL, 0, NULL, 0, NULL },
};

int cn_contact_failed(struct cn_cli *cli, enum cn_err err, const char *what)
{
    const char *about = cn_home_detail(cli->home)->about;
    int code = cli->argument_count > 1 && cn_is_no_contact(cli, err, cli->arguments[1])
                   ? cn_no_contact(cli->arguments[1])
                   : cn_fail(cli, err, what);

    if (err == CN_E_KNOWN)
        cn_hint("if that name is not the right one: `cyphernet contact rename %s NEW`", about);
    if (err == CN_E_EXISTS)
        cn_hint("if the new card is right, --replace takes it; then compare the safety number");
    if (err == CN_E_USAGE && about[0])
        cn_hint("this card answers the one you made for %s: `cyphernet contact accept %s`", about,
                about);
    if (err == CN_E_USAGE && !about[0])
        cn_hint(
            "this card answers another card than the one you offer now: hand over the present "
            "one (`cyphernet contact offer`), and ask for a new card in reply (`offer --new` at "
            "the other end)");
    if (err == CN_E_PART)
        cn_hint("give all parts at once, each on a line, or all in one picture");
    if (err == CN_E_KIND && !about[0])
        cn_hint("it must be a card, as `cyphernet contact offer` makes it");
    if (err == CN_E_KEY && about[0])
        cn_hint("the cards were made with another identity: restore that, or exchange new ones "
                "(`cyphernet contact offer NAME --new`)");
    if (err == CN_E_KEY && !about[0])
        cn_hint("ask for another card: this one can hardly be what its owner made");
    return code;
}

/* Some to a line, so that both find their place again. */
static void print_words(const char *words)
{
    for (size_t word = 1; *words; words++) {
        if (*words == ' ')
            putchar(word++ % WORDS_IN_LINE == 0 ? '\n' : ' ');
        else
            putchar(*words);
    }
    putchar('\n');
}

/* What was asked for, whatever else is said or not. */
static void print_safety(const struct cn_cli *cli, const struct cn_contact_info *info)
{
    if (cli->json) {
        printf(
            "{\"v\":1,\"event\":\"safety\",\"name\":\"%s\",\"safety\":\"%s\",\"words\":\"%s\"}\n",
            info->name, info->safety, info->words);
    } else {
        printf("%s\n", info->safety);
        print_words(info->words);
    }
    fflush(stdout);
}

/* Closes the output, whatever happens. */
static int write_card(struct cn_cli *cli, const char *name, bool fresh, struct cn_output *output)
{
    char text[CN_TEXT_SIZE_MAX];
    size_t size = sizeof text;
    enum cn_err err = cn_contact_offer(cli->home, name, fresh, text, &size);
    int code;

    if (err == CN_OK) {
        code = cn_output_write(cli, output, "card", text, size);
    } else {
        code = cn_contact_failed(cli, err, "making the card");
        cn_output_drop(output);
    }
    cn_wipe(text, sizeof text);
    if (code == CN_EXIT_DONE)
        cn_say(cli, "the card is a secret between you and %s: hand it over in person", name);
    return code;
}

static int offer(struct cn_cli *cli)
{
    struct cn_output output;
    int code = cn_output_open(&output, cli->output);

    if (code != CN_EXIT_DONE)
        return code;
    cn_tell_expiry(cli);
    if (cli->qr)
        return cn_qr_offer(cli, cli->arguments[1], &output);
    return write_card(cli, cli->arguments[1], cli->fresh, &output);
}

/* Take the card that is read. */
static int read_card(struct cn_cli *cli, const char *name, struct cn_contact_info *info)
{
    char text[CN_TEXT_SIZE_MAX];
    size_t size = 0;
    enum cn_err err;
    int code =
        cn_text_read(cli->argument_count > 2 ? cli->arguments[2] : NULL, text, sizeof text, &size);

    if (code == CN_EXIT_DONE) {
        cn_tell_expiry(cli);
        err = cn_contact_accept(cli->home, name, text, size, cli->replace);
        if (err == CN_OK)
            err = cn_contact_show(cli->home, name, info);
        if (err != CN_OK)
            code = cn_contact_failed(cli, err, "accepting the card");
    }
    cn_wipe(text, sizeof text);
    return code;
}

/* Whatever becomes of the reply: the card is taken. */
static void tell_accepted(const struct cn_cli *cli, const struct cn_contact_info *info)
{
    cn_say(cli, "card of %s taken: %s and ML-KEM-768; it was made for \"%s\", which should be you",
           info->name, info->kind, info->made_for);
    cn_say(cli,
           "compare this safety number with %s over another way, then `cyphernet contact "
           "verify %s`:",
           info->name, info->name);
    if (cli->output && strcmp(cli->output, "-") == 0 && !cli->json)
        cn_say(cli, "%s; in words: %s", info->safety,
               info->words); /* standard output is the card's */
    else
        print_safety(cli, info);
}

static int accept_card(struct cn_cli *cli)
{
    const char *name = cli->arguments[1];
    struct cn_output output;
    struct cn_contact_info info;
    int code = CN_EXIT_DONE;

    if (cli->output)
        code = cn_output_open(&output, cli->output);
    if (code != CN_EXIT_DONE)
        return code;
    code = read_card(cli, name, &info);
    if (code == CN_EXIT_DONE)
        tell_accepted(cli, &info);
    if (!cli->output)
        return code;
    if (code == CN_EXIT_DONE)
        return write_card(cli, name, false, &output);
    cn_output_drop(&output);
    return code;
}

static const char *state_of(const struct cn_contact_info *info)
{
    if (!info->accepted)
        return "offered";
    if (!info->offered)
        return "accepted";
    return info->verified ? "verified" : "unverified";
}

static void print_json(const struct cn_contact_info *info)
{
    printf("{\"v\":1,\"event\":\"contact\",\"name\":");
    cn_json_string(info->name);
    printf(",\"state\":\"%s\",\"offered\":%s,\"accepted\":%s,\"verified\":%s,\"made_for\":",
           state_of(info), info->offered ? "true" : "false", info->accepted ? "true" : "false",
           info->verified ? "true" : "false");
    cn_json_string(info->made_for);
    printf(",\"identity\":\"%s\",\"suite\":\"%s\",\"safety\":\"%s\",\"words\":\"%s\",", info->kind,
           info->suite, info->safety, info->words);
    printf("\"moving\":\"%s\"}\n", cn_moving_name(info->moving));
}

/* What verifying has come to, for programs. */
static void print_outcome(const struct cn_cli *cli, const struct cn_contact_info *info)
{
    if (cli->json)
        print_json(info);
}

static bool ask(const char *question)
{
    char line[16] = "";

    fprintf(stderr, "%s [y/N] ", question);
    return fgets(line, sizeof line, stdin) && (line[0] == 'y' || line[0] == 'Y');
}

/* Another process may take a new card while somebody reads digits aloud: what was compared must
 * still hold. */
static bool still(struct cn_cli *cli, const struct cn_contact_info *compared)
{
    struct cn_contact_info now;

    return cn_contact_show(cli->home, compared->name, &now) == CN_OK &&
           strcmp(now.safety, compared->safety) == 0;
}

static int verify(struct cn_cli *cli)
{
    const char *name = cli->arguments[1];
    struct cn_contact_info info;
    enum cn_err err = cn_contact_show(cli->home, name, &info);

    if (err == CN_OK && !info.safety[0]) {
        cn_error("%s: the cards are not exchanged yet", name);
        cn_hint("%s", info.offered ? "take the other card with `cyphernet contact accept`"
                                   : "make yours with `cyphernet contact offer`");
        return CN_EXIT_FAILED;
    }
    if (err != CN_OK)
        return cn_contact_failed(cli, err, "verifying");
    print_safety(cli, &info);
    if (ferror(stdout)) /* what nobody has seen nobody has compared */
        return CN_EXIT_FAILED;
    if (!cli->yes && !isatty(STDIN_FILENO)) {
        cn_say(cli, "%s; compare, then say --yes", info.verified ? "verified" : "not verified yet");
        print_outcome(cli, &info);
        return CN_EXIT_DONE;
    }
    if (!cli->yes && !ask("Does the other end show the same number, or the same words?")) {
        cn_error("not verified");
        cn_hint("if they differ, somebody changed a card: exchange new ones "
                "(`cyphernet contact offer %s --new`)",
                name);
        return CN_EXIT_NOT_AUTHENTIC;
    }
    if (!still(cli, &info)) {
        cn_error("%s: the cards have changed meanwhile; not verified", name);
        cn_hint("compare again");
        return CN_EXIT_FAILED;
    }
    err = cn_contact_verify(cli->home, name);
    if (err != CN_OK)
        return cn_contact_failed(cli, err, "verifying");
    cn_say(cli, "%s is verified", name);
    info.verified = true;
    print_outcome(cli, &info);
    return CN_EXIT_DONE;
}

static void print(const struct cn_cli *cli, const struct cn_contact_info *info)
{
    if (cli->json)
        print_json(info);
    else
        printf("%-24s %-10s %-10s %s%s%s\n", info->name, state_of(info), info->kind, info->suite,
               info->moving ? "; " : "", cn_moving_text(info->moving));
}

/* One that cannot be shown hides no other. */
static int list(struct cn_cli *cli)
{
    struct cn_contact_info *contacts = NULL;
    size_t count = 0;
    enum cn_err err = cn_contact_list(cli->home, &contacts, &count);
    int code = CN_EXIT_DONE;

    if (err != CN_OK)
        return cn_contact_failed(cli, err, "listing");
    for (size_t i = 0; i < count; i++) {
        err = contacts[i].err;
        if (err != CN_OK) /* again, for the detail */
            err = cn_contact_show(cli->home, contacts[i].name, &contacts[i]);
        if (err == CN_OK) {
            print(cli, &contacts[i]);
        } else {
            (void)cn_contact_failed(cli, err, "listing");
            code = CN_EXIT_FAILED;
        }
    }
    if (count == 0 && !cli->json)
        cn_say(cli, "no contacts yet; `cyphernet contact offer NAME` makes a card for one");
    free(contacts);
    return code;
}

static int show(struct cn_cli *cli)
{
    struct cn_contact_info info;
    enum cn_err err = cn_contact_show(cli->home, cli->arguments[1], &info);

    if (err != CN_OK)
        return cn_contact_failed(cli, err, "showing");
    if (cli->json) {
        print_json(&info);
        return CN_EXIT_DONE;
    }
    printf("name:          %s\nstate:         %s\n", info.name, state_of(&info));
    if (info.accepted)
        printf("knows me as:   %s\nidentity:      %s and ML-KEM-768\n", info.made_for, info.kind);
    if (info.safety[0])
        printf("suite:         %s\nsafety number: %s\nin words:      %s\n", info.suite, info.safety,
               info.words);
    if (info.moving != CN_MOVING_NOT)
        printf("moving:        %s\n", cn_moving_text(info.moving));
    return CN_EXIT_DONE;
}

/* *count: of the queue, how many are for the new name now, or were when it failed. */
static enum cn_err queue_rename(struct cn_cli *cli, const char *old_name, const char *new_name,
                                size_t *count)
{
    struct cn_delivery *list = NULL;
    size_t list_count = 0;
    enum cn_err err = cn_queue_list(cli->home, &list, &list_count);

    for (size_t i = 0; i < list_count && err == CN_OK; i++) {
        if (strcmp(list[i].contact, old_name) != 0)
            continue;
        snprintf(list[i].contact, sizeof list[i].contact, "%s", new_name);
        err = cn_queue_replace(cli->home, &list[i]);
        *count += err == CN_OK;
        if (err == CN_E_ABSENT) /* it has been delivered, or taken away */
            err = CN_OK;
    }
    cn_queue_free(list, list_count);
    return err;
}

/* What `send --later` has queued for the contact goes with it. */
static int queue_follow(struct cn_cli *cli, const char *old_name, const char *new_name)
{
    size_t count = 0;
    enum cn_err err = queue_rename(cli, old_name, new_name, &count);

    if (count > 0)
        cn_say(cli, "%zu of the queue %s for %s now", count, count == 1 ? "is" : "are", new_name);
    if (err == CN_OK)
        return CN_EXIT_DONE;
    (void)cn_fail(cli, err, "changing the queue");
    cn_hint("%s is called %s now; `cyphernet queue` lists what still waits for %s", old_name,
            new_name, old_name);
    return CN_EXIT_FAILED;
}

static void nothing_said(void *context, const char *line)
{
    (void)context, (void)line;
}

/* A section of agent.conf that nobody has any more: the user wrote it, and is told. */
static void rules_follow(struct cn_cli *cli, const char *old_name, const char *new_name)
{
    struct cn_rules rules = { 0 };
    bool good;

    cn_messages_to(nothing_said, NULL); /* what is wrong with it `agent --check` tells */
    good = cn_rules_file_read(cli, &rules);
    cn_messages_to(NULL, NULL);
    if (good && cn_rules_find(&rules, old_name, false)) {
        cn_warn("agent.conf has a section [%s], which is nobody's now", old_name);
        cn_hint("call it [%s], and have the agent read it again: "
                "systemctl --user reload cyphernet-agent",
                new_name);
    }
    cn_rules_wipe(&rules);
}

static int rename_contact(struct cn_cli *cli)
{
    enum cn_err err = cn_contact_rename(cli->home, cli->arguments[1], cli->arguments[2]);
    int code;

    if (err == CN_OK) {
        rules_follow(cli, cli->arguments[1], cli->arguments[2]);
        return queue_follow(cli, cli->arguments[1], cli->arguments[2]);
    }
    if (err != CN_E_EXISTS)
        return cn_contact_failed(cli, err, "renaming");
    code = cn_fail(cli, err, "renaming");
    cn_hint("choose another name, or remove that contact first");
    return code;
}

/* How many deliveries wait for a contact; 0 where that cannot be seen. */
static size_t queued_for(struct cn_cli *cli, const char *name)
{
    struct cn_delivery *list = NULL;
    size_t list_count = 0, count = 0;

    if (cn_queue_list(cli->home, &list, &list_count) != CN_OK)
        return 0;
    for (size_t i = 0; i < list_count; i++)
        count += strcmp(list[i].contact, name) == 0;
    cn_queue_free(list, list_count);
    return count;
}

static int remove_contact(struct cn_cli *cli)
{
    bool kept = cn_transcript_exists(cli->home, cli->arguments[1]);
    bool undelivered = cn_undelivered_exists(cli->home, cli->arguments[1]);
    enum cn_err err = cn_contact_remove(cli->home, cli->arguments[1]);
    size_t queued;

    if (err != CN_OK)
        return cn_contact_failed(cli, err, "removing");
    if (kept)
        cn_say(cli, "the transcript of talks with %s is removed, too", cli->arguments[1]);
    if (undelivered)
        cn_say(cli, "what %s did not get of earlier talks is removed, too", cli->arguments[1]);
    queued = queued_for(cli, cli->arguments[1]);
    if (queued > 0) {
        cn_warn("%zu of the queue cannot be delivered any more", queued);
        cn_hint("`cyphernet queue` lists what is queued, `cyphernet queue cancel ID` ends it");
    }
    return CN_EXIT_DONE;
}

static const struct cn_verb verbs[] = {
    { "offer", 2, 2, true, "contact offer NAME [--qr] [-o FILE] [--new] [--json]", offer },
    { "accept", 2, 3, true, "contact accept NAME [FILE|-] [-o FILE] [--replace] [--json]",
      accept_card },
    { "verify", 2, 2, true, "contact verify NAME [--yes] [--json]", verify },
    { "list", 1, 1, true, "contact list [--json]", list },
    { "show", 2, 2, true, "contact show NAME [--json]", show },
    { "rename", 3, 3, false, "contact rename OLD NEW", rename_contact },
    { "remove", 2, 2, false, "contact remove NAME", remove_contact },
    { NULL, 0, 0, false, NULL, NULL },
};

static int run(struct cn_cli *cli)
{
    for (size_t i = 0; verbs[i].name; i++) {
        if (strcmp(cli->arguments[0], verbs[i].name) != 0)
            continue;
        cli->usage = verbs[i].usage;
        if (cli->argument_count < verbs[i].arguments_min ||
            cli->argument_count > verbs[i].arguments_max)
            return cn_misuse(cli, "contact %s: wrong number of arguments", verbs[i].name);
        if (cli->json && !verbs[i].json)
            return cn_misuse(cli, "contact %s: " CN_NO_JSON, verbs[i].name);
        return verbs[i].run(cli);
    }
    return cn_misuse(cli, "contact: there is no '%s'", cli->arguments[0]);
}

const struct cn_command cn_cmd_contact = {
    .name = "contact",
    .usage = "contact offer|accept|verify|list|show|rename|remove ...",
    .summary = "Exchange cards with those you call, and look after them",
    .help =
        "`offer` makes my card for NAME, `accept` takes NAME's, as text or as a picture of QR\n"
        "codes, and writes mine in reply with -o. `verify` compares the safety number, which both\n"
        "then have seen. `list` and `show` tell of them; `rename` and `remove` change them, and "
        "the\n"
        "transcript of talks with them.\n",
    .options = options,
    .arguments_min = 1,
    .arguments_max = 3,
    .json = true,
    .verbs = verbs,
    .run = run,
};
