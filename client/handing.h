/* handing.h - next cards go through a call, on streams that its owner does not see. PROTOCOL.md 7.6
 *
 *   who has one to hand over             the other
 *   OPEN CN_HANDING_KIND, size, card ->
 *                                     <- size, card, FIN     once both are on its disk
 *   FIN                               ->                     once both are here, too
 */
#ifndef CN_HANDING_H
#define CN_HANDING_H

#include "contact_file.h"
#include "mux.h"

enum {
    CN_HANDING_KIND = 255,
    CN_HANDING_SIZE_MAX = 2 + CN_CARD_BODY_SIZE_MAX,
    CN_HANDING_TIMEOUT_MS = 30000 /* of each stream; the call does not close before it is over */
};

/* Codes of RESET. */
enum { CN_HANDING_GIVEN_UP = 0, CN_HANDING_BAD = 1, CN_HANDING_FAILED = 2 };

/* One card, and the other that comes in return, on one stream. */
struct cn_handed {
    struct cn_stream *stream; /* NULL: none */
    uint64_t until_ms;
    struct cn_card card; /* mine that was handed over, or the partner's that came */
    uint8_t in[CN_HANDING_SIZE_MAX];
    size_t in_size;
    bool taken; /* what was to come has come, and is kept */
};

/* Of one call, from when it is open. */
struct cn_handing {
    struct cn_home *home; /* all borrowed */
    struct cn_mux *mux;
    const char *contact;
    const struct cn_pair *pair;
    struct cn_handed mine;   /* I began */
    struct cn_handed theirs; /* the partner did: once in a call */
    bool theirs_began;
    bool news;       /* to be told: */
    enum cn_err err; /* CN_OK: both ends have the cards of a pair to come, or it is in use now */
};

/* The call is open on that pair. */
void cn_handing_begin(struct cn_handing *handing, struct cn_home *home, struct cn_mux *mux,
                      const char *contact, const struct cn_pair *pair, uint64_t now_ms);
void cn_handing_wipe(struct cn_handing *handing);
/* An event of the mux. False: it is the owner's. */
bool cn_handing_take(struct cn_handing *handing, struct cn_stream *stream, enum cn_event_type type,
                     uint64_t now_ms);
/* Give up what takes too long. */
void cn_handing_step(struct cn_handing *handing, uint64_t now_ms);
/* When cn_handing_step has something to do; UINT64_MAX: never. */
uint64_t cn_handing_due_ms(const struct cn_handing *handing);

#endif
