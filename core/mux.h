/* mux.h - the streams of one call, as frames in records. PROTOCOL.md 6.2 to 6.5
 *
 * Pure: plaintext of records in, plaintext of records out; time and memory are given. Outlives the
 * connection that carries it, since offsets do. */
#ifndef CN_MUX_H
#define CN_MUX_H

#include "crypto.h"
#include "flight.h"
#include "handshake.h"
#include "record.h"
#include "stream.h"

enum {
    CN_MUX_PIECE_COUNT_MAX = 16,
    CN_MUX_SCRATCH_SIZE = 8192,
    CN_MUX_STREAM_COUNT_MAX = 1024,                      /* that the partner may have open */
    CN_MUX_HELD_COUNT_MAX = 4 * CN_MUX_STREAM_COUNT_MAX, /* with those that are over, of both */
    CN_MUX_BUCKET_COUNT = CN_MUX_STREAM_COUNT_MAX,
    CN_MUX_WINDOW_SIZE = 16 * 1024,            /* octets: every stream's own, whatever others do */
    CN_MUX_WINDOW_SIZE_MAX = 16 * 1024 * 1024, /* as tuned */
    CN_MUX_EXTRA_SIZE_MAX = 32 * 1024 * 1024,  /* that all windows are larger together */
    CN_MUX_UNSENT_SIZE_MAX = 2 * CN_CHUNK_SIZE_MAX, /* written but not yet sent, on one stream */
    /* Memory for what has arrived: what all windows allow, and half as much for pieces of memory
     * that are not full. And for what is to be acknowledged. */
    CN_MUX_UNREAD_SIZE_MAX =
        2 * CN_MUX_STREAM_COUNT_MAX * CN_MUX_WINDOW_SIZE + CN_MUX_EXTRA_SIZE_MAX,
    CN_MUX_RX_SIZE_MAX = CN_MUX_UNREAD_SIZE_MAX + CN_MUX_UNREAD_SIZE_MAX / 2,
    CN_MUX_TX_RESERVE_SIZE = 2 * CN_MUX_STREAM_COUNT_MAX * CN_CHUNK_SIZE_MIN,
    CN_MUX_TX_SIZE_MAX = 64 * 1024 * 1024 + CN_MUX_TX_RESERVE_SIZE,
    CN_MUX_MEMORY_DELAY_MS = 1000,
    CN_MUX_RECEIVED_DELAY_MS = 10,
    CN_MUX_PING_MS = 15000,
    CN_MUX_UNACKNOWLEDGED_MS = 1000, /* before a PING asks whether the partner is there */
    CN_MUX_PATIENCE_MS = 8000, /* two PINGs without PONG or anything else for so long: the line is
                                * dead, if another one can be had */
    CN_MUX_PATIENCE_MS_MAX = 120000 /* if not, or if others were not better */
};

/* On a connection that is not the call's first the ends say first how far they are. */
enum cn_mux_resume {
    CN_MUX_TALKING = 0,
    CN_MUX_NAMING, /* we say how far our streams are */
    CN_MUX_NAMED   /* that is said; the partner's is awaited */
};

struct cn_mux {
    struct cn_pool rx_pool; /* what we write takes no memory from what arrives */
    struct cn_pool tx_pool;
    const struct cn_memory *memory; /* borrowed */
    enum cn_role role;
    struct cn_call_limits theirs; /* what they allow us */
    struct cn_list all;           /* streams, in the order in which they were opened */
    struct cn_list control;       /* of which something is due that is not data */
    struct cn_list news;          /* of which an acknowledgement waits for its time */
    struct cn_list eventful;      /* of which there is something to be told */
    struct cn_list starved;       /* that found no room to write */
    struct cn_list leaving;       /* with which both sides are done, and that are released */
    struct cn_list naming;        /* of which is to be said how far they are */
    struct cn_list unheard; /* that we have given up, or said DURABLE of, until the partner knows */
    struct cn_schedule schedule; /* that have data */
    struct cn_flight flight;
    uint64_t rx_extra;         /* sum of all streams' */
    uint64_t *rx_extra_shared; /* borrowed: sum of several calls', which the limit is for then */
    struct cn_stream *by_id[CN_MUX_BUCKET_COUNT]; /* all, by id modulo the count */
    struct cn_stream *borrower;                   /* whose octets lie in the record in hand */
    uint32_t my_count; /* open streams, mine and the partner's, as PROTOCOL.md 6.3 counts */
    uint32_t their_count;
    uint32_t held_count;    /* in the list, with those that are over and not yet released */
    uint32_t next_id;       /* of mine */
    uint32_t their_next_id; /* ids below it have been used */
    uint64_t now_ms;        /* of the last input or output */

