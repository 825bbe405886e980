/* admission.c - what the subscriber should know of his admission. */
#include "dial.h"

#include <time.h>

enum { DAY_S = 86400, WARN_DAYS = 14 };

void cn_tell_expiry(struct cn_cli *cli)
{
    struct cn_admission_info info;
    uint64_t now = (uint64_t)time(NULL);
    char left[CN_SPAN_TEXT_SIZE];

    if (cli->told_expiry++ || cn_home_admission(cli->home, &info) != CN_OK)
        return;
    if (info.not_after <= now) {
        cn_warn("your fingerprint expired; ask the server's operator to renew it");
    } else if (info.not_after - now <= (uint64_t)WARN_DAYS * DAY_S) {
        cn_span_text((int64_t)(info.not_after - now), left);
        cn_warn("your fingerprint expires in %s; ask the server's operator to renew it", left);
    }
}
