/* stream.h - one stream of octets each way inside a call. PROTOCOL.md 6.3
 *
 * What a program does with a stream (reserve, commit, peek, consume, finish, reset ...) is declared
 * in <cyphernet.h>, cn_stream_*; here is what the mux does. Offsets count octets from the start of
 * the stream; they outlive a connection. */
#ifndef CN_STREAM_H
#define CN_STREAM_H

#include <cyphernet.h>

#include "buffer.h"
#include "frame.h"
#include "list.h"
#include "schedule.h"

struct cn_mux;

struct cn_stream {
    struct cn_mux *mux; /* borrowed */
    struct cn_stream *next_by_id;
    struct cn_link in_all; /* in the mux's lists of these names */
    struct cn_link in_control;
    struct cn_link in_news;
    struct cn_link in_eventful;
    struct cn_link in_starved;
    struct cn_link in_leaving;
    struct cn_link in_naming;
    struct cn_link in_unheard;
    struct cn_turn turn; /* in its schedule */
    uint32_t id;
    uint8_t kind;
    bool mine; /* opened by us */
    bool open_due;
    void *user;
    uint8_t *parameters; /* owned; NULL when there are none */
    size_t parameters_size;
    unsigned events; /* a set of 1 << enum cn_event_type, to be told */

    struct cn_buffer tx; /* begin: received by the partner; end: written */
    uint64_t tx_sent;    /* below it, sent on this connection */
    uint64_t tx_limit;   /* below it, may be sent */
    uint64_t tx_durable; /* below it, on the partner's disk */
    bool tx_finished;    /* tx.end is final */
    bool tx_fin_sent;
    bool tx_fin_received;
    uint64_t tx_unsent_max; /* that may wait to be sent; 0: as ever */
    uint64_t tx_was_sent;   /* below it, sent on an earlier connection */
    bool tx_fin_was_sent;
    size_t
        tx_bulk_size; /* on the wire, of the largest record for bulk that its data filled; or 0 */

    struct cn_buffer rx;     /* begin: consumed; end: arrived, but for what is borrowed */
    const uint8_t *borrowed; /* after rx.end, still in the record that it came in */
    size_t borrowed_size;
    uint64_t rx_received;  /* what the last RECEIVED said */
    uint64_t rx_limit;     /* what the last WINDOW said */
    uint64_t rx_window;    /* octets that we are willing to hold */
    uint64_t rx_extra;     /* of what may come unread, what is beyond everybody's share */
    uint64_t rx_window_at; /* what was consumed at the last WINDOW, and when: for tuning */
    uint64_t rx_window_at_ms;
    uint64_t rx_final; /* once rx_ended */
    uint64_t rx_durable;
    bool rx_ended; /* FIN came */
    bool rx_durable_due;

    bool reset_due;
    bool reset; /* by either side */
    uint32_t reset_code;
    bool unheard; /* that we have given it up, or what DURABLE said: the partner may not know */
    uint64_t unheard_token; /* a PONG to this PING, or a later one, shows that it does */
    bool named;             /* the partner has said how far it is, on this connection */
    bool over;              /* reset, or finished and acknowledged both ways: it counts no more */
    bool released;          /* the program has forgotten it */
};

/* Octets that are sendable now. */
uint64_t cn_stream_sendable(const struct cn_stream *stream);
/* What RECEIVED says: the next expected octet, or once the program has read all, the end counted as
 * one. */
uint64_t cn_stream_expected(const struct cn_stream *stream);
/* So much has come since we last said so, or all has been read, that it is to be said at once. */
bool cn_stream_received_due(const struct cn_stream *stream);
/* All is sent but the end. */
bool cn_stream_fin_due(const struct cn_stream *stream);
/* A quarter of the window has been consumed since we last said so. */
bool cn_stream_window_due(const struct cn_stream *stream);
/* As much as its window, and the memory of the call, allow: the next WINDOW says rx_limit. */
void cn_stream_widen(struct cn_stream *stream);
/* Tell WRITABLE if it found no room and there is some now. */
void cn_stream_tell_writable(struct cn_stream *stream);
/* Its partner has said RESET, or says of a stream of ours that it has given up. */
void cn_stream_take_reset(struct cn_stream *stream, uint32_t code);
/* The partner knows that we have given it up, or how much is durable. */
void cn_stream_heard(struct cn_stream *stream);
/* What the partner has, and takes, may be more than we knew. */
void cn_stream_moved(struct cn_stream *stream);
/* To be called whenever it may have become over, or done. */
void cn_stream_look_over(struct cn_stream *stream);
/* The partner will say nothing more about it: unless it is over, that is a reset. */
void cn_stream_lose(struct cn_stream *stream);
/* True when nothing is left to be said about it in either direction. */
bool cn_stream_done(const struct cn_stream *stream);
/* Move what is borrowed into rx. CN_E_MEMORY. */
CN_MUST_USE enum cn_err cn_stream_settle(struct cn_stream *stream);
void cn_stream_drop(struct cn_stream *stream);

/* No more than about so many octets may be written and not sent: what comes later is not to wait
 * behind them. WRITABLE tells when there is room again. */
void cn_stream_hold_little(struct cn_stream *stream, uint64_t most);

/* A frame of this stream came. CN_E_FORMAT, CN_E_LIMIT, CN_E_MEMORY end the connection. */
CN_MUST_USE enum cn_err cn_stream_take(struct cn_stream *stream, const struct cn_frame *frame);

#endif
