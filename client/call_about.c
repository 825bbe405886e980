/* call_about.c - what can be asked of a call: with whom, for what, over which server. */
#include "calling.h"

/* The one that it was joined for, or the only one; NULL: it is not known yet. */
static const struct cn_want *met(const struct cn_call *call)
{
    const struct cn_want *joined = call->met ? call->met : call->secrets->session.joined;

    if (joined && joined->service == CN_SERVICE_RESUME)
        joined = call->perhaps;
    return joined || call->wants.asked_count > 1 ? joined : call->wants.want;
}

const char *cn_call_contact(const struct cn_call *call)
{
    const struct cn_want *want = met(call);

    return want ? cn_wants_wanted(want)->contact : NULL;
}

enum cn_call_service cn_call_service(const struct cn_call *call)
{
    const struct cn_want *want = met(call);

    return want ? cn_wants_service(want) : 0;
}

size_t cn_call_wants_max(const struct cn_call *call)
{
    /* any of them may be one that takes two */
    return call->wants.count > call->wants.asked_count ? call->want_count_max / 2
                                                       : call->want_count_max;
}

const char *cn_call_suite(const struct cn_call *call)
{
    const struct cn_want *want = met(call);

    return want ? want->pair->suite->name : NULL;
}

const char *cn_call_server(const struct cn_call *call)
{
    return call->server;
}

bool cn_call_is_caller(const struct cn_call *call)
{
    const struct cn_want *want = met(call);

    return want && cn_want_calls(want);
}

bool cn_call_verified(const struct cn_call *call)
{
    const struct cn_want *want = met(call);

    return want && cn_wants_wanted(want)->verified;
}

const struct cn_admission_note *cn_call_admission_note(const struct cn_call *call)
{
    return &call->note;
}

enum cn_err cn_call_export(const struct cn_call *call, uint8_t out[32])
{
    const struct cn_item label = CN_LABEL("export");
    const struct cn_suite *suite;

    if (!call->open)
        return CN_E_UNEXPECTED;
    suite = met(call)->pair->suite;
    return cn_expand(cn_home_crypto(call->home), suite->hash, call->secrets->exporter.bytes,
                     cn_hash_size(suite->hash), &label, 1, out, 32);
}
