#include "ctl.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "armor.h"
#include "keyfile.h"
#include "random.h"

enum {
    SECONDS_PER_DAY = 86400,
    CLOCK_SKEW_S = 3600 /* a subscriber's clock may be this much behind ours, or the server's */
};

/* All that is secret, in one place that is locked and wiped. */
struct desk {
    struct cn_operator_secret operator_secret;
    struct cn_fingerprint fingerprint;
    char text[CN_ARMOR_TEXT_SIZE_MAX];
    size_t text_size;
    struct cn_held_notice notice; /* of a renewal */
};

bool cn_ctl_issue_usage(const struct cn_ctl *ctl, const char *label)
{
    const char *output = ctl->arguments.output;

    if (!cn_label_valid(label)) {
        cn_ctl_error("%s is no label", label);
        cn_ctl_hint("up to 64 letters, digits, dots, underscores and dashes, the first a letter or"
                    " digit, and not digits alone");
        return false;
    }
    if (output && strcmp(output, "-") == 0 && ctl->arguments.json) {
        cn_ctl_error("--json and -o - both want standard output");
        return false;
    }
    return true;
}

bool cn_ctl_label_free(const struct cn_ctl *ctl, struct cn_registry *registry, const char *label)
{
    struct cn_subscriber other;
    enum cn_err err = cn_registry_find_label(registry, label, &other);

    if (err == CN_E_ABSENT || (err == CN_OK && other.status == CN_SUBSCRIBER_REVOKED))
        return true;
    if (err == CN_OK) {
        cn_ctl_error("there is a subscriber %s already", label);
        cn_ctl_hint("choose another label; or `cyphernetctl renew %s` to give that one more time,"
                    " or `cyphernetctl revoke %s` first",
                    label, label);
    } else {
        cn_ctl_registry_error(ctl, err);
    }
    return false;
}

static bool operator_believed(const struct cn_settings *settings,
                              const struct cn_operator_public *public)
{
    for (size_t i = 0; i < settings->operator_count; i++) {
        if (memcmp(settings->operators[i].bytes, public->bytes, sizeof public->bytes) ==
            0) /* public */
            return true;
    }
    return false;
}

bool cn_ctl_operator_load(const struct cn_ctl *ctl, const struct cn_ctl_place *place,
                          struct cn_operator_secret *secret, struct cn_operator_public *public)
{
    enum cn_err err = cn_keyfile_read(&ctl->crypto, place->dir, CN_OPERATOR_KEY_FILE,
                                      CN_ARMOR_OPERATOR_KEY, secret->bytes);

    if (err == CN_OK)
        err = cn_ed25519_public(secret->bytes, public->bytes);
    if (err == CN_E_ABSENT) {
        cn_ctl_error("the operator's key is not in %s", ctl->arguments.dir);
        if (strcmp(ctl->verb->name, "invite") == 0 || strcmp(ctl->verb->name, "admit") == 0)
            cn_ctl_hint("fingerprints are issued where %s is; this server need not know of them",
                        CN_OPERATOR_KEY_FILE);
        else
            cn_ctl_hint("do it where %s is: `cyphernetctl export-revocations` there, and"
                        " `cyphernetctl import` here, bring what it says to this server",
                        CN_OPERATOR_KEY_FILE);
        return false;
    }
    if (err != CN_OK) {
        cn_ctl_keyfile_error(ctl, CN_OPERATOR_KEY_FILE, err);
        return false;
    }
    if (!operator_believed(&place->settings, public)) {
        cn_ctl_error("%s/%s is not the key that this server believes", ctl->arguments.dir,
                     CN_OPERATOR_KEY_FILE);
        cn_ctl_hint("bring back the one that init made");
        return false;
    }
    return true;
}

/* 63 random bits, not all zero. The registry refuses one that was ever used. */
static enum cn_err serial_draw(uint64_t *serial)
{
    uint8_t octets[8];
    struct cn_reader r = { .at = octets, .left = sizeof octets };
    enum cn_err err = cn_random_fill(&cn_system_random, octets, sizeof octets);
    uint64_t drawn = cn_reader_u64be(&r) >> 1;

    if (err == CN_OK)
        *serial = drawn != 0 ? drawn : 1;
    return err;
}

bool cn_ctl_certificate_issue(const struct cn_ctl *ctl, struct cn_registry *registry,
                              const struct cn_operator_secret *secret,
                              struct cn_subscriber *subscriber)
{
    struct cn_certificate *c = &subscriber->certificate;
    enum cn_err err = serial_draw(&c->serial);

