#include "ctl.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "revocations.h"

/* All that the server has to know, under a new number. */
static enum cn_err collect(const struct cn_ctl *ctl, struct cn_ctl_place *place,
                           struct cn_revocations *list)
{
    enum cn_err err = cn_notices_number_next(place->registry, ctl->now, &list->number);

    list->server = place->settings.server_key;
    if (err == CN_OK)
        err = cn_registry_blocked(place->registry, &list->blocked, &list->blocked_count);
    if (err == CN_OK)
        err = cn_notices_read(place->registry, &list->held, &list->held_count, &list->common);
    return err;
}

static bool text_make(const struct cn_ctl *ctl, struct cn_ctl_place *place,
                      struct cn_revocations *list, char **text, size_t *text_size)
{
    struct cn_operator_secret secret = { 0 };
    enum cn_err err;
    bool good;

    cn_ctl_lock(&secret, sizeof secret);
    good = cn_ctl_operator_load(ctl, place, &secret, &list->operator_key);
    if (good) {
        err = cn_registry_begin(place->registry);
        if (err == CN_OK)
            err = collect(ctl, place, list);
        good = err == CN_OK;
        if (!good)
            cn_ctl_registry_error(ctl, err);
    }
    if (good) {
        err = cn_revocations_encode(&ctl->crypto, list, &secret, text, text_size);
        good = err == CN_OK;
        if (err == CN_E_FULL)
            cn_ctl_error("these are more than a file may hold: 16 MiB, some 400,000 certificates");
        else if (err != CN_OK)
            cn_ctl_error("%s", cn_ctl_reason(err));
    }
    cn_wipe(&secret, sizeof secret);
    return good;
}

/* The number is used up before anybody may see the file. */
static bool deliver(const struct cn_ctl *ctl, struct cn_ctl_place *place, struct cn_outfile *file,
                    const char *text, size_t text_size)
{
    enum cn_err err = cn_registry_commit(place->registry);

    if (err != CN_OK) {
        cn_ctl_registry_error(ctl, err);
        return false;
    }
    cn_ctl_place_leave(place);
    err = cn_outfile_write(file, text, text_size);
    if (err == CN_OK && !cn_outfile_is_stdout(file))
        err = cn_outfile_keep(file);
    if (err != CN_OK)
        cn_ctl_output_error(ctl->arguments.output, err);
    cn_ctl_place_return(place);
    return err == CN_OK;
}

static int export_to(const struct cn_ctl *ctl, struct cn_outfile *file)
{
    struct cn_revocations list = { 0 };
    struct cn_ctl_place place;
    size_t text_size = 0;
    char *text = NULL;
    bool good;

    if (!cn_ctl_place_open(&place, ctl))
        return CN_CTL_FAILED;
    good = text_make(ctl, &place, &list, &text, &text_size) &&
           deliver(ctl, &place, file, text, text_size);
    if (good && ctl->arguments.json)
        printf("{\"v\":1,\"event\":\"exported\",\"number\":\"%llu\",\"blocked\":%zu,"
               "\"notices\":%zu}\n",
               (unsigned long long)list.number, list.blocked_count,
               list.held_count + (list.common.size > 0));
    if (good)
        cn_ctl_note("%zu certificates blocked, %zu notices; next, at the server: cyphernetctl"
                    " import FILE",
                    list.blocked_count, list.held_count + (list.common.size > 0));
    free(text);
    cn_revocations_wipe(&list);
    cn_ctl_place_close(&place);
    return good ? CN_CTL_OK : CN_CTL_FAILED;
}

static int export_run(struct cn_ctl *ctl)
{
    struct cn_outfile file;
    enum cn_err err;
    int code;

    if (!ctl->arguments.output) {
        cn_ctl_error("export-revocations: -o FILE is missing");
        cn_ctl_hint("usage: cyphernetctl %s", cn_ctl_export_verb.usage);
        return CN_CTL_USAGE;
    }
    if (strcmp(ctl->arguments.output, "-") == 0 && ctl->arguments.json) {
        cn_ctl_error("--json and -o - both want standard output");
        return CN_CTL_USAGE;
    }
    err = cn_outfile_create(&file, AT_FDCWD, ctl->arguments.output, 0600);
    if (err != CN_OK) {
        cn_ctl_output_error(ctl->arguments.output, err);
        return CN_CTL_FAILED;
    }
    code = export_to(ctl, &file);
    cn_outfile_close(&file);
    return code;
}

static const struct cn_ctl_option options[] = {
    { "output", 'o', CN_CTL_TEXT, offsetof(struct cn_ctl_arguments, output), "FILE",
      "where to write it; - is standard output" },
    { NULL, '\0', CN_CTL_FLAG, 0, NULL, NULL },
};

const struct cn_ctl_verb cn_ctl_export_verb = {
    .name = "export-revocations",
    .usage = "export-revocations -o FILE",
    .summary = "Write who is shut out, and what is renewed, for a server elsewhere",
    .help = "For an operator whose key is not kept at the server: `import` takes the file there.\n"
            "It holds all who are suspended or revoked, all renewals and the last `move`; no\n"
            "label, and no secret.\n",
    .options = options,
    .run = export_run,
};
