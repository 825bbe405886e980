/* transcript.h - what was said in talks, kept in a home; part of libcyphernet.
 *
 * There is none unless it is opened. It lies encrypted under a key of the home, which is sealed as
 * the home's other secrets are, and is only ever added to: what is changed in it, left out or put
 * elsewhere is noticed, and so is that it stops short; not, that all after a certain time, or all
 * of it, was taken away. Of one contact it has up to 16 MiB; then the older half goes. */
#ifndef CYPHERNET_TRANSCRIPT_H
#define CYPHERNET_TRANSCRIPT_H

#include <cyphernet.h>

#ifdef __cplusplus
extern "C" {
#endif

struct cn_transcript;

enum { CN_TRANSCRIPT_TEXT_SIZE_MAX = 65536 }; /* octets */

enum cn_transcript_kind {
    CN_TRANSCRIPT_BEGIN = 1, /* of a sitting; text: the contact's name then */
    CN_TRANSCRIPT_SAID,      /* by us */
    CN_TRANSCRIPT_HEARD,     /* of the contact */
    CN_TRANSCRIPT_SENT,      /* a file or directory; text: its name */
    CN_TRANSCRIPT_RECEIVED,
    CN_TRANSCRIPT_END, /* of a sitting; without it, it was cut off */
    CN_TRANSCRIPT_KIND_END
};

struct cn_transcript_record {
    enum cn_transcript_kind kind;
    uint64_t time_s;  /* UTC, seconds since 1970 */
    const char *text; /* any octets, not ended by a NUL; borrowed */
    size_t text_size;
};

/* What is not as it should be of one that was read. */
struct cn_transcript_state {
    bool lacks_earlier; /* there was more before; the older half has gone */
    bool is_cut;        /* the last record is not whole: a crash, or somebody who has the disk */
};

/* Begin a sitting. All that is there is read and checked; what stands after the last whole record
 * is cut off (state, which may be NULL). CN_E_ABSENT: no such contact; CN_E_CHECKSUM, CN_E_FORMAT:
 * it is damaged (detail); CN_E_NAME: it is another contact's; CN_E_SYSTEM (EWOULDBLOCK: another
 * program has it open); CN_E_MEMORY; errors of reading and writing a file. */
CN_API CN_MUST_USE enum cn_err cn_transcript_open(struct cn_transcript **transcript,
                                                  struct cn_home *home, const char *contact,
                                                  struct cn_transcript_state *state);
/* Add a record with the time of now: SAID, HEARD, SENT or RECEIVED. CN_E_LIMIT: too long;
 * CN_E_SYSTEM, CN_E_CRYPTO: this and what follows are not kept. */
CN_API CN_MUST_USE enum cn_err cn_transcript_add(struct cn_transcript *transcript,
                                                 enum cn_transcript_kind kind, const char *text,
                                                 size_t text_size);
/* What was added is on the disk, if something was. CN_E_SYSTEM. */
CN_API CN_MUST_USE enum cn_err cn_transcript_sync(struct cn_transcript *transcript);
/* End the sitting. NULL is fine. */
CN_API void cn_transcript_close(struct cn_transcript *transcript);

/* One record; its text is valid until the return. False: no more. */
typedef bool cn_transcript_show(void *context, const struct cn_transcript_record *record);

/* Give every record to show, the oldest first. CN_E_ABSENT: there is none, or no key (detail: the
 * contact, or the key's file); CN_E_CHECKSUM, CN_E_FORMAT: it is damaged (detail): what is before
 * that was shown, and state tells of that; CN_E_NAME: it is another contact's, all was shown. Other
 * errors as above. */
CN_API CN_MUST_USE enum cn_err cn_transcript_read(struct cn_home *home, const char *contact,
                                                  cn_transcript_show *show, void *context,
                                                  struct cn_transcript_state *state);
/* Whether there is one. */
CN_API bool cn_transcript_exists(const struct cn_home *home, const char *contact);
/* Whether the preferences want one of each talk. CN_E_CONFIG (detail). */
CN_API CN_MUST_USE enum cn_err cn_transcript_preferred(struct cn_home *home, bool *preferred);

#ifdef __cplusplus
}
#endif

#endif
