/* bugs.h - bugs that are put into the code under test, to see whether the oracle sees them. */
#ifndef CN_SIM_BUGS_H
#define CN_SIM_BUGS_H

#include "sim.h"

/* In a word, and in a few; static. */
const char *bugs_name(enum sim_bug bug);
const char *bugs_about(enum sim_bug bug);
bool bugs_find(const char *name, enum sim_bug *bug);

#endif
