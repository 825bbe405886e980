#include "ctl.h"

static int revoke_run(struct cn_ctl *ctl)
{
    return cn_ctl_block(ctl, CN_SUBSCRIBER_REVOKED);
}

const struct cn_ctl_verb cn_ctl_revoke_verb = {
    .name = "revoke",
    .usage = "revoke LABEL|SERIAL",
    .summary = "Shut a subscriber out for good, and cut his lines",
    .help = "A SERIAL names the subscriber to whom that certificate was issued; all of his\n"
            "certificates are revoked. No signing key is needed. A running server obeys at\n"
            "once, another at its next start. The label may then be invited anew.\n",
    .operand_min = 1,
    .operand_max = 1,
    .run = revoke_run,
};
