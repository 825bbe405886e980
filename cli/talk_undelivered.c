/* talk_undelivered.c - lines that the partner has not got: kept for the next talk with it. */
#include <errno.h>

#include "talk.h"

static int cannot_open(struct cn_cli *cli, enum cn_err err)
{
    const struct cn_detail *detail = cn_home_detail(cli->home);
    int code;

    if (err == CN_E_ABSENT) {
        cn_error("what %s has not got of earlier talks cannot be read: its key, %s, is not there",
                 cli->arguments[0], detail->about);
        cn_hint("restore it from a backup, or talk with --no-transcript");
        return CN_EXIT_FAILED;
    }
    if (err == CN_E_NAME) {
        cn_error("%s: that is of talks with somebody else", detail->about);
        cn_hint("find out who put it there; then move it away");
        return CN_EXIT_NOT_AUTHENTIC;
    }
    code = cn_fail(cli, err, "looking for what was not delivered");
    if (err == CN_E_CHECKSUM || err == CN_E_FORMAT)
        cn_hint("moved away, it is begun anew, and what it held is lost; --no-transcript leaves it "
                "alone");
    return code;
}

int cn_talk_undelivered_open(struct cn_talking *talking)
{
    struct cn_cli *cli = talking->cli;
    struct cn_contact_info info;
    bool wanted = false;
    enum cn_err err = CN_OK;

    if (cn_contact_show(cli->home, talking->dial.name, &info) != CN_OK)
        return CN_EXIT_DONE; /* calling tells what is wrong */
    if (!cli->no_transcript)
        err = cn_undelivered_preferred(cli->home, &wanted);
    if (err != CN_OK)
        return cn_fail(cli, err, "preferences");
    if (!wanted)
        return CN_EXIT_DONE;
    err = cn_undelivered_open(&talking->undelivered, cli->home, talking->dial.name);
    if (err == CN_E_SYSTEM && cn_home_detail(cli->home)->system_error == EWOULDBLOCK) {
        cn_warn("another talk with %s is under way: what is not delivered in this one is not kept",
                talking->dial.name);
        return CN_EXIT_DONE;
    }
    if (err == CN_E_SYSTEM) {
        (void)cn_fail(cli, err, "looking for what was not delivered");
        cn_warn("what is not delivered in this talk is not kept");
        return CN_EXIT_DONE;
    }
    return err == CN_OK ? CN_EXIT_DONE : cannot_open(cli, err);
}

static void tell_json(struct cn_talking *t, const char *event, unsigned long long count)
{
    char extra[48];

    snprintf(extra, sizeof extra, ",\"number\":%llu", count);
    cn_dial_event(t->cli, &t->dial, event, extra);
}

void cn_talk_undelivered_begin(struct cn_talking *talking)
{
    struct cn_talking *t = talking;
    unsigned long long count;

    if (!t->undelivered || !t->talk)
        return;
    count = cn_undelivered_count(t->undelivered);
    cn_talk_keep(t->talk, t->undelivered);
    if (count == 0)
        return;
    cn_say(t->cli, "%llu %s of an earlier talk, which %s did not get, %s sent now", count,
           count == 1 ? "text" : "texts", t->dial.name, count == 1 ? "is" : "are");
    tell_json(t, "again", count);
}

static void check(struct cn_talking *t, enum cn_err err)
{
    if (err == CN_OK)
        return;
    (void)cn_fail(t->cli, err, "keeping what is not delivered");
    cn_warn("what %s does not get from now on is not kept for another talk", t->dial.name);
}

void cn_talk_undelivered_look(struct cn_talking *talking)
{
    struct cn_talking *t = talking;

    if (t->undelivered)
        check(t, t->is_lost ? cn_undelivered_sync(t->undelivered)
                            : cn_undelivered_check(t->undelivered));
}

void cn_talk_undelivered_end(struct cn_talking *talking)
{
    struct cn_talking *t = talking;
    unsigned long long count;

    if (!t->undelivered)
        return;
    check(t, cn_undelivered_sync(t->undelivered));
    count = cn_undelivered_count(t->undelivered);
    if (count > 0) {
        cn_warn("%llu of your texts %s not known to have arrived: kept, encrypted, and sent in the "
                "next talk with %s",
                count, count == 1 ? "is" : "are", t->dial.name);
        tell_json(t, "kept", count);
    }
    cn_undelivered_close(t->undelivered,
                         t->dial.call && t->closed && t->closed_err == CN_OK && count == 0);
    t->undelivered = NULL;
}
