/* state.h - what the supervisor has read for the gate: limits, whose signatures count, who is
 * blocked, what is to be told. It goes over as a sealed file in memory, which cannot change while
 * it is read. */
#ifndef CN_STATE_H
#define CN_STATE_H

#include "blocklist.h"
#include "config.h"
#include "noticelist.h"
#include "settings.h"
#include "who.h"

/* All of it; borrowed. */
struct cn_state_parts {
    const struct cn_config *config;
    const struct cn_settings *settings;
    const struct cn_who_secret *who_secret;
    const struct cn_blocked *blocked;
    size_t blocked_count;
    const struct cn_held_notice *held;
    size_t held_count;
    const struct cn_common_notice *common;
};

enum { CN_STATE_VERSION = 1 };

struct cn_state {
    uint32_t version; /* set by cn_state_make */
    struct cn_config config;
    struct cn_settings settings;
    struct cn_who_secret who_secret;
    struct cn_common_notice common;
    uint64_t blocked_count;
    uint64_t held_count;
    struct cn_blocked blocked[]; /* then the notices that are held: cn_state_held */
};

static inline const struct cn_held_notice *cn_state_held(const struct cn_state *state)
{
    return (const struct cn_held_notice *)(const void *)(state->blocked + state->blocked_count);
}

/* *fd is the caller's. CN_E_SYSTEM. */
CN_MUST_USE enum cn_err cn_state_make(int *fd, const struct cn_state_parts *parts);
/* Mapped, to be given back. NULL: it is none, or of another program. */
const struct cn_state *cn_state_map(int fd);
void cn_state_unmap(const struct cn_state *state);

#endif
