#include "ctl.h"

#include <stdio.h>
#include <stdlib.h>

static const char *state_of(const struct cn_ctl *ctl, const struct cn_subscriber *s)
{
    if (s->status == CN_SUBSCRIBER_ACTIVE && ctl->now >= s->certificate.not_after)
        return "expired";
    return cn_subscriber_status_name(s->status);
}

static void json_print(const struct cn_ctl *ctl, const struct cn_subscriber *s)
{
    const struct cn_certificate *c = &s->certificate;

    printf("{\"v\":1,\"event\":\"subscriber\",\"label\":\"%s\",\"state\":\"%s\","
           "\"serial\":\"%llu\",\"not_before\":%llu,\"not_after\":%llu,\"limits_class\":%u,"
           "\"created_at\":%llu,\"issued_at\":%llu,\"changed_at\":%llu,\"admission_key\":\"",
           s->label, state_of(ctl, s), (unsigned long long)c->serial,
           (unsigned long long)c->not_before, (unsigned long long)c->not_after,
           (unsigned)c->limits_class, (unsigned long long)s->created_at,
           (unsigned long long)s->issued_at, (unsigned long long)s->changed_at);
    for (size_t i = 0; i < sizeof c->admission_key; i++)
        printf("%02x", c->admission_key[i]);
    fputs("\"}\n", stdout);
}

static void table_print(const struct cn_ctl *ctl, const struct cn_subscriber *list, size_t count)
{
    if (count == 0) {
        cn_ctl_note("no subscribers yet: cyphernetctl invite LABEL -o FILE makes one");
        return;
    }
    printf("%-24s %-10s %-11s %s\n", "LABEL", "STATE", "UNTIL", "SERIAL");
    for (size_t i = 0; i < count; i++)
        printf("%-24s %-10s %-11s %llu\n", list[i].label, state_of(ctl, &list[i]),
               cn_ctl_date(list[i].certificate.not_after).text,
               (unsigned long long)list[i].certificate.serial);
}

static int list_run(struct cn_ctl *ctl)
{
    struct cn_subscriber *list = NULL;
    struct cn_ctl_place place;
    size_t count = 0;
    enum cn_err err;

    if (!cn_ctl_place_open(&place, ctl))
        return CN_CTL_FAILED;
    err = cn_registry_list(place.registry, &list, &count);
    if (err != CN_OK)
        cn_ctl_registry_error(ctl, err);
    else if (ctl->arguments.json)
        for (size_t i = 0; i < count; i++)
            json_print(ctl, &list[i]);
    else
        table_print(ctl, list, count);
    free(list);
    cn_ctl_place_close(&place);
    return err == CN_OK ? CN_CTL_OK : CN_CTL_FAILED;
}

const struct cn_ctl_verb cn_ctl_list_verb = {
    .name = "list",
    .usage = "list [--json]",
    .summary = "Show all subscribers, revoked ones too",
    .help = "One line for each: the label, the state (active, expired, suspended, revoked), the\n"
            "date from which the fingerprint is no longer valid, and its serial.\n",
    .run = list_run,
};
