/* undelivered_book.h - what is kept of a contact's talks until it is delivered, as it is read from
 * records. Pure, but for memory. PROTOCOL.md 2.19 */
#ifndef CN_UNDELIVERED_BOOK_H
#define CN_UNDELIVERED_BOOK_H

#include "conversation.h"
#include "fingerprint.h"
#include "transcript_record.h"

enum {
    CN_UNDELIVERED_HEARD_MAX = 64,      /* series of the partner's */
    CN_UNDELIVERED_SIZE_MAX = 16 << 20, /* octets of lines, each with its overhead */
    CN_UNDELIVERED_OVERHEAD_SIZE = 128  /* of a line, in its record */
};

/* The records, which are those of a transcript under another key. */
enum cn_undelivered_kind {
    CN_UNDELIVERED_BEGIN = CN_TRANSCRIPT_BEGIN,        /* the contact's name */
    CN_UNDELIVERED_LINE = CN_TRANSCRIPT_SAID,          /* the next of the series */
    CN_UNDELIVERED_HEARD = CN_TRANSCRIPT_HEARD,        /* series of the partner's, up to number */
    CN_UNDELIVERED_SERIES = CN_TRANSCRIPT_SENT,        /* the lines that follow begin there */
    CN_UNDELIVERED_DELIVERED = CN_TRANSCRIPT_RECEIVED, /* so many of the file's lines */
};

/* A line of ours. */
struct cn_undelivered_line {
    struct cn_undelivered_line *next;
    struct cn_series_place place;
    size_t size;
    char text[];
};

struct cn_undelivered_book {
    char contact[CN_NAME_SIZE_MAX + 1];             /* empty: there was no BEGIN */
    struct cn_undelivered_line *first, **last_next; /* the oldest first; owned */
    uint64_t count;
    uint64_t size;      /* of all, with their overhead */
    uint64_t delivered; /* lines of the file that were before these */
    bool has_series;    /* of a line that is added */
    struct cn_series_place next;
    struct cn_series_place heard[CN_UNDELIVERED_HEARD_MAX]; /* the one that grew last is the last */
    size_t heard_count;
};

void cn_undelivered_book_init(struct cn_undelivered_book *book);
/* What was said is wiped. */
void cn_undelivered_book_wipe(struct cn_undelivered_book *book);
/* The next record. CN_E_FORMAT, CN_E_LIMIT, CN_E_MEMORY. */
CN_MUST_USE enum cn_err cn_undelivered_book_take(struct cn_undelivered_book *book,
                                                 const struct cn_transcript_record *record);

/* The lines that are added next are these. */
void cn_undelivered_book_series(struct cn_undelivered_book *book,
                                const struct cn_series_place *place);
/* CN_E_FORMAT: of no series; CN_E_LIMIT, CN_E_MEMORY. */
CN_MUST_USE enum cn_err cn_undelivered_book_add(struct cn_undelivered_book *book, const char *text,
                                                size_t size);
/* The oldest is delivered. There is one. */
void cn_undelivered_book_drop(struct cn_undelivered_book *book);
/* A line of the partner's was taken. */
void cn_undelivered_book_hear(struct cn_undelivered_book *book,
                              const struct cn_series_place *place);
/* Whether it was taken before. */
bool cn_undelivered_book_has_heard(const struct cn_undelivered_book *book,
                                   const struct cn_series_place *place);

#endif
