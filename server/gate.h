/* gate.h - the gate: admits lines, keeps them waiting, joins them, passes the two prologues, and
 * hands the pair to a switch worker. PROTOCOL.md 3
 *
 * It holds the server's key. Of what is said in a call it sees the prologues' sizes and nothing
 * else; from the hand-over on it knows only what the workers report. */
#ifndef CN_GATE_H
#define CN_GATE_H

#include <sys/socket.h>

#include "admission.h"
#include "blocklist.h"
#include "config.h"
#include "loop.h"
#include "noticelist.h"
#include "page.h"
#include "settings.h"
#include "who.h"

struct cn_gate;

struct cn_gate_setup {
    struct cn_loop *loop; /* borrowed, as all here, for the life of the gate */
    const struct cn_crypto *crypto;
    const struct cn_random *random;
    const struct cn_admission_server *server;
    const struct cn_config *config; /* its present values; cn_gate_configure gives new ones */
    const struct cn_who_secret *who_secret;
    const struct cn_page_map *page;         /* with lines_max owners, which the gate keeps there */
    uint32_t lines_max;                     /* what descriptors allow, at most config's */
    void (*worker_faulty)(uint32_t number); /* as cn_workers_setup has it */
};

/* CN_E_MEMORY, CN_E_RANDOM */
CN_MUST_USE enum cn_err cn_gate_create(struct cn_gate **gate, const struct cn_gate_setup *setup);
void cn_gate_destroy(struct cn_gate *gate);

/* New limits. Sizes of pools stay what they were. */
void cn_gate_configure(struct cn_gate *gate, const struct cn_config *config);
/* Who signs, and who is blocked (copied). Lines of the blocked are cut: how many; those that hear
 * are told why. Of their calls cn_gate_on_cut tells. CN_E_MEMORY: nothing has changed. */
CN_MUST_USE enum cn_err cn_gate_registry(struct cn_gate *gate, const struct cn_settings *settings,
                                         const struct cn_blocked *blocked, size_t blocked_count,
                                         uint32_t *cut);
/* What subscribers are to be told at admission (copied). CN_E_MEMORY: nothing has changed. */
CN_MUST_USE enum cn_err cn_gate_notices(struct cn_gate *gate, const struct cn_held_notice *held,
                                        size_t count, const struct cn_common_notice *common);
/* Called in the turn in which the workers have done what cn_gate_registry asked: they have cut so
 * many calls. */
void cn_gate_on_cut(struct cn_gate *gate, void (*was_cut)(void *context, uint32_t count),
                    void *context);
/* A channel to a switch worker, as cn_workers_add. */
CN_MUST_USE enum cn_err cn_gate_worker(struct cn_gate *gate, int channel, uint32_t number,
                                       bool draining);
/* Whether there is room for one line more. */
bool cn_gate_has_room(const struct cn_gate *gate);
/* A connection came; the gate owns fd, and may close it at once. */
void cn_gate_accept(struct cn_gate *gate, int fd, const struct sockaddr *address);
/* Called when a line has gone, so that accepting may resume. */
void cn_gate_on_room(struct cn_gate *gate, void (*room)(void *context), void *context);

/* Send all waiting lines away with GOAWAY, close those not admitted; joined calls go on. */
void cn_gate_goaway(struct cn_gate *gate);
/* Lines, and pairs that no worker has acknowledged. */
uint32_t cn_gate_busy(const struct cn_gate *gate);
void cn_gate_status(const struct cn_gate *gate, struct cn_gate_status *status);
/* Once each turn of the loop: what the page tells is brought up to date. */
void cn_gate_turn(struct cn_gate *gate);

#endif
