/* mux_check.h - what always holds of the streams of a call, whoever drives them. */
#ifndef CN_TEST_MUX_CHECK_H
#define CN_TEST_MUX_CHECK_H

#include "mux.h"

/* What is due is in a list. */
static inline const char *stream_wrong_lists(const struct cn_mux *mux, const struct cn_stream *s)
{
    const bool control = cn_list_has(&s->in_control);
    const bool news = cn_list_has(&s->in_news);

    if ((s->open_due || s->reset_due || s->rx_durable_due) && !control)
        return "OPEN, RESET or DURABLE is due, and forgotten";
    if (cn_stream_window_due(s) && !control)
        return "WINDOW is due, and forgotten";
    if (!s->reset && cn_stream_expected(s) != s->rx_received && !control && !news &&
        !(s->rx_ended && s->rx.begin < s->rx_final))
        return "RECEIVED will be due, and is forgotten";
    if (cn_stream_received_due(s) && !s->reset && !control)
        return "RECEIVED is due, and forgotten";
    if (news && mux->received_due_ms == 0)
        return "RECEIVED waits for no time";
    if (!s->open_due && (cn_stream_sendable(s) > 0 || cn_stream_fin_due(s)) &&
        !cn_list_has(&s->turn.link))
        return "octets could be sent, and have no turn";
    return NULL;
}

static inline const char *stream_wrong(const struct cn_stream *s)
{
    if (s->reset && (!s->over || cn_buffer_size(&s->rx) > 0 || s->tx.first ||
                     cn_list_has(&s->turn.link) || s->rx_extra > 0))
        return "a stream that was reset holds something";
    if (s->rx.begin > s->rx.end || s->rx.end + s->borrowed_size > s->rx_limit)
        return "more came than the window allows";
    if (!s->reset && s->rx_limit - s->rx.begin > CN_MUX_WINDOW_SIZE_MAX)
        return "the window is larger than any may be";
    if (s->tx.begin > s->tx_sent || s->tx_sent > s->tx.end || s->tx_sent > s->tx_limit)
        return "more was sent than the window allows";
    if (s->released != (s->user == NULL) && !cn_list_has(&s->in_eventful))
        return "a stream that was released is not forgotten";
    return NULL;
}

/* NULL, or what is wrong. is_cut: no connection carries it now. */
static inline const char *mux_wrong(const struct cn_mux *mux, bool is_cut)
{
    uint64_t under_way = 0, extra = 0;
    uint32_t mine = 0, theirs = 0, held = 0;
    const char *wrong = NULL;

    for (struct cn_link *at = cn_list_first(&mux->all); at && !wrong;
         at = cn_list_next(&mux->all, at)) {
        const struct cn_stream *s = CN_LIST_MEMBER(at, struct cn_stream, in_all);

        if (!is_cut && mux->resume == CN_MUX_TALKING)
            wrong = stream_wrong_lists(mux, s);
        if (!wrong && !is_cut)
            wrong = stream_wrong(s);
        under_way += s->reset ? 0 : s->tx_sent - s->tx.begin;
        extra += s->rx_extra;
        mine += s->mine && !s->over;
        theirs += !s->mine && !s->over;
        held++;
    }
    if (wrong)
        return wrong;
    if (!is_cut && mux->flight.sent - mux->flight.delivered != under_way)
        return "what is under way is counted wrongly";
    if (mux->rx_extra != extra || extra > CN_MUX_EXTRA_SIZE_MAX)
        return "windows have grown by more than they may, or are counted wrongly";
    if (mux->my_count != mine || mux->their_count != theirs || mux->held_count != held ||
        held > CN_MUX_HELD_COUNT_MAX)
        return "streams are counted wrongly";
    if (mux->rx_pool.used_size > CN_MUX_RX_SIZE_MAX || mux->tx_pool.used_size > CN_MUX_TX_SIZE_MAX)
        return "more memory is in use than there may be";
    return NULL;
}

/* Octets of memory that it has. */
static inline size_t mux_octets(const struct cn_mux *mux)
{
    size_t octets = mux->rx_pool.used_size + mux->rx_pool.idle_size + mux->tx_pool.used_size +
                    mux->tx_pool.idle_size;

    for (struct cn_link *at = cn_list_first(&mux->all); at; at = cn_list_next(&mux->all, at)) {
        const struct cn_stream *s = CN_LIST_MEMBER(at, struct cn_stream, in_all);

        octets += sizeof *s + s->parameters_size;
    }
    return octets;
}

#endif
