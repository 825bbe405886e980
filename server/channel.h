/* channel.h - what the server's processes say to each other: whole messages with descriptors.
 *
 *   supervisor to all     START, PING; and back PING
 *   supervisor to gate    LISTEN, WORKER, STATE, RETIRE, END
 *   gate to supervisor    READY or FAILED, STATE, RETIRED, FAULTY; and back WORKER
 *   supervisor to worker  GATE, LIMITS, RATES, DRAIN, END; and back GATE
 *   gate to worker        JOIN, CUT
 *   supervisor to metrics SUMS; and back SUMS
 *   worker to gate        JOINED or REFUSED, CUT; of its own accord PAIR, TOLD, ENDED
 *
 * A gate may be older or younger than a worker, by an upgrade; but no program takes over whose
 * version is another (upgrade.h). Whoever reads a message of another version hangs up. */
#ifndef CN_CHANNEL_H
#define CN_CHANNEL_H

#include <stdint.h>

#include "counts.h"
#include "err.h"
#include "switch.h"

enum {
    CN_CHANNEL_VERSION = 4,
    CN_CHANNEL_FD = 3, /* a child's channel to the supervisor */
    CN_CHANNEL_FDS_MAX = 3,
    CN_CHANNEL_ANSWER_MS = 5000, /* a worker that owes a gate an answer for so long is stuck */
    CN_CHANNEL_GATES_MAX = 16,   /* that a worker hears */
    CN_CHANNEL_RATES = 16        /* in a message */
};

enum cn_message_type {
    CN_MESSAGE_START = 1, /* sizes, limits; page, and for a gate its key and state, or a socket */
    CN_MESSAGE_LISTEN,    /* a listening socket */
    CN_MESSAGE_WORKER,    /* a channel to the worker of pid number; draining: joins nobody any more;
                             back: it did not arrive, once more */
    CN_MESSAGE_STATE,     /* another state; back: it is in force, count lines were cut */
    CN_MESSAGE_RETIRE,    /* accept no more, send all away, finish what is being joined */
    CN_MESSAGE_RETIRED,   /* that has been done; it goes on cutting calls until it is to end */
    CN_MESSAGE_READY,
    CN_MESSAGE_FAILED, /* err, and errno as number */
    CN_MESSAGE_GATE, /* a channel to the gate that hears of all pairs from now on; back: it did not
                        arrive, once more */
    CN_MESSAGE_LIMITS,
    CN_MESSAGE_RATES,   /* of the limits classes from number on */
    CN_MESSAGE_DRAIN,   /* end when nothing is left */
    CN_MESSAGE_END,     /* cut all, end */
    CN_MESSAGE_JOIN,    /* two connected sockets */
    CN_MESSAGE_JOINED,  /* ticket of the JOIN, pair from now on */
    CN_MESSAGE_REFUSED, /* ticket */
    CN_MESSAGE_CUT,     /* every pair of party[0].who; back: count */
    CN_MESSAGE_PAIR,    /* there is this pair, which this gate did not hand over */
    CN_MESSAGE_TOLD,    /* all that there were when the gate came have been named */
    CN_MESSAGE_ENDED,   /* pair, bytes, outcome */
    CN_MESSAGE_SUMS,    /* write the sums; back: they are written */
    CN_MESSAGE_FAULTY,  /* the worker of pid number does not answer, or lies: it is to be ended */
    CN_MESSAGE_PING,    /* at once back the same */
    CN_MESSAGE_COUNT
};

/* One end of a pair. */
struct cn_party {
    uint64_t who; /* owners.h */
    uint64_t serial;
    uint8_t limits_class;
    uint8_t unused[7];
};

struct cn_message {
    uint16_t version; /* set by cn_channel_send */
    uint16_t type;
    uint32_t number;
    uint32_t ticket;
    uint32_t pair;
    uint32_t count;
    uint32_t outcome;
    uint32_t log_level;
    uint32_t log_style;
    uint32_t draining;
    struct cn_party party[2];
    uint64_t bytes[2];
    struct cn_switch_limits limits;
    uint64_t rate[CN_CHANNEL_RATES];
};

/* Two ends of one, that do not block and are closed on exec. CN_E_SYSTEM. */
CN_MUST_USE enum cn_err cn_channel_make(int fd[2]);
/* The message, with copies of fd_count descriptors. CN_E_MORE: there is no room now, EPOLLOUT tells
 * when; CN_E_HUNG_UP: nobody is there; CN_E_SYSTEM. */
CN_MUST_USE enum cn_err cn_channel_send(int channel, const struct cn_message *message,
                                        const int *fds, size_t fd_count);
/* The next message, and its descriptors, which are the caller's: *fd_count, fewer than were sent if
 * there is no room for them. CN_E_MORE: none yet; CN_E_HUNG_UP: nobody is there, or what he says is
 * no message of ours; CN_E_SYSTEM. */
CN_MUST_USE enum cn_err cn_channel_receive(int channel, struct cn_message *message,
                                           int fds[CN_CHANNEL_FDS_MAX], size_t *fd_count);
void cn_channel_close_fds(const int *fds, size_t count);

#endif
