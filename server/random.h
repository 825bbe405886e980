/* random.h - randomness of the system, as the core wants it. */
#ifndef CN_SYSTEM_RANDOM_H
#define CN_SYSTEM_RANDOM_H

#include "env.h"

/* getrandom(2). Read-only; any thread. */
extern const struct cn_random cn_system_random;

#endif
