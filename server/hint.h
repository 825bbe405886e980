/* hint.h - what a failure means and what to do about it, in the same words from both programs. All
 * texts are static. */
#ifndef CN_HINT_H
#define CN_HINT_H

#include "err.h"

/* What to do about an errno; NULL: we do not know. */
const char *cn_hint_system(int number);

/* Why the registry cannot be had. number is errno, for CN_E_SYSTEM. */
const char *cn_hint_registry_reason(enum cn_err err, int number);
/* And what to do; NULL: we do not know. */
const char *cn_hint_registry(enum cn_err err, int number);

#endif
