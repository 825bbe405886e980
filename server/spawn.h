/* spawn.h - the programs under the supervisor: where they are, and starting one. */
#ifndef CN_SPAWN_H
#define CN_SPAWN_H

#include <stdbool.h>
#include <sys/types.h>

#include "err.h"

enum { CN_SPAWN_DIR_SIZE = 4096 };

enum cn_role { CN_ROLE_GATE, CN_ROLE_SWITCH, CN_ROLE_METRICS, CN_ROLE_COUNT };

/* "cyphernetd-gate", "cyphernetd-switch", "cyphernetd-metrics"; static. */
const char *cn_spawn_name(enum cn_role role);
/* The directory that has them: that of our own program, as in a build, else where they are
 * installed. False: neither has. */
bool cn_spawn_find(char dir[CN_SPAWN_DIR_SIZE]);
/* Start one, with channel as its CN_CHANNEL_FD. It does not heed the signals that are for the
 * supervisor, and ends with it. CN_E_SYSTEM: fork failed; a program that cannot be executed ends at
 * once. */
CN_MUST_USE enum cn_err cn_spawn(const char *dir, enum cn_role role, int channel, pid_t *pid);

#endif