    c->not_before = ctl->now - CLOCK_SKEW_S;
    if (ctl->arguments.limits_class >= 0)
        c->limits_class = (uint8_t)ctl->arguments.limits_class;
    c->not_after = ctl->now + (uint64_t)ctl->arguments.days * SECONDS_PER_DAY;
    subscriber->issued_at = ctl->now;
    if (err == CN_OK)
        err = cn_certificate_sign(c, secret);
    if (err != CN_OK) {
        cn_ctl_error("%s", cn_ctl_reason(err));
        return false;
    }
    err = subscriber->id == 0 ? cn_registry_add(registry, subscriber)
                              : cn_registry_renew(registry, subscriber);
    if (err != CN_OK)
        cn_ctl_registry_error(ctl, err);
    return err == CN_OK;
}

static bool fingerprint_encode(const struct cn_ctl *ctl, const struct cn_settings *settings,
                               const struct cn_subscriber *subscriber, struct desk *desk)
{
    struct cn_fingerprint *f = &desk->fingerprint;
    enum cn_err err;

    f->certificate = subscriber->certificate;
    f->server_key = settings->server_key;
    memcpy(f->label, subscriber->label, sizeof f->label);
    f->address_count = settings->public_count;
    memcpy(f->address, settings->public_address, sizeof f->address);
    err = cn_fingerprint_encode(&ctl->crypto, f, desk->text, sizeof desk->text, &desk->text_size);
    if (err != CN_OK)
        cn_ctl_error("%s", cn_ctl_reason(err));
    return err == CN_OK;
}

/* The number that the fingerprint has; and for a renewal its notice, under that number. */
static bool notice_prepare(const struct cn_ctl *ctl, const struct cn_ctl_issue *issue,
                           struct cn_ctl_place *place, struct desk *desk,
                           const struct cn_subscriber *subscriber)
{
    uint64_t *number = &desk->fingerprint.notice_number;
    enum cn_err err = issue->renews ? cn_notices_number_next(place->registry, ctl->now, number)
                                    : cn_notices_number(place->registry, number);

    if (err != CN_OK)
        cn_ctl_registry_error(ctl, err);
    return err == CN_OK &&
           (!issue->renews || cn_ctl_renewal_make(&place->settings, *number, &desk->operator_secret,
                                                  subscriber, &desk->notice));
}

/* With the certificate if no file is to be handed over; else when there is one, so that it is as
 * if nothing had been done if there is none. */
static bool notice_hold(const struct cn_ctl *ctl, const struct cn_ctl_issue *issue,
                        struct cn_ctl_place *place, const struct desk *desk)
{
    enum cn_err err = issue->renews ? cn_notices_hold(place->registry, &desk->notice) : CN_OK;

    if (err != CN_OK)
        cn_ctl_registry_error(ctl, err);
    if (err != CN_OK && ctl->arguments.output)
        cn_ctl_hint("the server cannot tell %s: hand the fingerprint to %s, it is good",
                    issue->label, issue->label);
    return err == CN_OK;
}

/* Everything up to, not with, the commit. */
static bool prepare(const struct cn_ctl *ctl, const struct cn_ctl_issue *issue,
                    struct cn_ctl_place *place, struct desk *desk, struct cn_subscriber *subscriber)
{
    enum cn_err err;

    if (!cn_ctl_operator_load(ctl, place, &desk->operator_secret, &desk->fingerprint.operator_key))
        return false;
    err = cn_registry_begin(place->registry);
    if (err != CN_OK) {
        cn_ctl_registry_error(ctl, err);
        return false;
    }
    return issue->holder(ctl, issue, place->registry, subscriber, &desk->fingerprint) &&
           cn_ctl_certificate_issue(ctl, place->registry, &desk->operator_secret, subscriber) &&
           notice_prepare(ctl, issue, place, desk, subscriber) &&
           (ctl->arguments.output || notice_hold(ctl, issue, place, desk)) &&
           fingerprint_encode(ctl, &place->settings, subscriber, desk);
}

/* The file is complete under a temporary name before the registry knows of it, and gets its own
 * after: so no fingerprint is ever in use that could not be revoked. */
static bool enter(const struct cn_ctl *ctl, struct cn_ctl_place *place, struct desk *desk,
                  struct cn_outfile *file)
{
    enum cn_err err = CN_OK;

    if (file && !cn_outfile_is_stdout(file))
        err = cn_outfile_write(file, desk->text, desk->text_size);
    if (err != CN_OK) {
        cn_ctl_output_error(ctl->arguments.output, err);
        return false;
    }
    err = cn_registry_commit(place->registry);
    if (err != CN_OK)
        cn_ctl_registry_error(ctl, err);
    return err == CN_OK;
}

