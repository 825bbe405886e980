#include "ctl.h"

#include <stdio.h>
#include <string.h>

/* The notice for everybody, and what goes into fingerprints from now on. */
static bool move_enter(const struct cn_ctl *ctl, struct cn_ctl_place *place,
                       const struct cn_operator_secret *secret)
{
    struct cn_settings *s = &place->settings;
    struct cn_notice n = { .server = s->server_key, .parts = CN_NOTICE_ADDRESSES };
    struct cn_common_notice common = { .size = 0 };
    size_t size = 0;
    enum cn_err err = cn_notices_number_next(place->registry, ctl->now, &n.number);

    n.address_count = s->public_count;
    memcpy(n.address, s->public_address, sizeof n.address);
    if (err == CN_OK) {
        err = cn_notice_make(&n, secret, common.octets, sizeof common.octets, &size);
        if (err == CN_E_FULL) {
            cn_ctl_error("move: these addresses are too long, or too many, for a notice");
            return false;
        }
    }
    common.number = n.number;
    common.size = (uint16_t)size;
    if (err == CN_OK)
        err = cn_notices_hold_common(place->registry, &common);
    if (err == CN_OK)
        err = cn_settings_write(place->registry, s);
    if (err == CN_OK)
        err = cn_registry_commit(place->registry);
    if (err != CN_OK)
        cn_ctl_registry_error(ctl, err);
    return err == CN_OK;
}

static bool move_signed(const struct cn_ctl *ctl, struct cn_ctl_place *place)
{
    struct cn_operator_secret secret = { 0 };
    struct cn_operator_public public;
    enum cn_err err;
    bool good;

    cn_ctl_lock(&secret, sizeof secret);
    good = cn_ctl_operator_load(ctl, place, &secret, &public);
    if (good) {
        err = cn_registry_begin(place->registry);
        if (err != CN_OK)
            cn_ctl_registry_error(ctl, err);
        good = err == CN_OK && move_enter(ctl, place, &secret);
    }
    cn_wipe(&secret, sizeof secret);
    return good;
}

static int move_at(const struct cn_ctl *ctl, struct cn_ctl_place *place)
{
    bool running = false;
    bool told;

    if (!move_signed(ctl, place))
        return CN_CTL_FAILED;
    told = cn_ctl_server_tell(place, &running);
    if (ctl->arguments.json)
        printf("{\"v\":1,\"event\":\"moved\",\"public\":\"%s\",\"running\":%s}\n",
               place->settings.public_address[0], running ? "true" : "false");
    cn_ctl_note("subscribers will call %s", place->settings.public_address[0]);
    if (told)
        cn_ctl_told_note(ctl, place, running);
    cn_ctl_note("keep the server at the old address, too, until all have called once");
    return told ? CN_CTL_OK : CN_CTL_FAILED;
}

static int move_run(struct cn_ctl *ctl)
{
    struct cn_settings wanted = { 0 };
    struct cn_ctl_place place;
    int code;

    if (ctl->arguments.public_address.count == 0) {
        cn_ctl_error("move: --public is missing");
        cn_ctl_hint("usage: cyphernetctl %s", cn_ctl_move_verb.usage);
        return CN_CTL_USAGE;
    }
    if (!cn_ctl_public_take(&ctl->arguments, &wanted))
        return CN_CTL_USAGE;
    if (!cn_ctl_place_open(&place, ctl))
        return CN_CTL_FAILED;
    place.settings.public_count = wanted.public_count;
    memcpy(place.settings.public_address, wanted.public_address, sizeof wanted.public_address);
    code = move_at(ctl, &place);
    cn_ctl_place_close(&place);
    return code;
}

static const struct cn_ctl_option options[] = {
    { "public", '\0', CN_CTL_TEXTS, offsetof(struct cn_ctl_arguments, public_address), "HOST:PORT",
      "where subscribers reach it from now on; up to 8 times" },
    { NULL, '\0', CN_CTL_FLAG, 0, NULL, NULL },
};

const struct cn_ctl_verb cn_ctl_move_verb = {
    .name = "move",
    .usage = "move --public HOST:PORT...",
    .summary = "Tell all subscribers that the server is to be reached elsewhere",
    .help = "--public srv:NAME has them look up the SRV records of _cyphernet._tcp.NAME. New "
            "fingerprints name the new address. Who calls at the old one is told, and calls\n"
            "the new one from then on: so keep the old one working until all have called.\n",
    .options = options,
    .run = move_run,
};
