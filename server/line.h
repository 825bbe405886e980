/* line.h - a line at the gate: its life, and what is said to it. PROTOCOL.md 3
 *
 * The gate is four files: gate.c accepts lines and answers for all of them, hearing.c takes what
 * they say, joining.c puts two together and passes their prologues, and line.c is what these three
 * stand on. Nobody else includes this. */
#ifndef CN_LINE_H
#define CN_LINE_H

#include <netinet/in.h>

#include "blocklist.h"
#include "blocks.h"
#include "gate.h"
#include "owners.h"
#include "sources.h"
#include "switchboard.h"
#include "verified.h"
#include "workers.h"

enum {
    CN_LINE_OUT_SIZE = 4 * CN_ADMISSION_SIZE, /* messages that a line may be slow to take */
    CN_LINE_PROLOGUE_HEAD_SIZE = 2
};

enum cn_line_state {
    CN_LINE_FREE = 0,
    CN_LINE_HELLO,    /* nothing admitted yet */
    CN_LINE_REGISTER, /* the verdict has been sent */
    CN_LINE_WAITING,
    CN_LINE_JOINED, /* JOINED has been sent; READY is awaited */
    CN_LINE_LENGTH, /* READY came; the length of the prologue is awaited */
    CN_LINE_PROLOGUE,
    CN_LINE_HELD, /* its prologue is here; its partner's is awaited */
    CN_LINE_PASSING,
    CN_LINE_CLOSING, /* what is to be said is being said */
    CN_LINE_DEAF,    /* its hello was bad, and it is not to see when */
    CN_LINE_STATE_COUNT
};

struct cn_line {
    struct cn_watch watch; /* first: ready() gets back from it */
    struct cn_timer timer;
    struct cn_gate *gate;
    enum cn_line_state state;
    struct cn_waiter waiter;
    struct cn_admission_line keys;
    uint64_t serial;
    uint64_t who; /* who.h */
    uint64_t not_after;
    uint32_t owner;              /* CN_OWNER_NONE until registered */
    uint8_t limits_class;        /* of its certificate */
    bool counts_as_waiting;      /* in its owner */
    uint32_t tags;               /* that count in its owner */
    bool bound;                  /* JOINED was sent: it waits under entry alone from now on */
    bool wants_out;              /* epoll waits for room to write */
    struct cn_entry entry;       /* that it was joined under */
    struct cn_line *partner;     /* while joined */
    uint32_t keep_alive_s;       /* as its verdict said */
    uint64_t waits_until_ms;     /* the end of its waiting time */
    uint64_t updates_until_ms;   /* when it may have said all its UPDATEs at an even rate */
    uint64_t prologue_until_ms;  /* once JOINED */
    struct sockaddr_in6 address; /* while pending; IPv4 fits too */
    uint8_t *in;                 /* block: a message not yet whole; NULL mostly */
    size_t in_size;
    uint8_t *out; /* block: what could not be sent at once; NULL mostly */
    size_t out_begin, out_end;
    struct cn_entry *entries; /* block: of REGISTER or UPDATE with more to come; counts in owner */
    size_t entry_count;
    uint64_t entries_until_ms; /* the last part is to come by then, of an UPDATE */
    uint8_t *prologue;         /* block: length and prologue */
    size_t prologue_size;
    size_t passed; /* of the partner's prologue, sent to this line */
    struct cn_line *next, *before;
    struct cn_pending *pending;      /* among whom it is; NULL: it has registered, and stays */
    struct cn_line *later, *earlier; /* in it */
    uint64_t pending_since_ms;
};

/* What else it takes while it waits: 64 octets for each tag, 48 as an owner, 64 for its
 * certificate, 16 for its timer, and its places in tables: with four tags within 1 KiB.
 * bench/switchboard.c */
_Static_assert(sizeof(struct cn_line) <= 480, "a line that waits is small");

/* Lines that have not registered, or are leaving: who will be late first comes first. */
struct cn_pending {
    struct cn_line *first, *last;
    uint32_t count;
    uint32_t heard; /* pieces of hellos in this turn */
};

