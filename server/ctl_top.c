#include "ctl.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control.h"

enum { NAME_WIDTH = 24 };

struct cn_ctl_octets cn_ctl_octets(uint64_t octets)
{
    static const char *const units[] = { "octets", "KiB", "MiB", "GiB", "TiB", "PiB" };
    double amount = (double)octets;
    struct cn_ctl_octets out;
    size_t unit = 0;

    while (amount >= 1024 && unit + 1 < sizeof units / sizeof units[0]) {
        amount /= 1024;
        unit++;
    }
    snprintf(out.text, sizeof out.text, "%.*f %s", unit == 0 ? 0 : 1, amount, units[unit]);
    return out;
}

bool cn_ctl_status_ask(const struct cn_ctl *ctl, const struct cn_ctl_place *place, char *reply,
                       size_t reply_size_max, bool *running)
{
    enum cn_err err = cn_ctl_ask(place->dir, CN_CONTROL_STATUS, "status", reply, reply_size_max);

    *running = err != CN_E_ABSENT;
    if (err == CN_E_ABSENT) {
        cn_ctl_error("no server runs on %s", ctl->arguments.dir);
        cn_ctl_hint("cyphernetd --dir %s starts it", ctl->arguments.dir);
    } else if (err != CN_OK) {
        cn_ctl_error("the running server did not answer: %s", cn_ctl_ask_reason(err, reply));
        cn_ctl_hint("look at the server's log");
    }
    return err == CN_OK;
}

struct cn_ctl_user cn_ctl_user_take(const struct cn_ctl_member *element)
{
    struct cn_ctl_user user = { 0 };
    const struct {
        const char *name;
        uint64_t *value;
    } members[] = {
        { "serial", &user.serial },
        { "waiting", &user.waiting },
        { "joined", &user.joined },
        { "bytes", &user.bytes },
    };
    const char *at = element->value;
    struct cn_ctl_member m;

    if (!cn_ctl_json_enter(&at))
        return user;
    while (cn_ctl_json_next(&at, true, &m)) {
        for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
            if (cn_ctl_json_named(&m, members[i].name))
                (void)cn_ctl_json_value(&m, members[i].value); /* else it stays 0 */
        }
    }
    return user;
}

void cn_ctl_user_label(struct cn_registry *registry, uint64_t serial,
                       char label[CN_NAME_SIZE_MAX + 1])
{
    struct cn_subscriber subscriber;

    if (cn_registry_find_serial(registry, serial, &subscriber) == CN_OK)
        memcpy(label, subscriber.label, sizeof subscriber.label);
    else
        snprintf(label, CN_NAME_SIZE_MAX + 1, "(not in the registry)");
}

/* Most first: octets, then calls, then what waits; and the same order each time. */
static int most_first(const void *a, const void *b)
{
    const struct cn_ctl_user *x = a;
    const struct cn_ctl_user *y = b;
    const uint64_t keys[][2] = {
        { y->bytes, x->bytes },
        { y->joined, x->joined },
        { y->waiting, x->waiting },
        { x->serial, y->serial },
    };

    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        if (keys[i][0] != keys[i][1])
            return keys[i][0] > keys[i][1] ? 1 : -1;
    }
    return 0;
}

/* Everybody in the list, in order; *users is the caller's to free(). False: no memory. */
static bool users_take(const char *reply, struct cn_ctl_user **users, size_t *count)
{
    struct cn_ctl_member list, element;
    struct cn_ctl_user *all = malloc(CN_CONTROL_REPLY_SIZE_MAX / 2 * sizeof *all);
    const char *at = "";
    size_t have = 0;

    if (!all)
        return false;
    if (cn_ctl_json_find(reply, "subscribers", &list))
        at = list.value;
    if (cn_ctl_json_enter(&at)) {
        /* an element has two characters at least, so that there is room for all */
        while (cn_ctl_json_next(&at, false, &element))
            all[have++] = cn_ctl_user_take(&element);
    }
    qsort(all, have, sizeof *all, most_first);
    *users = all;
    *count = have;
    return true;
}

static void json_print(const struct cn_ctl_user *user, const char *label)
{
    printf("{\"v\":1,\"event\":\"top\",\"serial\":\"%" PRIu64 "\",\"label\":", user->serial);
    printf(label[0] == '(' ? "null" : "\"%s\"", label);
    printf(",\"waiting\":%" PRIu64 ",\"joined\":%" PRIu64 ",\"bytes\":%" PRIu64 "}\n",
           user->waiting, user->joined, user->bytes);
}

static void users_print(const struct cn_ctl *ctl, struct cn_registry *registry,
                        const struct cn_ctl_user *users, size_t count)
{
    char label[CN_NAME_SIZE_MAX + 1];

    if (!ctl->arguments.json && count > 0)
        printf("%-*s%7s %7s %14s\n", NAME_WIDTH, "SUBSCRIBER", "WAITING", "JOINED", "SENT");
    for (size_t i = 0; i < count; i++) {
        cn_ctl_user_label(registry, users[i].serial, label);
        if (ctl->arguments.json)
            json_print(&users[i], label);
        else
            printf("%-*s%7" PRIu64 " %7" PRIu64 " %14s\n", NAME_WIDTH, label, users[i].waiting,
                   users[i].joined, cn_ctl_octets(users[i].bytes).text);
    }
}

static bool top_print(const struct cn_ctl *ctl, struct cn_registry *registry, const char *reply)
{
    struct cn_ctl_user *users = NULL;
    uint64_t left_out = 0;
    size_t count = 0;

    if (!users_take(reply, &users, &count)) {
        cn_ctl_error("%s", cn_ctl_reason(CN_E_MEMORY));
        return false;
    }
    users_print(ctl, registry, users, count);
    free(users);
    (void)cn_ctl_json_number(reply, "subscribers_left_out", &left_out);
    if (count == 0)
        cn_ctl_note("nobody has a line");
    if (left_out > 0)
        cn_ctl_note("and %" PRIu64 " more, for whom there was no room", left_out);
    return true;
}

static int top_run(struct cn_ctl *ctl)
{
    char reply[CN_CONTROL_REPLY_SIZE_MAX];
    struct cn_ctl_place place;
    bool running;
    bool good;

    if (!cn_ctl_place_open(&place, ctl))
        return CN_CTL_FAILED;
    good = cn_ctl_status_ask(ctl, &place, reply, sizeof reply, &running) &&
           top_print(ctl, place.registry, reply);
    cn_ctl_place_close(&place);
    return good ? CN_CTL_OK : CN_CTL_FAILED;
}

const struct cn_ctl_verb cn_ctl_top_verb = {
    .name = "top",
    .usage = "top [--json]",
    .summary = "Ask the running server who uses it most",
    .help = "One line for each subscriber who has a line now, who sent most first: how many lines\n"
            "wait, how many calls go on, and what was sent in calls that have ended since the\n"
            "subscriber last had none. Exit code 1 if no server runs on this directory.\n",
    .run = top_run,
};
