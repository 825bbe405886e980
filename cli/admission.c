/* admission.c - what the subscriber should know of his admission. */
#include "dial.h"

#include <string.h>
#include <time.h>

enum { DAY_S = 86400, WARN_DAYS = 14 };

void cn_date_text(uint64_t utc_s, char out[CN_SPAN_TEXT_SIZE])
{
    time_t when = (time_t)utc_s;
    struct tm tm;

    if (!gmtime_r(&when, &tm) || strftime(out, CN_SPAN_TEXT_SIZE, "%Y-%m-%d", &tm) == 0)
        snprintf(out, CN_SPAN_TEXT_SIZE, "%llu", (unsigned long long)utc_s);
}

/* What of his admission is another now. */
static void tell_changes(struct cn_cli *cli, const struct cn_admission_note *note)
{
    struct cn_admission_info info;
    char until[CN_SPAN_TEXT_SIZE];

    cn_date_text(note->not_after, until);
    if (note->notices & CN_NOTICE_RENEWED)
        cn_say(cli, "the operator has renewed your fingerprint, until %s", until);
    if (note->notices & CN_NOTICE_MOVED && !note->notices_unstored &&
        cn_home_admission(cli->home, &info) == CN_OK)
        cn_say(cli, "the server has moved: your next call goes to %s", info.address[0]);
    if (note->notices & CN_NOTICE_REKEYED)
        cn_say(cli, "the server has another key from now on; your contacts stay as they are");
}

void cn_tell_notices(struct cn_cli *cli, const struct cn_dial *dial)
{
    const struct cn_admission_note *note = cn_call_admission_note(dial->call);
    const struct cn_detail *detail = cn_home_detail(cli->home);
    char extra[160];

    if (note->notices_unstored)
        cn_warn("what the operator has changed of your fingerprint cannot be stored: %s: %s",
                detail->about,
                detail->system_error ? strerror(detail->system_error)
                                     : cn_err_text(note->notice_err));
    else if (note->notice_err == CN_E_VERSION)
        cn_warn("the operator sends a notice that this version does not understand: update it");
    else if (note->notice_err != CN_OK)
        cn_warn("the server sends a notice that is not from its operator, or not for you: it has "
                "changed nothing; tell the operator");
    tell_changes(cli, note);
    snprintf(extra, sizeof extra,
             ",\"renewed\":%s,\"moved\":%s,\"rekeyed\":%s,\"not_after\":%llu,\"stored\":%s,"
             "\"refused\":%s",
             note->notices & CN_NOTICE_RENEWED ? "true" : "false",
             note->notices & CN_NOTICE_MOVED ? "true" : "false",
             note->notices & CN_NOTICE_REKEYED ? "true" : "false",
             (unsigned long long)note->not_after, note->notices_unstored ? "false" : "true",
             note->notice_err != CN_OK && !note->notices_unstored ? "true" : "false");
    cn_dial_event(cli, dial, "notice", extra);
}

void cn_tell_expiry(struct cn_cli *cli)
{
    struct cn_admission_info info;
    uint64_t now = (uint64_t)time(NULL);
    char left[CN_SPAN_TEXT_SIZE];

    if (cli->told_expiry++ || cn_home_admission(cli->home, &info) != CN_OK)
        return;
    if (info.not_after <= now) {
        cn_warn(
            "your fingerprint expired; unless the operator has renewed it, and the server tells so "
            "when you call, ask him to");
    } else if (info.not_after - now <= (uint64_t)WARN_DAYS * DAY_S) {
        cn_span_text((int64_t)(info.not_after - now), left);
        cn_warn("your fingerprint expires in %s; ask the server's operator to renew it", left);
    }
}
