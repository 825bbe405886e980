#include "ctl.h"

#include <string.h>

#include "random.h"

static bool holder_new(const struct cn_ctl *ctl, const struct cn_ctl_issue *issue,
                       struct cn_registry *registry, struct cn_subscriber *subscriber,
                       struct cn_fingerprint *fingerprint)
{
    struct cn_admission_secret *secret = &fingerprint->secret;
    enum cn_err err;

    if (!cn_ctl_label_free(ctl, registry, issue->label))
        return false;
    err = cn_random_fill(&cn_system_random, secret->bytes, sizeof secret->bytes);
    if (err == CN_OK)
        err = cn_x25519_public(secret->bytes, subscriber->certificate.admission_key);
    if (err != CN_OK)
        cn_ctl_error("%s", cn_ctl_reason(err));
    fingerprint->has_secret = true;
    return err == CN_OK;
}

static int invite_run(struct cn_ctl *ctl)
{
    const struct cn_ctl_issue issue = {
        .label = ctl->arguments.operand[0],
        .event = "invited",
        .holder = holder_new,
    };

    if (!ctl->arguments.output) {
        cn_ctl_error("invite: -o FILE is missing");
        cn_ctl_hint("usage: cyphernetctl %s", cn_ctl_invite_verb.usage);
        return CN_CTL_USAGE;
    }
    if (!cn_ctl_issue_usage(ctl, issue.label))
        return CN_CTL_USAGE;
    return cn_ctl_issue(ctl, &issue);
}

static const struct cn_ctl_option options[] = {
    { "days", '\0', CN_CTL_DAYS, offsetof(struct cn_ctl_arguments, days), "N",
      "how long the fingerprint is valid (365)" },
    { "class", '\0', CN_CTL_CLASS, offsetof(struct cn_ctl_arguments, limits_class), "N",
      "limits of section [class.N] of cyphernetd.conf (0: those of all)" },
    { "output", 'o', CN_CTL_TEXT, offsetof(struct cn_ctl_arguments, output), "FILE",
      "where to write it; - is standard output" },
    { NULL, '\0', CN_CTL_FLAG, 0, NULL, NULL },
};

const struct cn_ctl_verb cn_ctl_invite_verb = {
    .name = "invite",
    .usage = "invite LABEL [--days N] [--class N] -o FILE",
    .summary = "Make a subscriber: a fingerprint file with a fresh admission key inside",
    .help =
        "LABEL is your name for the subscriber. Who has the file can use the server in his name:\n"
        "hand it over in person. `admit` serves those who would rather make their key "
        "themselves.\n",
    .options = options,
    .operand_min = 1,
    .operand_max = 1,
    .run = invite_run,
};
