/* conversation.h - one end of a talk, as octets in and octets out. PROTOCOL.md 7.3
 *
 * Pure: it opens nothing and allocates nothing. Lines are numbered from 1, each end's own. */
#ifndef CN_CONVERSATION_H
#define CN_CONVERSATION_H

#include <cyphernet/talk.h>

enum {
    CN_CONVERSATION_HEAD_SIZE = 5, /* type (1), size of the body (4) */
    CN_CONVERSATION_MARK_SIZE = 8, /* body of DELIVERED and READ: number of a line */
    CN_SERIES_ID_SIZE = 16,
    CN_SERIES_PLACE_SIZE = CN_SERIES_ID_SIZE + 8, /* body of SERIES: id, number of the next line */
    CN_CONVERSATION_SIZE_MAX = CN_CONVERSATION_HEAD_SIZE + CN_TALK_TEXT_SIZE_MAX,
    /* a line of any size, and room for what else may wait: DELIVERED, READ, LEFT twice */
    CN_CONVERSATION_OUT_SIZE = CN_CONVERSATION_SIZE_MAX + 64
};

enum cn_conversation_type {
    CN_CONVERSATION_LINE = 1,
    CN_CONVERSATION_DELIVERED,
    CN_CONVERSATION_READ,
    CN_CONVERSATION_LEFT,
    CN_CONVERSATION_SERIES
};

enum cn_conversation_leaving {
    CN_CONVERSATION_STAYS = 0,
    CN_CONVERSATION_LEAVES,  /* LEFT 0 */
    CN_CONVERSATION_HANGS_UP /* LEFT 1 */
};

/* A line, whichever talk it is said in: it can be said again, and is the same. */
struct cn_series_place {
    uint8_t id[CN_SERIES_ID_SIZE]; /* random: of the talk that it was said in first */
    uint64_t number;               /* from 1 */
};

void cn_series_place_encode(const struct cn_series_place *place, uint8_t out[CN_SERIES_PLACE_SIZE]);
/* Whether it is the next line of the same series. */
bool cn_series_place_follows(const struct cn_series_place *place,
                             const struct cn_series_place *before);
/* CN_E_FORMAT. */
CN_MUST_USE enum cn_err cn_series_place_decode(struct cn_series_place *place, const void *in,
                                               size_t size);

/* One end of it. */
struct cn_conversation_side {
    uint64_t said;      /* lines */
    uint64_t delivered; /* of these, to the other end's program */
    uint64_t read;      /* of these, by its user */
    enum cn_conversation_leaving leaving;
};

struct cn_conversation {
    struct cn_conversation_side ours;   /* as we say, and the partner has told */
    struct cn_conversation_side theirs; /* as they say, and we want to tell */
    struct cn_conversation_side told;   /* of theirs, what we have told; leaving: ours, as told */
    uint8_t out[CN_CONVERSATION_OUT_SIZE];
    size_t out_begin, out_end;
    uint8_t in[CN_CONVERSATION_SIZE_MAX];
    size_t in_size;
    bool in_is_taken;              /* what is there was given away as an event */
    bool has_series;               /* the partner has said of what series his lines are */
    struct cn_series_place series; /* of his last line, or before the one that is to come */
};

void cn_conversation_init(struct cn_conversation *c);
/* Everything said is wiped. */
void cn_conversation_wipe(struct cn_conversation *c);

/* As the functions of <cyphernet/talk.h> of the same names. */
CN_MUST_USE enum cn_err cn_conversation_say(struct cn_conversation *c, const char *text,
                                            size_t size, uint64_t *number);
/* As cn_conversation_say, without saying it. */
CN_MUST_USE enum cn_err cn_conversation_may_say(struct cn_conversation *c, const char *text,
                                                size_t size);
/* The next line that we say is this one, and each that follows the next of its series.
 * CN_E_FULL. */
CN_MUST_USE enum cn_err cn_conversation_begin_series(struct cn_conversation *c,
                                                     const struct cn_series_place *place);
void cn_conversation_read(struct cn_conversation *c, uint64_t number);
void cn_conversation_leave(struct cn_conversation *c, bool hang_up);

/* What is to be sent, *size octets, 0 if none. */
const uint8_t *cn_conversation_output(struct cn_conversation *c, size_t *size);
/* size of them are sent. */
void cn_conversation_sent(struct cn_conversation *c, size_t size);
/* Whether all that was said is sent, and that we leave. */
bool cn_conversation_is_sent(const struct cn_conversation *c);
/* Whether nothing can follow either: our end is due. */
bool cn_conversation_is_over(const struct cn_conversation *c);

/* Where to put octets that came, *room of them at most; 0: take the events first. */
uint8_t *cn_conversation_input(struct cn_conversation *c, size_t *room);
void cn_conversation_received(struct cn_conversation *c, size_t size);
/* The next event, of which the type NONE is none for the owner; a line is told DELIVERED after the
 * next use of c. CN_E_MORE: there is none yet; CN_E_FORMAT, CN_E_UNEXPECTED: the partner broke
 * the protocol. The text lies in c until the next use of it. */
CN_MUST_USE enum cn_err cn_conversation_next(struct cn_conversation *c,
                                             struct cn_talk_event *event);
/* The partner's octets have ended, and every event was taken. CN_E_FORMAT: they must not end
 * here. */
CN_MUST_USE enum cn_err cn_conversation_end(const struct cn_conversation *c);

#endif
