/* cyphernetctl - the operator's tool: who may use the server. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "ctl.h"
#include "process.h"

static int help_run(struct cn_ctl *ctl);

static const struct cn_ctl_verb help_verb = {
    .name = "help",
    .usage = "help [COMMAND]",
    .summary = "tell about a command",
    .help = "Without COMMAND: the list of all.\n",
    .operand_max = 1,
    .run = help_run,
};

const struct cn_ctl_verb *const cn_ctl_verbs[] = {
    &cn_ctl_init_verb,   &cn_ctl_invite_verb,  &cn_ctl_admit_verb,     &cn_ctl_renew_verb,
    &cn_ctl_revoke_verb, &cn_ctl_suspend_verb, &cn_ctl_unsuspend_verb, &cn_ctl_move_verb,
    &cn_ctl_export_verb, &cn_ctl_import_verb,  &cn_ctl_list_verb,      &cn_ctl_status_verb,
    &cn_ctl_top_verb,    &help_verb,           &cn_ctl_complete_verb,  NULL,
};

static void options_print(FILE *out, const struct cn_ctl_option *options)
{
    for (; options && options->name; options++) {
        char left[64];

        snprintf(left, sizeof left, "%c%c%s--%s%s%s", options->letter ? '-' : ' ',
                 options->letter ? options->letter : ' ', options->letter ? ", " : "  ",
                 options->name, options->value ? " " : "", options->value ? options->value : "");
        fprintf(out, "  %-26s %s\n", left, options->help);
    }
}

static void overview_print(FILE *out)
{
    fputs("usage: cyphernetctl [--dir DIR] COMMAND ...\n\n", out);
    for (const struct cn_ctl_verb *const *verb = cn_ctl_verbs; *verb; verb++)
        fprintf(out, "  %-18s %s\n", (*verb)->name, (*verb)->summary);
    fputs("\nOptions of every command:\n", out);
    options_print(out, cn_ctl_options_common());
    fputs("\n`cyphernetctl help COMMAND` tells more; cyphernetctl(8) tells all.\n", out);
}

static void verb_print(const struct cn_ctl_verb *verb)
{
    printf("usage: cyphernetctl [--dir DIR] %s\n\n%s.\n\n%s\nOptions:\n", verb->usage,
           verb->summary, verb->help);
    options_print(stdout, verb->options);
    options_print(stdout, cn_ctl_options_common());
    printf("\ncyphernetctl-%s(8) has examples.\n", verb->name);
}

static int help_run(struct cn_ctl *ctl)
{
    const struct cn_ctl_verb *verb;

    if (ctl->arguments.operand_count == 0) {
        overview_print(stdout);
        return CN_CTL_OK;
    }
    verb = cn_ctl_verb_find(cn_ctl_verbs, ctl->arguments.operand[0]);
    if (!verb) {
        cn_ctl_verb_unknown(ctl->arguments.operand[0]);
        return CN_CTL_USAGE;
    }
    verb_print(verb);
    return CN_CTL_OK;
}

static void process_prepare(void)
{
    cn_process_harden();
    umask(077);
    signal(SIGPIPE, SIG_IGN); /* a write says EPIPE */
    signal(SIGXFSZ, SIG_IGN); /* a write says EFBIG */
}

static int run(struct cn_ctl *ctl)
{
    enum cn_err err = cn_crypto_init(&ctl->crypto);
    int code;

    if (err != CN_OK) {
        cn_ctl_error("%s", cn_ctl_reason(err));
        return CN_CTL_FAILED;
    }
    code = ctl->verb->run(ctl);
    cn_crypto_wipe(&ctl->crypto);
    return code;
}

int main(int argc, char **argv)
{
    struct cn_ctl ctl = {
        .arguments = { .dir = CN_DIR_DEFAULT, .days = CN_CTL_DAYS_DEFAULT, .limits_class = -1 },
        .now = (uint64_t)time(NULL),
    };

    if (!cn_process_standard_fill())
        return CN_CTL_FAILED;
    process_prepare();
    cn_ctl_say_init(&ctl.arguments);
    if (!cn_ctl_options_parse(&ctl, cn_ctl_verbs, argc, argv))
        return CN_CTL_USAGE;
    cn_ctl_say_init(&ctl.arguments);
    if (ctl.arguments.version) {
        printf("cyphernetctl %s\n%s\n", CN_VERSION, cn_crypto_library());
        return cn_ctl_stdout_close(CN_CTL_OK);
    }
    if (ctl.arguments.help && ctl.verb) {
        verb_print(ctl.verb);
        return cn_ctl_stdout_close(CN_CTL_OK);
    }
    if (ctl.arguments.help) {
        overview_print(stdout);
        return cn_ctl_stdout_close(CN_CTL_OK);
    }
    if (!ctl.verb) {
        overview_print(stderr);
        return CN_CTL_USAGE;
    }
    return cn_ctl_stdout_close(run(&ctl));
}
