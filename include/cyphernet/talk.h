/* talk.h - a conversation over a call of the service TALK: texts, and what became of them.
 *
 * When the call has said CN_EVENT_OPEN, open a talk on it; from then on hand it every event of the
 * call, and take the talk's own events after each round until there is none. The lines of each end
 * are numbered from 1.
 *
 * A line that was taken counts as delivered when the next event is asked for: then the partner is
 * told so. That a line was read is for
 * the owner to say, with cn_talk_read.
 *
 * Lines that the partner has not been told to have can be kept in the home, and are said again in
 * the next talk with it: cn_talk_keep. The partner that keeps its own does not hear them twice.
 *
 * Files may go in the same call, beside what is said: cn_sending_join and cn_receiving_join. A talk
 * can also be had over a descriptor, if another program has the call and its stream. */
#ifndef CYPHERNET_TALK_H
#define CYPHERNET_TALK_H

#include <cyphernet.h>

#ifdef __cplusplus
extern "C" {
#endif

struct cn_talk;
struct cn_undelivered;
struct pollfd;

enum { CN_TALK_TEXT_SIZE_MAX = 65536 }; /* octets */

enum cn_talk_event_type {
    CN_TALK_NONE = 0,
    CN_TALK_LINE,       /* the partner's line of this number: text */
    CN_TALK_DELIVERED,  /* our lines up to number: the partner's program has taken them */
    CN_TALK_READ,       /* our lines up to number: his user has read them */
    CN_TALK_LEFT,       /* the partner says no more, but listens */
    CN_TALK_HUNG_UP,    /* the partner says no more and wants the end; what we say still reaches his
                         * program. Leave, too */
    CN_TALK_ENDED,      /* all that either end said is delivered, and the call is finished */
    CN_TALK_BROKEN,     /* the partner said what makes no sense: the call is cancelled */
    CN_TALK_INTERRUPTED /* over a descriptor: it ended before the talk did */
};

struct cn_talk_event {
    enum cn_talk_event_type type;
    uint64_t number;
    const char *text; /* of a LINE: not ended by a NUL, and may hold anything, also what is not
                       * UTF-8 or would drive a terminal. Borrowed until the next use of the talk */
    size_t text_size;
};

/* The call must be open, and of the service TALK. It is borrowed: free the talk first.
 * CN_E_MEMORY, CN_E_LIMIT; CN_E_UNEXPECTED: the call is not open. */
CN_API CN_MUST_USE enum cn_err cn_talk_open(struct cn_talk **talk, struct cn_call *call);
/* The same without a call: fd is a connected stream socket, such as of socketpair(2), whose other
 * end passes octets on to and from a stream of the kind 1 that it has opened, or that was opened,
 * in an open call of TALK: an end on either side as an end (shutdown(2), cn_stream_finish),
 * anything else by closing it. fd is borrowed, and may be blocking. Wait for cn_talk_descriptors,
 * call cn_talk_process, and take events; when it has ended, finishing the call is up to who has it.
 * CN_E_MEMORY. */
CN_API CN_MUST_USE enum cn_err cn_talk_open_descriptor(struct cn_talk **talk, int fd);
/* What to wait for besides the call; the count. */
CN_API size_t cn_talk_descriptors(const struct cn_talk *talk, struct pollfd *descriptors,
                                  size_t max);
/* Hand on what waits. */
CN_API void cn_talk_process(struct cn_talk *talk);
/* NULL is fine. What waits to be sent is lost, and the call stays as it is. */
CN_API void cn_talk_free(struct cn_talk *talk);

/* --- what the partner has not got ------------------------------------------------------------
 *
 * Of each contact there may be a file in the home with lines of ours that no DELIVERED was told of,
 * and with how far the partner's were taken here. It is encrypted under a key of the home, which is
 * sealed as its other secrets are; there is none when a talk has ended without an error, or nothing
 * was ever said. A line is in it before it is handed to the call, and on the disk, should the power
 * fail, from cn_undelivered_sync on. So it outlives this program and the partner's; if the
 * partner's is killed just between showing a line and noting that, it shows the line again. */

/* Those of a contact. CN_E_ABSENT: no such contact, or there are some, but no key (detail);
 * CN_E_CHECKSUM, CN_E_FORMAT: the file is damaged; CN_E_NAME: it is another contact's; CN_E_SYSTEM
 * (EWOULDBLOCK: another program has it open); CN_E_MEMORY; errors of reading a file. */
CN_API CN_MUST_USE enum cn_err cn_undelivered_open(struct cn_undelivered **undelivered,
                                                   struct cn_home *home, const char *contact);
/* How many lines there are. */
CN_API uint64_t cn_undelivered_count(const struct cn_undelivered *undelivered);
/* What was noted is on the disk. Errors of cn_undelivered_check. */
CN_API CN_MUST_USE enum cn_err cn_undelivered_sync(struct cn_undelivered *undelivered);
/* Whether something could not be written, told once: nothing more is kept then. CN_E_SYSTEM
 * (EWOULDBLOCK: another program keeps some of the same contact), CN_E_CRYPTO, CN_E_RANDOM. */
CN_API CN_MUST_USE enum cn_err cn_undelivered_check(struct cn_undelivered *undelivered);
/* After the talk is freed. is_well: its call ended without an error. NULL is fine. */
CN_API void cn_undelivered_close(struct cn_undelivered *undelivered, bool is_well);
/* Whether the preferences want lines to be kept, as they do if they say nothing. CN_E_CONFIG
 * (detail). */
CN_API CN_MUST_USE enum cn_err cn_undelivered_preferred(struct cn_home *home, bool *preferred);
/* Whether there is a file of that contact. */
CN_API bool cn_undelivered_exists(const struct cn_home *home, const char *contact);
/* Before anything is said, or events are taken: say what is there, keep what is said, and take no
 * line twice. undelivered is borrowed; of one talk at a time. Lines that are said again are
 * counted among those of the talk, the first of all. */
CN_API void cn_talk_keep(struct cn_talk *talk, struct cn_undelivered *undelivered);

/* An event of the call. True: it was the talk's. */
CN_API bool cn_talk_take(struct cn_talk *talk, const struct cn_event *event);
/* False: none for now. */
CN_API bool cn_talk_next_event(struct cn_talk *talk, struct cn_talk_event *event);

/* Say text, copied; *number is the line's, and may be NULL. CN_E_FORMAT: it is not UTF-8;
 * CN_E_LIMIT: it has more than CN_TALK_TEXT_SIZE_MAX octets; CN_E_FULL: try again after the next
 * events; CN_E_UNEXPECTED: we have left; CN_E_MEMORY, CN_E_RANDOM: it cannot be kept. */
CN_API CN_MUST_USE enum cn_err cn_talk_say(struct cn_talk *talk, const char *text, size_t size,
                                           uint64_t *number);
/* The user has read the partner's lines up to number. */
CN_API void cn_talk_read(struct cn_talk *talk, uint64_t number);
/* We say no more. The talk has ended when both ends have left. hang_up: ask the partner to leave at
 * once; may follow upon having left without. */
CN_API void cn_talk_leave(struct cn_talk *talk, bool hang_up);
/* Whether all that was said, also that we leave, has been handed to the call. */
CN_API bool cn_talk_is_sent(const struct cn_talk *talk);

#ifdef __cplusplus
}
#endif

#endif
