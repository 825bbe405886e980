#include "ctl.h"

#include <string.h>

#include "armor.h"

/* Nobody has the admission key, and nobody had it who was revoked. */
static bool key_free(const struct cn_ctl *ctl, struct cn_registry *registry, const uint8_t *key)
{
    struct cn_subscriber other;
    enum cn_err err = cn_registry_find_key(registry, key, &other);

    if (err == CN_E_ABSENT)
        return true;
    if (err != CN_OK) {
        cn_ctl_registry_error(ctl, err);
        return false;
    }
    if (other.status == CN_SUBSCRIBER_REVOKED) {
        cn_ctl_error("the admission key of this request has been revoked (it was %s's)",
                     other.label);
        cn_ctl_hint("ask for a request with a fresh key");
    } else {
        cn_ctl_error("the admission key of this request is %s's already", other.label);
        cn_ctl_hint("cyphernetctl renew %s -o FILE gives it more time", other.label);
    }
    return false;
}

static bool holder_of_request(const struct cn_ctl *ctl, const struct cn_ctl_issue *issue,
                              struct cn_registry *registry, struct cn_subscriber *subscriber,
                              struct cn_fingerprint *fingerprint)
{
    (void)fingerprint;
    if (!cn_ctl_label_free(ctl, registry, issue->label) ||
        !key_free(ctl, registry, issue->admission_key))
        return false;
    memcpy(subscriber->certificate.admission_key, issue->admission_key, CN_X25519_SIZE);
    return true;
}

static const char *request_hint(enum cn_err err, const char *text, size_t size)
{
    static const struct {
        enum cn_err err;
        const char *hint;
    } rows[] = {
        { CN_E_LIMIT, "this is no request: one has three short lines" },
        { CN_E_FULL, "this is no request: one has three short lines" },
        { CN_E_ARMOR, "a request begins with -----BEGIN CYPHERNET REQUEST-----;"
                      " `cyphernet request -o FILE` makes it" },
        { CN_E_TRUNCATED, "have it sent again, whole, to the END line" },
        { CN_E_CHECKSUM, "it was changed on the way: have it sent again" },
        { CN_E_FORMAT, "`cyphernet request -o FILE` makes a good one" },
        { CN_E_KEY, "`cyphernet request -o FILE` makes a good one" },
        { CN_E_VERSION, "it was made by a later cyphernet: upgrade this side" },
    };
    enum cn_armor_kind kind = cn_armor_kind_of(text, size);

    if (err == CN_E_KIND && kind == CN_ARMOR_FINGERPRINT)
        return "this is a fingerprint, which the operator makes; the subscriber sends a request";
    if (err == CN_E_KIND && kind == CN_ARMOR_CARD)
        return "this is a contact card, which is for a partner; a subscriber sends the operator a"
               " request";
    if (err == CN_E_KIND)
        return "`cyphernet request -o FILE` makes a request";
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].err == err)
            return rows[i].hint;
    }
    return NULL;
}

static bool request_read(const struct cn_ctl *ctl, const char *path, uint8_t key[CN_X25519_SIZE])
{
    char text[CN_ARMOR_TEXT_SIZE_MAX];
    const char *hint;
    size_t size = 0;
    enum cn_err err = cn_ctl_text_read(path, text, sizeof text, &size);

    if (err == CN_OK)
        err = cn_request_decode(&ctl->crypto, text, size, key);
    if (err == CN_OK)
        return true;
    cn_ctl_error("%s: %s", strcmp(path, "-") == 0 ? "standard input" : path, cn_ctl_reason(err));
    hint = request_hint(err, text, size);
    if (hint)
        cn_ctl_hint("%s", hint);
    return false;
}

static int admit_run(struct cn_ctl *ctl)
{
    struct cn_ctl_issue issue = {
        .label = ctl->arguments.name,
        .event = "admitted",
        .holder = holder_of_request,
    };

    if (!ctl->arguments.output || !issue.label) {
        cn_ctl_error("admit: %s is missing", issue.label ? "-o FILE" : "--name LABEL");
        cn_ctl_hint("usage: cyphernetctl %s", cn_ctl_admit_verb.usage);
        return CN_CTL_USAGE;
    }
    if (!cn_ctl_issue_usage(ctl, issue.label))
        return CN_CTL_USAGE;
    if (!request_read(ctl, ctl->arguments.operand[0], issue.admission_key))
        return CN_CTL_FAILED;
    return cn_ctl_issue(ctl, &issue);
}

static const struct cn_ctl_option options[] = {
    { "name", '\0', CN_CTL_TEXT, offsetof(struct cn_ctl_arguments, name), "LABEL",
      "your name for the subscriber" },
    { "days", '\0', CN_CTL_DAYS, offsetof(struct cn_ctl_arguments, days), "N",
      "how long the fingerprint is valid (365)" },
    { "class", '\0', CN_CTL_CLASS, offsetof(struct cn_ctl_arguments, limits_class), "N",
      "limits of section [class.N] of cyphernetd.conf (0: those of all)" },
    { "output", 'o', CN_CTL_TEXT, offsetof(struct cn_ctl_arguments, output), "FILE",
      "where to write the fingerprint; - is standard output" },
    { NULL, '\0', CN_CTL_FLAG, 0, NULL, NULL },
};

const struct cn_ctl_verb cn_ctl_admit_verb = {
    .name = "admit",
    .usage = "admit REQUEST --name LABEL [--days N] [--class N] -o FILE",
    .summary = "Make a subscriber of somebody who made the admission key himself",
    .help =
        "REQUEST is the file that `cyphernet request` made; - is standard input. The fingerprint\n"
        "holds no secret: it is of use only with the key in the subscriber's hands. Be sure that\n"
        "the request is really his.\n",
    .options = options,
    .operand_min = 1,
    .operand_max = 1,
    .run = admit_run,
};
