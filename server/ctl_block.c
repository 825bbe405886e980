#include "ctl.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control.h"
#include "keyfile.h"

static const struct {
    const char *event;
    const char *done;
} words[CN_SUBSCRIBER_STATUS_COUNT] = {
    [CN_SUBSCRIBER_ACTIVE] = { "unsuspended", "may use the server again" },
    [CN_SUBSCRIBER_SUSPENDED] = { "suspended", "is suspended" },
    [CN_SUBSCRIBER_REVOKED] = { "revoked", "is revoked, for good" },
};

/* A label holds a non-digit, so digits alone are a serial. */
static bool serial_take(const char *text, uint64_t *serial)
{
    char *end;

    if (strspn(text, "0123456789") != strlen(text))
        return false;
    errno = 0;
    *serial = strtoull(text, &end, 10);
    return errno == 0 && *serial > 0 && *serial <= INT64_MAX;
}

static bool find(const struct cn_ctl *ctl, const struct cn_ctl_place *place,
                 struct cn_subscriber *subscriber)
{
    struct cn_registry *registry = place->registry;
    const char *who = ctl->arguments.operand[0];
    uint64_t serial;
    enum cn_err err = serial_take(who, &serial)
                          ? cn_registry_find_serial(registry, serial, subscriber)
                          : cn_registry_find_label(registry, who, subscriber);

    if (err == CN_OK)
        return true;
    if (err == CN_E_ABSENT) {
        cn_ctl_error("there is no subscriber %s", who);
        cn_ctl_hint(cn_ctl_operator_here(place)
                        ? "cyphernetctl list shows all, with their serials"
                        : "subscribers are kept where the operator's key is: `cyphernetctl"
                          " export-revocations` there, and `cyphernetctl import` here");
    } else {
        cn_ctl_registry_error(ctl, err);
    }
    return false;
}

/* Nobody comes back from revocation. */
static bool change_allowed(const struct cn_subscriber *s, enum cn_subscriber_status status)
{
    if (s->status != CN_SUBSCRIBER_REVOKED || status == CN_SUBSCRIBER_REVOKED)
        return true;
    cn_ctl_error("%s has been revoked, which is for good", s->label);
    cn_ctl_hint("cyphernetctl invite %s -o FILE begins anew, with another key", s->label);
    return false;
}

/* Make it known to the running server, which must have it then. The registry has it in any case. */
static bool server_tell(const struct cn_ctl *ctl, const struct cn_ctl_place *place,
                        const struct cn_subscriber *s, enum cn_subscriber_status status,
                        uint64_t *cut, bool *running)
{
    char request[CN_CONTROL_REQUEST_SIZE_MAX];
    char reply[CN_CONTROL_REPLY_SIZE_MAX];
    uint64_t blocked;
    enum cn_err err;

    snprintf(request, sizeof request, CN_CONTROL_REGISTRY "%" PRIu64 "\n", s->certificate.serial);
    err = cn_ctl_ask(place->dir, request, "registry", reply, sizeof reply);
    *running = err != CN_E_ABSENT;
    if (err == CN_OK && (!cn_ctl_json_number(reply, "cut", cut) ||
                         !cn_ctl_json_number(reply, "serial_blocked", &blocked)))
        err = CN_E_FORMAT;
    if (err == CN_OK && blocked != (status != CN_SUBSCRIBER_ACTIVE)) {
        cn_ctl_error("the running server has read another registry: it does not know of this");
        cn_ctl_hint("was %s/%s replaced just now? do this again", ctl->arguments.dir,
                    CN_REGISTRY_FILE);
        return false;
    }
    if (cn_ctl_server_elsewhere(place))
        cn_ctl_told_note(ctl, place, *running);
    else if (err == CN_E_ABSENT)
        cn_ctl_note("no server runs on %s: it takes effect at the next start", ctl->arguments.dir);
    if (err == CN_OK || err == CN_E_ABSENT)
        return true;
    cn_ctl_error("the registry has it, but the running server did not confirm: %s",
                 cn_ctl_ask_reason(err, reply));
    cn_ctl_hint("look at the server's log; then do this again, or send SIGHUP to cyphernetd");
    return false;
}

static int change_tell(const struct cn_ctl *ctl, const struct cn_ctl_place *place,
                       const struct cn_subscriber *s, enum cn_subscriber_status status)
{
    uint64_t cut = 0;
    bool changed = s->status != status;
    bool running = false;
    bool told;

    cn_ctl_note("%s %s%s", s->label, words[status].done, changed ? "" : " already");
    told = server_tell(ctl, place, s, status, &cut, &running);
    if (ctl->arguments.json)
        printf("{\"v\":1,\"event\":\"%s\",\"label\":\"%s\",\"serial\":\"%llu\",\"running\":%s,"
               "\"cut\":%llu}\n",
               words[status].event, s->label, (unsigned long long)s->certificate.serial,
               running ? "true" : "false", (unsigned long long)cut);
    if (told && running && status != CN_SUBSCRIBER_ACTIVE)
        cn_ctl_note("%llu %s cut", (unsigned long long)cut, cut == 1 ? "line" : "lines");
    return told ? CN_CTL_OK : CN_CTL_FAILED;
}

static int block_at(const struct cn_ctl *ctl, struct cn_ctl_place *place,
                    enum cn_subscriber_status status)
{
    struct cn_subscriber subscriber;
    enum cn_err err = cn_registry_begin(place->registry);

    if (err != CN_OK) {
        cn_ctl_registry_error(ctl, err);
        return CN_CTL_FAILED;
    }
    if (!find(ctl, place, &subscriber) || !change_allowed(&subscriber, status))
        return CN_CTL_FAILED;
    if (subscriber.status != status)
        err = cn_registry_status_set(place->registry, subscriber.id, status, ctl->now);
    if (err == CN_OK)
        err = cn_registry_commit(place->registry);
    if (err != CN_OK) {
        cn_ctl_registry_error(ctl, err);
        return CN_CTL_FAILED;
    }
    return change_tell(ctl, place, &subscriber, status);
}

int cn_ctl_block(struct cn_ctl *ctl, enum cn_subscriber_status status)
{
    struct cn_ctl_place place;
    int code;

    if (!cn_ctl_place_open(&place, ctl))
        return CN_CTL_FAILED;
    code = block_at(ctl, &place, status);
    cn_ctl_place_close(&place);
    return code;
}
