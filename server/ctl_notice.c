#include "ctl.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "control.h"
#include "keyfile.h"

bool cn_ctl_renewal_make(const struct cn_settings *settings, uint64_t number,
                         const struct cn_operator_secret *secret,
                         const struct cn_subscriber *subscriber, struct cn_held_notice *notice)
{
    struct cn_notice n = {
        .number = number,
        .server = settings->server_key,
        .parts = CN_NOTICE_CERTIFICATE,
        .certificate = subscriber->certificate,
    };
    struct cn_held_notice held = { .number = number, .serial = subscriber->certificate.serial };
    size_t size = 0;
    enum cn_err err;

    memcpy(n.admission_key, subscriber->certificate.admission_key, sizeof n.admission_key);
    memcpy(held.admission_key, n.admission_key, sizeof held.admission_key);
    err = cn_notice_make(&n, secret, held.octets, sizeof held.octets, &size);
    held.size = (uint16_t)size;
    if (err == CN_OK)
        *notice = held;
    else
        cn_ctl_error("%s", cn_ctl_reason(err));
    return err == CN_OK;
}

bool cn_ctl_server_tell(const struct cn_ctl_place *place, bool *running)
{
    char reply[CN_CONTROL_REPLY_SIZE_MAX];
    enum cn_err err =
        cn_ctl_ask(place->dir, CN_CONTROL_REGISTRY "0\n", "registry", reply, sizeof reply);

    *running = err == CN_OK;
    if (err == CN_OK || err == CN_E_ABSENT)
        return true;
    cn_ctl_error("the registry has it, but the running server did not confirm: %s",
                 cn_ctl_ask_reason(err, reply));
    cn_ctl_hint("look at the server's log; then do this again, or send SIGHUP to cyphernetd");
    return false;
}

static bool is_there(const struct cn_ctl_place *place, const char *name)
{
    struct stat st;

    return fstatat(place->dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

bool cn_ctl_operator_here(const struct cn_ctl_place *place)
{
    return is_there(place, CN_OPERATOR_KEY_FILE);
}

bool cn_ctl_server_elsewhere(const struct cn_ctl_place *place)
{
    return cn_ctl_operator_here(place) && is_there(place, CN_SERVER_PUBLIC_FILE);
}

void cn_ctl_told_note(const struct cn_ctl *ctl, const struct cn_ctl_place *place, bool running)
{
    if (cn_ctl_server_elsewhere(place))
        cn_ctl_note("next: cyphernetctl export-revocations -o FILE, and import it at the server");
    else if (running)
        cn_ctl_note("the running server tells each subscriber when he calls next");
    else
        cn_ctl_note("no server runs on %s: subscribers are told when one does", ctl->arguments.dir);
}
