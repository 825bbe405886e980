/* people.h - the two subscribers, who hold each other's cards: in each combination of kinds of keys
 * and suites that the simulator knows. */
#ifndef CN_SIM_PEOPLE_H
#define CN_SIM_PEOPLE_H

#include "../unit/calling.h"

enum people_keys { PEOPLE_X25519 = 0, PEOPLE_MIXED, PEOPLE_RSA, PEOPLE_KEYS_COUNT };
enum { PEOPLE_SUITE_COUNT = 4 };

/* Once in the life of the process. */
void people_init(void);
const struct cn_crypto *people_crypto(void);
/* Two of them; suite: from 1. Made when first asked for, and the same in every seed. */
const struct subscriber *people(enum people_keys keys, uint16_t suite);

#endif
