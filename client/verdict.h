/* verdict.h - the server's verdicts as <cyphernet.h> names them. */
#ifndef CN_VERDICT_H
#define CN_VERDICT_H

#include <cyphernet.h>

#include "admission.h"

static inline enum cn_refusal cn_refusal_of(enum cn_verdict verdict)
{
    static const enum cn_refusal refusals[CN_VERDICT_COUNT] = {
        [CN_VERDICT_EXPIRED] = CN_REFUSAL_EXPIRED,
        [CN_VERDICT_NOT_YET_VALID] = CN_REFUSAL_NOT_YET_VALID,
        [CN_VERDICT_REVOKED] = CN_REFUSAL_REVOKED,
        [CN_VERDICT_SUSPENDED] = CN_REFUSAL_SUSPENDED,
        [CN_VERDICT_OVER_LIMIT] = CN_REFUSAL_OVER_LIMIT,
        [CN_VERDICT_REPLACED] = CN_REFUSAL_REPLACED,
    };

    return refusals[verdict];
}

#endif
