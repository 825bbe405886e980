#include "counts.h"

#include <assert.h>

const char *cn_gate_count_name(enum cn_gate_count count)
{
    static const char *const names[CN_GATE_COUNT_COUNT] = {
        [CN_GATE_ACCEPTED] = "accepted",
        [CN_GATE_DROPPED_PENDING] = "dropped_pending",
        [CN_GATE_DROPPED_ADDRESS] = "dropped_address",
        [CN_GATE_BAD_HELLO] = "bad_hello",
        [CN_GATE_HELLO_TIMEOUT] = "hello_timeout",
        [CN_GATE_ADMITTED] = "admitted",
        [CN_GATE_REFUSED_EXPIRED] = "refused_expired",
        [CN_GATE_REFUSED_NOT_YET_VALID] = "refused_not_yet_valid",
        [CN_GATE_REFUSED_REVOKED] = "refused_revoked",
        [CN_GATE_REFUSED_SUSPENDED] = "refused_suspended",
        [CN_GATE_REFUSED_OVER_LIMIT] = "refused_over_limit",
        [CN_GATE_BAD_MESSAGE] = "bad_message",
        [CN_GATE_REPLACED] = "replaced",
        [CN_GATE_OVERDUE] = "overdue",
        [CN_GATE_WAITED_OUT] = "waited_out",
        [CN_GATE_READY_TIMEOUT] = "ready_timeout",
        [CN_GATE_PROLOGUE_TIMEOUT] = "prologue_timeout",
        [CN_GATE_BAD_PROLOGUE] = "bad_prologue",
        [CN_GATE_LOST] = "lost",
        [CN_GATE_JOINED] = "joined",
        [CN_GATE_HANDED_OVER] = "handed_over",
        [CN_GATE_CUT] = "cut",
    };

    assert(count < CN_GATE_COUNT_COUNT);
    return names[count];
}

const char *cn_switch_outcome_name(enum cn_switch_outcome outcome)
{
    static const char *const names[CN_SWITCH_OUTCOME_COUNT] = {
        [CN_SWITCH_DONE] = "done",       [CN_SWITCH_BROKEN] = "broken", [CN_SWITCH_IDLE] = "idle",
        [CN_SWITCH_STALLED] = "stalled", [CN_SWITCH_CUT] = "cut",
    };

    assert(outcome < CN_SWITCH_OUTCOME_COUNT);
    return names[outcome];
}
