#include "ctl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool holder_known(const struct cn_ctl *ctl, const struct cn_ctl_issue *issue,
                         struct cn_registry *registry, struct cn_subscriber *subscriber,
                         struct cn_fingerprint *fingerprint)
{
    enum cn_err err = cn_registry_find_label(registry, issue->label, subscriber);

    (void)fingerprint;
    if (err == CN_E_ABSENT) {
        cn_ctl_error("there is no subscriber %s", issue->label);
        cn_ctl_hint("cyphernetctl list shows all");
    } else if (err != CN_OK) {
        cn_ctl_registry_error(ctl, err);
    } else if (subscriber->status == CN_SUBSCRIBER_REVOKED) {
        cn_ctl_error("%s has been revoked, which is for good", issue->label);
        cn_ctl_hint("cyphernetctl invite %s -o FILE begins anew, with another key", issue->label);
    } else if (subscriber->status == CN_SUBSCRIBER_SUSPENDED) {
        cn_ctl_error("%s is suspended", issue->label);
        cn_ctl_hint("cyphernetctl unsuspend %s first", issue->label);
    } else {
        return true;
    }
    return false;
}

/* A new certificate, and the notice that brings it. */
static bool renew_one(const struct cn_ctl *ctl, struct cn_ctl_place *place, uint64_t number,
                      const struct cn_operator_secret *secret, struct cn_subscriber *subscriber)
{
    struct cn_held_notice notice;
    enum cn_err err;

    if (!cn_ctl_certificate_issue(ctl, place->registry, secret, subscriber) ||
        !cn_ctl_renewal_make(&place->settings, number, secret, subscriber, &notice))
        return false;
    err = cn_notices_hold(place->registry, &notice);
    if (err != CN_OK)
        cn_ctl_registry_error(ctl, err);
    return err == CN_OK;
}

static bool renew_each(const struct cn_ctl *ctl, struct cn_ctl_place *place,
                       const struct cn_operator_secret *secret, size_t *renewed)
{
    struct cn_subscriber *list = NULL;
    size_t count = 0;
    uint64_t number = 0; /* one for all: nobody gets two of these notices */
    enum cn_err err = cn_registry_list(place->registry, &list, &count);
    bool good;

    if (err == CN_OK)
        err = cn_notices_number_next(place->registry, ctl->now, &number);
    good = err == CN_OK;

    if (!good)
        cn_ctl_registry_error(ctl, err);
    for (size_t i = 0; good && i < count; i++) {
        if (list[i].status != CN_SUBSCRIBER_ACTIVE)
            continue;
        good = renew_one(ctl, place, number, secret, &list[i]);
        ++*renewed;
    }
    free(list);
    return good;
}

/* All or none. */
static bool renew_all(const struct cn_ctl *ctl, struct cn_ctl_place *place, size_t *renewed)
{
    struct cn_operator_secret secret = { 0 };
    struct cn_operator_public public;
    enum cn_err err = CN_OK;
    bool good;

    cn_ctl_lock(&secret, sizeof secret);
    good = cn_ctl_operator_load(ctl, place, &secret, &public);
    if (good)
        err = cn_registry_begin(place->registry);
    if (err == CN_OK && good)
        good = renew_each(ctl, place, &secret, renewed);
    if (err == CN_OK && good)
        err = cn_registry_commit(place->registry);
    if (err != CN_OK)
        cn_ctl_registry_error(ctl, err);
    cn_wipe(&secret, sizeof secret);
    return good && err == CN_OK;
}

static int all_run(const struct cn_ctl *ctl)
{
    struct cn_ctl_place place;
    size_t renewed = 0;
    bool running = false;
    bool good, told;

    if (!cn_ctl_place_open(&place, ctl))
        return CN_CTL_FAILED;
    good = renew_all(ctl, &place, &renewed);
    told = good && cn_ctl_server_tell(&place, &running);
    if (good && ctl->arguments.json)
        printf("{\"v\":1,\"event\":\"renewed\",\"count\":%zu,\"running\":%s}\n", renewed,
               running ? "true" : "false");
    if (good)
        cn_ctl_note("%zu renewed for %u days", renewed, ctl->arguments.days);
    if (told && renewed > 0)
        cn_ctl_told_note(ctl, &place, running);
    cn_ctl_place_close(&place);
    return told ? CN_CTL_OK : CN_CTL_FAILED;
}

static int renew_run(struct cn_ctl *ctl)
{
    const struct cn_ctl_arguments *a = &ctl->arguments;
    const struct cn_ctl_issue issue = {
        .label = a->operand[0],
        .event = "renewed",
        .holder = holder_known,
        .renews = true,
    };

    if (a->all == (a->operand_count == 1)) {
        cn_ctl_error("renew: either LABEL or --all");
        cn_ctl_hint("usage: cyphernetctl %s", cn_ctl_renew_verb.usage);
        return CN_CTL_USAGE;
    }
    if (a->all && a->output) {
        cn_ctl_error("renew: -o FILE is for one LABEL");
        return CN_CTL_USAGE;
    }
    if (a->all)
        return all_run(ctl);
    if (!cn_ctl_issue_usage(ctl, issue.label))
        return CN_CTL_USAGE;
    return cn_ctl_issue(ctl, &issue);
}

static const struct cn_ctl_option options[] = {
    { "all", '\0', CN_CTL_FLAG, offsetof(struct cn_ctl_arguments, all), NULL,
      "everybody who is neither suspended nor revoked" },
    { "days", '\0', CN_CTL_DAYS, offsetof(struct cn_ctl_arguments, days), "N",
      "how long from now (365)" },
    { "class", '\0', CN_CTL_CLASS, offsetof(struct cn_ctl_arguments, limits_class), "N",
      "limits of section [class.N] of cyphernetd.conf (as before)" },
    { "output", 'o', CN_CTL_TEXT, offsetof(struct cn_ctl_arguments, output), "FILE",
      "write the renewed fingerprint, too; - is standard output" },
    { NULL, '\0', CN_CTL_FLAG, 0, NULL, NULL },
};

const struct cn_ctl_verb cn_ctl_renew_verb = {
    .name = "renew",
    .usage = "renew LABEL|--all [--days N] [--class N] [-o FILE]",
    .summary = "Give a subscriber more time: a new certificate for the same admission key",
    .help = "The server hands it to the subscriber, whose cyphernet takes it by itself when he\n"
            "calls, even if the old one has expired by then. The file is for those who cannot\n"
            "wait; it holds no secret, and `cyphernet join` takes it.\n",
    .options = options,
    .operand_max = 1,
    .run = renew_run,
};
