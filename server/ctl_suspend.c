#include "ctl.h"

static int suspend_run(struct cn_ctl *ctl)
{
    return cn_ctl_block(ctl, CN_SUBSCRIBER_SUSPENDED);
}

static int unsuspend_run(struct cn_ctl *ctl)
{
    return cn_ctl_block(ctl, CN_SUBSCRIBER_ACTIVE);
}

const struct cn_ctl_verb cn_ctl_suspend_verb = {
    .name = "suspend",
    .usage = "suspend LABEL|SERIAL",
    .summary = "Shut a subscriber out until `unsuspend`, and cut his lines",
    .help = "A running server obeys at once, another at its next start.\n",
    .operand_min = 1,
    .operand_max = 1,
    .run = suspend_run,
};

const struct cn_ctl_verb cn_ctl_unsuspend_verb = {
    .name = "unsuspend",
    .usage = "unsuspend LABEL|SERIAL",
    .summary = "Let a suspended subscriber in again",
    .help = "The fingerprint he has is good again, if it has not expired.\n",
    .operand_min = 1,
    .operand_max = 1,
    .run = unsuspend_run,
};
