#include "ctl.h"

#include <stdio.h>

#include "control.h"

static int status_run(struct cn_ctl *ctl)
{
    char reply[CN_CONTROL_REPLY_SIZE_MAX];
    struct cn_ctl_place place;
    enum cn_err err;

    if (!cn_ctl_place_open(&place, ctl))
        return CN_CTL_FAILED;
    err = cn_ctl_ask(place.dir, CN_CONTROL_STATUS, reply, sizeof reply);
    if (err == CN_OK && ctl->arguments.json) {
        puts(reply);
    } else if (err == CN_OK) {
        cn_ctl_json_print(reply);
    } else if (err == CN_E_ABSENT) {
        if (ctl->arguments.json)
            puts("{\"v\":1,\"event\":\"status\",\"running\":false}");
        cn_ctl_error("no server runs on %s", ctl->arguments.dir);
        cn_ctl_hint("cyphernetd --dir %s starts it", ctl->arguments.dir);
    } else {
        cn_ctl_error("the running server did not answer: %s", cn_ctl_reason(err));
        cn_ctl_hint("look at the server's log");
    }
    cn_ctl_place_close(&place);
    return err == CN_OK ? CN_CTL_OK : CN_CTL_FAILED;
}

const struct cn_ctl_verb cn_ctl_status_verb = {
    .name = "status",
    .usage = "status [--json]",
    .summary = "Ask the running server how it is doing",
    .help = "Exit code 1 if none runs on this directory.\n",
    .run = status_run,
};
