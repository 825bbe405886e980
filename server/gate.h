/* gate.h - the gate: admits lines, keeps them waiting, joins them, passes the two prologues, and
 * hands the pair to the switch. PROTOCOL.md 3
 *
 * It holds the server's key. Of what is said in a call it sees the prologues' sizes and nothing
 * else; from the hand-over on it knows only what the switch reports. */
#ifndef CN_GATE_H
#define CN_GATE_H

#include <sys/socket.h>

#include "admission.h"
#include "blocklist.h"
#include "config.h"
#include "loop.h"
#include "noticelist.h"
#include "settings.h"
#include "switch.h"

struct cn_gate;

struct cn_gate_setup {
    struct cn_loop *loop; /* borrowed, as all here, for the life of the gate */
    const struct cn_crypto *crypto;
    const struct cn_random *random;
    const struct cn_admission_server *server;
    const struct cn_config *config; /* its present values; cn_gate_configure gives new ones */
    uint32_t lines_max;             /* what descriptors allow, at most config's */
};

/* Why lines ended, or were never admitted. */
enum cn_gate_count {
    CN_GATE_ACCEPTED = 0,
    CN_GATE_DROPPED_PENDING, /* too many not yet admitted */
    CN_GATE_DROPPED_ADDRESS, /* too many of one address */
    CN_GATE_BAD_HELLO,
    CN_GATE_HELLO_TIMEOUT,
    CN_GATE_ADMITTED,
    CN_GATE_REFUSED_EXPIRED,
    CN_GATE_REFUSED_NOT_YET_VALID,
    CN_GATE_REFUSED_REVOKED,
    CN_GATE_REFUSED_SUSPENDED,
    CN_GATE_REFUSED_OVER_LIMIT,
    CN_GATE_BAD_MESSAGE,
    CN_GATE_REPLACED,
    CN_GATE_OVERDUE,
    CN_GATE_WAITED_OUT,
    CN_GATE_READY_TIMEOUT,
    CN_GATE_PROLOGUE_TIMEOUT,
    CN_GATE_BAD_PROLOGUE,
    CN_GATE_LOST, /* the connection ended by itself */
    CN_GATE_JOINED,
    CN_GATE_HANDED_OVER,
    CN_GATE_CUT,
    CN_GATE_COUNT_COUNT
};

struct cn_gate_status {
    uint64_t count[CN_GATE_COUNT_COUNT];
    uint32_t lines; /* at the gate */
    uint32_t pending;
    uint32_t waiting;
    uint32_t joining;
    struct cn_switch_counts calls;
};

/* "accepted", "refused_expired", ...; static. */
const char *cn_gate_count_name(enum cn_gate_count count);

/* CN_E_MEMORY, CN_E_RANDOM */
CN_MUST_USE enum cn_err cn_gate_create(struct cn_gate **gate, const struct cn_gate_setup *setup);
void cn_gate_destroy(struct cn_gate *gate);

/* New limits. Sizes of pools stay what they were. */
void cn_gate_configure(struct cn_gate *gate, const struct cn_config *config);
/* Who signs, and who is blocked (copied). Lines of the blocked are cut, joined ones too: how many;
 * those that hear are told why. CN_E_MEMORY: nothing has changed. */
CN_MUST_USE enum cn_err cn_gate_registry(struct cn_gate *gate, const struct cn_settings *settings,
                                         const struct cn_blocked *blocked, size_t blocked_count,
                                         uint32_t *cut);
/* What subscribers are to be told at admission (copied). CN_E_MEMORY: nothing has changed. */
CN_MUST_USE enum cn_err cn_gate_notices(struct cn_gate *gate, const struct cn_held_notice *held,
                                        size_t count, const struct cn_common_notice *common);
/* Whether the holder of this certificate is blocked, as far as the gate knows. */
bool cn_gate_blocks(const struct cn_gate *gate, uint64_t serial);

/* Whether there is room for one line more. */
bool cn_gate_has_room(const struct cn_gate *gate);
/* A connection came; the gate owns fd, and may close it at once. */
void cn_gate_accept(struct cn_gate *gate, int fd, const struct sockaddr *address);
/* Called when a line has gone, so that accepting may resume. */
void cn_gate_on_room(struct cn_gate *gate, void (*room)(void *context), void *context);

/* Send all waiting lines away with GOAWAY, close those not admitted; joined calls go on. */
void cn_gate_goaway(struct cn_gate *gate);
/* Joined calls, and lines being joined. */
uint32_t cn_gate_busy(const struct cn_gate *gate);
void cn_gate_status(const struct cn_gate *gate, struct cn_gate_status *status);
/* Subscribers with a line, for status: *number starts at 0; false: no more. bytes: that it sent in
 * calls which have ended, since it first had a line. */
bool cn_gate_next_owner(const struct cn_gate *gate, uint32_t *number, uint64_t *serial,
                        uint32_t *waiting, uint32_t *joined, uint64_t *bytes);
/* Once each turn of the loop; true: come back at once. */
bool cn_gate_turn(struct cn_gate *gate);

#endif