    uint64_t memory_due_ms;   /* when to ask for memory again, of which there was none; 0: never */
    uint64_t received_due_ms; /* when the acknowledgements of news are due; 0: there are none */

    uint64_t ping_due_ms;
    uint64_t ping_sent_ms;
    uint64_t ping_token;
    uint64_t ping_first_ms; /* since then one, or two, are out */
    bool ping_out;
    bool pong_due;
    uint64_t pong_token;
    uint64_t heard_ms;    /* of the last record */
    uint64_t patience_ms; /* CN_MUX_PATIENCE_MS_MAX at first; the owner's to set */
    bool moved;           /* something of a stream has come on this connection */
    uint64_t rtt_ms;      /* smallest so far; UINT64_MAX: unknown */

    enum cn_mux_resume resume;
    bool resume_heard; /* the partner has said all that it says first */

    bool finish_wanted; /* the program has dealt with everything */
    bool close_wanted;  /* a code to send at once */
    uint32_t close_code;
    bool close_sent;
    uint64_t close_sent_ms;
    bool close_received;
    uint32_t close_received_code;
};

/* A record to be sealed: pieces point into scratch and the streams, until the next use of the mux.
 */
struct cn_mux_record {
    struct cn_piece piece[CN_MUX_PIECE_COUNT_MAX];
    size_t piece_count;
    size_t wire_size;
    uint8_t scratch[CN_MUX_SCRATCH_SIZE];
};

/* memory is borrowed for the life of the mux. */
void cn_mux_init(struct cn_mux *mux, const struct cn_memory *memory, enum cn_role role);
void cn_mux_wipe(struct cn_mux *mux);
/* Several calls shall grow their windows together no further than one may: *sum is theirs, begins
 * with 0, and is borrowed until it is taken back with NULL or the mux is wiped. */
void cn_mux_share_extra(struct cn_mux *mux, uint64_t *sum);
/* Before the first stream: another role than at init, when it was not known with whom the call is.
 */
void cn_mux_set_role(struct cn_mux *mux, enum cn_role role);
/* What we tell the partner in F2, but for how long the call is to go on. */
struct cn_call_limits cn_mux_limits(void);
/* The handshake is done: what the partner told us. */
void cn_mux_begin(struct cn_mux *mux, const struct cn_call_limits *theirs, uint64_t now_ms);

/* The handshake on another connection is done; nothing is borrowed. */
void cn_mux_resume(struct cn_mux *mux, uint64_t now_ms);

/* As cn_stream_open of <cyphernet.h>. */
CN_MUST_USE enum cn_err cn_mux_open(struct cn_mux *mux, uint8_t kind, const void *parameters,
                                    size_t parameters_size, struct cn_stream **stream);

/* Take the plaintext of one record. Octets of the last DATA frame may stay where they are: plain
 * must live until cn_mux_settle. CN_E_FORMAT, CN_E_UNEXPECTED, CN_E_LIMIT, CN_E_MEMORY: the
 * connection is over. */
CN_MUST_USE enum cn_err cn_mux_input(struct cn_mux *mux, const uint8_t *plain, size_t size,
                                     uint64_t now_ms);