struct cn_gate {
    struct cn_gate_setup setup;
    struct cn_config config;
    struct cn_verified verified;
    struct cn_blocklist blocked;
    struct cn_noticelist notices;
    struct cn_switchboard board;
    struct cn_owners owners;
    struct cn_sources sources;
    struct cn_blocks lines;
    struct cn_blocks parts;    /* in, of lines */
    struct cn_blocks messages; /* out */
    struct cn_blocks prologues;
    struct cn_blocks entry_lists;
    struct cn_workers *workers;
    struct cn_line *first;
    struct cn_line *next_judged; /* of those gone through; moves on if it goes */
    uint64_t *count; /* [CN_GATE_COUNT_COUNT], in the page: told before what is counted is seen */
    uint32_t in_state[CN_LINE_STATE_COUNT];
    struct cn_pending pending[CN_STANDING_COUNT]; /* by that of their addresses */
    struct cn_pending leaving;                    /* had registered, and are closing */
    void (*room)(void *context);
    void *room_context;
    void (*was_cut)(void *context, uint32_t count);
    void *was_cut_context;
    uint32_t calls_cut;
    bool is_cutting;
};

static inline uint64_t cn_gate_now_ms(const struct cn_gate *gate)
{
    return gate->setup.loop->now_ms;
}

static inline struct cn_line *cn_line_of(struct cn_waiter *waiter)
{
    return (struct cn_line *)(void *)((char *)waiter - offsetof(struct cn_line, waiter));
}

/* Once registered. */
static inline struct cn_owner *cn_line_owner(struct cn_line *line)
{
    return &line->gate->owners.at[line->owner];
}

/* Between VERDICT and JOINED: it can be told why it ends, and has no partner who would be told. */
static inline bool cn_line_hears(const struct cn_line *line)
{
    return line->state == CN_LINE_REGISTER || line->state == CN_LINE_WAITING;
}

/* --- life ------------------------------------------------------------------------------------ */

/* It has not registered, and has the whole of its time. Fine if it was pending before. */
void cn_line_pending_begin(struct cn_line *line, struct cn_pending *pending);
/* The only writer of line->state. */
void cn_line_enter(struct cn_line *line, enum cn_line_state state);
void cn_line_timer_set(struct cn_line *line, uint64_t seconds);
/* It counts against its address no more, which has that standing now. Fine if it did not. */
void cn_line_pending_end(struct cn_line *line, enum cn_standing standing);
/* It counts as waiting in its owner no more; a list of entries that was not whole is given back.
 * Fine if it did not. */
void cn_line_waiting_end(struct cn_line *line);

/* After each of the next four the line is gone. A partner goes back to its queue, and may be joined
 * to another or be gone too: look at no line that was not asked for again. */
void cn_line_close(struct cn_line *line, enum cn_gate_count why);
/* The connection ended, or broke. */
void cn_line_lost(struct cn_line *line);
/* Closed without being counted. */
void cn_line_end(struct cn_line *line);
/* Everything but the descriptor, which the switch has, and the partner. */
void cn_line_forget(struct cn_line *line);

/* With log_addresses: what became of a connection. */
void cn_line_log_address(const struct cn_gate *gate, enum cn_gate_count why,
                         const struct sockaddr *address);

/* --- saying ---------------------------------------------------------------------------------- */

/* Whether it is listened to in its state; whether what it says is thrown away. */
bool cn_line_reads(const struct cn_line *line);
bool cn_line_discards(const struct cn_line *line);
void cn_line_watch(struct cn_line *line, bool in, bool out);
/* Send what waits to be sent. False: the connection is broken. EAGAIN, EINTR: later. */
CN_MUST_USE bool cn_line_flush(struct cn_line *line);
/* Send these octets, or keep what does not go at once. False: no room, or broken. */
CN_MUST_USE bool cn_line_say_octets(struct cn_line *line, const uint8_t *octets, size_t size);
CN_MUST_USE bool cn_line_say(struct cn_line *line, const struct cn_admission_message *message);
/* Nothing more is listened to; what was said gets its time to go out. */
void cn_line_close_gently(struct cn_line *line, enum cn_gate_count why);
/* Say REFUSED, or GOAWAY, and close gently, to a line that hears. It may be gone. */
void cn_line_refuse(struct cn_line *line, enum cn_verdict reason);
void cn_line_send_away(struct cn_line *line, uint32_t spread_s, enum cn_gate_count why);
enum cn_gate_count cn_line_refusal_count(enum cn_verdict reason);

#endif