/* The fingerprint did not get out, or nobody knows how much of it did. */
static void take_back(const struct cn_ctl *ctl, struct cn_ctl_place *place,
                      const struct cn_subscriber *subscriber, bool seen)
{
    enum cn_err err;

    if (!seen) {
        err = cn_registry_withdraw(place->registry, subscriber->certificate.serial);
    } else {
        err = cn_registry_status_set(place->registry, subscriber->id, CN_SUBSCRIBER_REVOKED,
                                     ctl->now);
        cn_ctl_hint("%s has been revoked again, since a part may have been seen; invite anew",
                    subscriber->label);
    }
    if (err != CN_OK)
        cn_ctl_registry_error(ctl, err);
}

static bool deliver(const struct cn_ctl *ctl, struct cn_ctl_place *place, struct desk *desk,
                    struct cn_outfile *file, const struct cn_subscriber *subscriber)
{
    bool to_stdout = file && cn_outfile_is_stdout(file);
    enum cn_err err = CN_OK;

    cn_ctl_place_leave(place);
    if (to_stdout)
        err = cn_outfile_write(file, desk->text, desk->text_size);
    else if (file)
        err = cn_outfile_keep(file);
    if (err != CN_OK)
        cn_ctl_output_error(ctl->arguments.output, err);
    cn_ctl_place_return(place);
    if (err == CN_OK)
        return true;
    if (!to_stdout || desk->fingerprint.has_secret)
        take_back(ctl, place, subscriber, to_stdout);
    else
        cn_ctl_hint("%s is entered; cyphernetctl renew %s -o FILE writes the file",
                    subscriber->label, subscriber->label);
    return false;
}

/* running: a server was told. */
static void success_tell(const struct cn_ctl *ctl, const struct cn_ctl_issue *issue,
                         const struct cn_subscriber *s, bool has_secret, bool running)
{
    const char *output = ctl->arguments.output;

    if (ctl->arguments.json)
        printf("{\"v\":1,\"event\":\"%s\",\"label\":\"%s\",\"serial\":\"%llu\","
               "\"not_before\":%llu,\"not_after\":%llu,\"limits_class\":%u%s}\n",
               issue->event, s->label, (unsigned long long)s->certificate.serial,
               (unsigned long long)s->certificate.not_before,
               (unsigned long long)s->certificate.not_after, (unsigned)s->certificate.limits_class,
               !issue->renews ? ""
               : running      ? ",\"running\":true"
                              : ",\"running\":false");
    cn_ctl_note("%s may use the server until %s", s->label,
                cn_ctl_date(s->certificate.not_after).text);
    if (output && has_secret)
        cn_ctl_note("the fingerprint is a secret: hand it to %s alone; `cyphernet join` takes it",
                    s->label);
    else if (output)
        cn_ctl_note("hand the fingerprint to %s; `cyphernet join` takes it", s->label);
}

static int issue_at(const struct cn_ctl *ctl, const struct cn_ctl_issue *issue, struct desk *desk,
                    struct cn_outfile *file)
{
    struct cn_subscriber subscriber = { .created_at = ctl->now, .changed_at = ctl->now };
    struct cn_ctl_place place;
    bool running = false;
    bool told = true;
    bool done;

    if (!cn_ctl_place_open(&place, ctl))
        return CN_CTL_FAILED;
    memcpy(subscriber.label, issue->label, strlen(issue->label) + 1);
    done = prepare(ctl, issue, &place, desk, &subscriber) && enter(ctl, &place, desk, file) &&
           deliver(ctl, &place, desk, file, &subscriber) &&
           (!file || notice_hold(ctl, issue, &place, desk));
    if (done && issue->renews)
        told = cn_ctl_server_tell(&place, &running);
    if (done)
        success_tell(ctl, issue, &subscriber, desk->fingerprint.has_secret, running);
    if (done && told && issue->renews)
        cn_ctl_told_note(ctl, &place, running);
    cn_ctl_place_close(&place);
    return done && told ? CN_CTL_OK : CN_CTL_FAILED;
}

int cn_ctl_issue(const struct cn_ctl *ctl, const struct cn_ctl_issue *issue)
{
    struct cn_outfile file;
    struct desk desk = { 0 };
    enum cn_err err = CN_OK;
    int code;

    cn_ctl_lock(&desk, sizeof desk);
    if (ctl->arguments.output)
        err = cn_outfile_create(&file, AT_FDCWD, ctl->arguments.output, 0600);
    if (err != CN_OK) {
        cn_ctl_output_error(ctl->arguments.output, err);
        return CN_CTL_FAILED;
    }
    code = issue_at(ctl, issue, &desk, ctl->arguments.output ? &file : NULL);
    if (ctl->arguments.output)
        cn_outfile_close(&file);
    cn_wipe(&desk, sizeof desk);
    return code;
}