/* Copy what is still borrowed. Before plain goes away. CN_E_MEMORY. */
CN_MUST_USE enum cn_err cn_mux_settle(struct cn_mux *mux);

/* The next record; false: nothing to send now. What it says counts as sent. */
CN_MUST_USE bool cn_mux_output(struct cn_mux *mux, uint64_t now_ms, struct cn_mux_record *record);
/* The same while the line takes nothing else: PING, if it is due. */
CN_MUST_USE bool cn_mux_output_ping(struct cn_mux *mux, uint64_t now_ms,
                                    struct cn_mux_record *record);
/* Whether the partner has said nothing for too long; and when that will be so. */
uint64_t cn_mux_dead_ms(const struct cn_mux *mux);
bool cn_mux_is_dead(const struct cn_mux *mux, uint64_t now_ms);
/* When the partner, who is asked whether it is there, will not have said anything for so long;
 * UINT64_MAX: it is not asked. */
uint64_t cn_mux_quiet_ms(const struct cn_mux *mux, uint64_t for_ms);
/* When a PING is due; UINT64_MAX: when something else has happened. */
uint64_t cn_mux_ping_ms(const struct cn_mux *mux);
/* When it will have something to send or be dead by itself; UINT64_MAX: never. */
uint64_t cn_mux_deadline_ms(const struct cn_mux *mux);

/* Whether there may be an event. */
bool cn_mux_has_event(const struct cn_mux *mux);
/* An event of a stream; false: none. */
CN_MUST_USE bool cn_mux_next_event(struct cn_mux *mux, struct cn_stream **stream,
                                   enum cn_event_type *type);

void cn_mux_finish(struct cn_mux *mux);
void cn_mux_close(struct cn_mux *mux, uint32_t code);
/* Both ends have said CLOSE with code 0 and ours is in a record. */
bool cn_mux_is_closed(const struct cn_mux *mux);

/* What windows have grown by, of this call or of all that share the memory for it. */
uint64_t cn_mux_extra(const struct cn_mux *mux);

/* For stream.c: what has happened to a stream. */
void cn_mux_extra_change(struct cn_mux *mux, uint64_t from, uint64_t to);
void cn_mux_control(struct cn_mux *mux, struct cn_stream *stream);
void cn_mux_received_due(struct cn_mux *mux, struct cn_stream *stream, bool at_once);
void cn_mux_sendable(struct cn_mux *mux, struct cn_stream *stream);
void cn_mux_eventful(struct cn_mux *mux, struct cn_stream *stream);
void cn_mux_starved(struct cn_mux *mux, struct cn_stream *stream);
/* Whether it is time to ask for memory again, of which there was none. */
void cn_mux_look_memory(struct cn_mux *mux);
void cn_mux_over(struct cn_mux *mux, const struct cn_stream *stream);
void cn_mux_leaving(struct cn_mux *mux, struct cn_stream *stream);
/* NULL: there is none of that number. */
struct cn_stream *cn_mux_find(struct cn_mux *mux, uint32_t id);
/* Whether the partner numbers streams so. */
bool cn_mux_is_theirs(const struct cn_mux *mux, uint32_t id);
/* For mux.c and mux_output.c, of mux_resume.c: the bodies of RESUME, of a stream and at the end;
 * their size. And to take them: CN_E_FORMAT, CN_E_UNEXPECTED. */
size_t cn_mux_resume_name(struct cn_stream *stream, uint8_t out[CN_FRAME_RESUME_SIZE]);
size_t cn_mux_resume_end(const struct cn_mux *mux, uint8_t out[CN_FRAME_RESUME_SIZE]);
CN_MUST_USE enum cn_err cn_mux_resume_take(struct cn_mux *mux, const struct cn_frame *frame);
CN_MUST_USE enum cn_err cn_mux_resume_take_end(struct cn_mux *mux, const struct cn_frame *frame);
/* For mux_output.c: take those that are leaving away. */
void cn_mux_sweep(struct cn_mux *mux);

#endif
