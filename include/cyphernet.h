/* cyphernet.h - call a contact through a blind central server, encrypted from end to end.
 *
 * A *home* holds one subscriber: identity, admission to one server, contacts. A *call* joins it
 * with one contact; a call carries *streams* of octets both ways. Types are opaque. Nothing is
 * global and no signal is touched; SIGPIPE is never raised by this library.
 *
 * Threads: any number of homes and calls may be used at once, each by one thread at a time. A home
 * must outlive its calls, and calls of one home must stay on that home's thread.
 *
 * Errors: functions return CN_OK or why not, and leave their results untouched on failure. After a
 * failure cn_home_detail says which file or address it was about, where there is one.
 *
 * A call is driven by its owner: wait until a descriptor of cn_call_descriptors is ready or the
 * time of cn_call_timeout_ms is over, call cn_call_process, then take events with
 * cn_call_next_event until there is none. cn_call_wait does one round of that, blocking. */
#ifndef CYPHERNET_H
#define CYPHERNET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cyphernet/err.h>
#include <cyphernet/files.h>

#ifdef __cplusplus
extern "C" {
#endif

struct cn_home;
struct cn_call;
struct cn_stream;
struct pollfd;

/* "1.0.0"; static. */
CN_API const char *cn_version(void);
/* The cryptographic library, and where ML-KEM-768 comes from; static. */
CN_API const char *cn_version_crypto(void);
CN_API const char *cn_version_mlkem(void);

/* What the last failure of a home or one of its calls was about. */
struct cn_detail {
    int system_error; /* errno, or 0 */
    char about[512];  /* a file, an address, a contact's name; empty if nothing */
};

/* --- Home ----------------------------------------------------------------------------------- */

/* Open the subscriber's files. dir holds everything; NULL: $CYPHERNET_HOME, or the XDG directories.
 * Directories are made (mode 0700) when something is first written. CN_E_MEMORY, CN_E_CRYPTO,
 * CN_E_ABSENT (neither dir nor any of the variables is set), CN_E_SYSTEM. */
CN_API CN_MUST_USE enum cn_err cn_home_open(struct cn_home **home, const char *dir);
/* Wipes and frees; NULL is fine. No call may be left. */
CN_API void cn_home_close(struct cn_home *home);
/* Never NULL, not even of NULL; valid until the next use of the home. */
CN_API const struct cn_detail *cn_home_detail(const struct cn_home *home);

/* Secrets may lie under a passphrase, of 1 to CN_PASSPHRASE_MAX octets. Then every function that
 * reads or writes one fails with CN_E_SEALED (detail: nothing) until it was given. */
enum { CN_PASSPHRASE_MAX = 1024 };

enum cn_home_sealing_state {
    CN_HOME_PLAIN = 0, /* no passphrase was set */
    CN_HOME_SEALED,
    CN_HOME_CHANGING /* setting or removing it was interrupted: do either again */
};

/* Errors of reading a file. */
CN_API CN_MUST_USE enum cn_err cn_home_sealing(struct cn_home *home,
                                               enum cn_home_sealing_state *state);
/* Give the passphrase; it is not kept. Takes a third of a second and 128 MiB, as the next does.
 * CN_OK also where none was set; CN_E_PASSPHRASE: another one; CN_E_CRYPTO: no memory, too; errors
 * of reading a file. */
CN_API CN_MUST_USE enum cn_err cn_home_unseal(struct cn_home *home, const char *passphrase,
                                              size_t size);
/* Set the passphrase, or another one. CN_E_SEALED: there is one, and it was not given; CN_E_USAGE:
 * of another size; errors of reading and writing files, after which it may be half done. */
CN_API CN_MUST_USE enum cn_err cn_home_seal(struct cn_home *home, const char *passphrase,
                                            size_t size);
/* Lay all files open again; CN_OK also where no passphrase was set. Errors as above. */
CN_API CN_MUST_USE enum cn_err cn_home_seal_remove(struct cn_home *home);

/* Everything in one text, under a passphrase of its own: identity, fingerprint, contacts,
 * preferences. *text is for free(), and no secret. CN_E_ABSENT: there is nothing; CN_E_LIMIT: more
 * than 8192 files, or 16 MiB; CN_E_USAGE: the passphrase's size; CN_E_SEALED; CN_E_MEMORY; errors
 * of reading a file, of which one that is damaged is enough. */
CN_API CN_MUST_USE enum cn_err cn_home_backup(struct cn_home *home, const char *passphrase,
                                              size_t size, char **text, size_t *text_size);
/* What text_size may be. */
enum { CN_BACKUP_TEXT_SIZE_MAX = 24 << 20 };

struct cn_restore_options {
    const char *text; /* all borrowed */
    size_t text_size;
    const char *passphrase; /* of the backup; of the home too, from then on, if it had one */
    size_t passphrase_size;
    bool replace; /* what is there */
};

struct cn_restore_info {
    size_t contact_count;
    bool sealed;            /* the home has the backup's passphrase now */
    char replaced[4096];    /* the directory in which is what was there; empty if nothing was */
    char preferences[4096]; /* the file of those that were there, if they lie elsewhere; or empty */
};

/* The opposite, into a home that need not be unsealed. All is checked before anything is changed,
 * and changed at once. CN_E_PASSPHRASE; CN_E_EXISTS: there is something (detail), and replace is
 * false; CN_E_MEMORY; CN_E_SYSTEM (EOPNOTSUPP: the file system cannot exchange two files, EBUSY:
 * what is to be replaced is a mount point); the errors of reading a text, of the backup or what is
 * in it. After an error nothing is changed and *info is as it was; but if the preferences (detail)
 * could not be put and the home not be put back, *info is set: the home is the backup's, replaced
 * as above, and preferences is the file in which are those of the backup. */
CN_API CN_MUST_USE enum cn_err cn_home_restore(struct cn_home *home,
                                               const struct cn_restore_options *options,
                                               struct cn_restore_info *info);

/* Make the identity: rsa_bits 0 for X25519, else 2048, 3072, 4096 or 8192; ML-KEM-768 beside it.
 * CN_E_EXISTS: there is one; CN_E_USAGE: another size; CN_E_SYSTEM. */
CN_API CN_MUST_USE enum cn_err cn_home_identity_create(struct cn_home *home, unsigned rsa_bits);
/* The name of its kind, "X25519" or "RSA-3072". CN_E_ABSENT; errors of reading a file (below). */
CN_API CN_MUST_USE enum cn_err cn_home_identity_kind(struct cn_home *home, const char **kind);

/* Another identity, for which the old one is used until all contacts have moved: every call with a
 * verified contact hands over new cards by itself, and the next one with it uses them. Contacts
 * tell how far they have come: cn_contact_info. When none needs the old identity any more, it goes.
 * CN_E_EXISTS: that is under way already; CN_E_ABSENT: there is no identity; errors of
 * cn_home_identity_create, and of reading and writing files. */
CN_API CN_MUST_USE enum cn_err cn_home_rotate(struct cn_home *home, unsigned rsa_bits);
/* End it: contacts that have not moved lose my card, and must exchange again. CN_E_ABSENT: nothing
 * is under way; errors of reading and writing files, after which it may be half done. */
CN_API CN_MUST_USE enum cn_err cn_home_rotate_finish(struct cn_home *home);
/* Whether it is under way, and the kind of the identity that is, or comes. Errors of
 * cn_home_identity_kind. */
CN_API CN_MUST_USE enum cn_err cn_home_rotation(struct cn_home *home, bool *under_way,
                                                const char **kind);

/* Reading any of our files may give: CN_E_ARMOR, CN_E_KIND, CN_E_TRUNCATED, CN_E_CHECKSUM,
 * CN_E_VERSION, CN_E_FORMAT, CN_E_KEY, CN_E_OPEN_MODE (others may read a secret: detail names the
 * file), CN_E_SYSTEM. The same holds for text given as an argument. */

/* Octets in which any text that a function here makes has room, and which one that it takes may
 * have. A text is not ended by a NUL. */
enum { CN_TEXT_SIZE_MAX = 32768 };

/* A request for admission, armoured text, for `cyphernetctl admit`. Makes and keeps the admission
 * key; the same request each time until joined. *text_size in: room, CN_TEXT_SIZE_MAX is always
 * enough; out: octets written. CN_E_FULL: it is not; errors of reading and writing a file. */
CN_API CN_MUST_USE enum cn_err cn_home_request(struct cn_home *home, char *text, size_t *text_size);
/* Take a fingerprint file's text. CN_E_ABSENT: it holds no admission key, and no request was made
 * here; CN_E_KEY: it answers another request; CN_E_SERVER: it goes to another server than
 * contacts were exchanged for, and replace is false. Makes the default identity if there is
 * none. */
CN_API CN_MUST_USE enum cn_err cn_home_join(struct cn_home *home, const char *text,
                                            size_t text_size, bool replace);

struct cn_admission_info {
    char label[65];       /* the operator's name for this subscriber */
    char address[8][256]; /* HOST:PORT, or srv:NAME */
    size_t address_count;
    uint64_t serial;
    uint64_t not_before; /* UTC, seconds since 1970 */
    uint64_t not_after;
};
/* CN_E_ABSENT: not joined. */
CN_API CN_MUST_USE enum cn_err cn_home_admission(struct cn_home *home,
                                                 struct cn_admission_info *info);

/* What the server said at admission, for messages to the user. */
struct cn_admission_note {
    int64_t clock_ahead_s;  /* our clock against the server's; 0 if unknown */
    uint64_t not_after;     /* of our certificate, UTC seconds */
    int refusal;            /* enum cn_refusal */
    unsigned notices;       /* enum cn_notice_change, or-ed: what the operator's notices changed in
                             * our fingerprint; of cn_home_probe: what a call would change */
    enum cn_err notice_err; /* why one of them was refused, or not stored; CN_OK */
    bool notices_unstored;  /* what they changed holds for this call only: disk full, say */
    bool unlocked; /* keys lie in memory that may be swapped out: RLIMIT_MEMLOCK is too low */
};

enum cn_refusal {
    CN_REFUSAL_NONE = 0,
    CN_REFUSAL_EXPIRED,
    CN_REFUSAL_NOT_YET_VALID,
    CN_REFUSAL_REVOKED,
    CN_REFUSAL_SUSPENDED,
    CN_REFUSAL_OVER_LIMIT,
    CN_REFUSAL_REPLACED /* another call of this subscriber waits in place of this one */
};

enum cn_notice_change {
    CN_NOTICE_RENEWED = 1, /* another certificate; not_after is of this one */
    CN_NOTICE_MOVED = 2,   /* other addresses, from the next line on */
    CN_NOTICE_REKEYED = 4  /* another key of the server, likewise */
};

/* Ask the server at one address of cn_admission_info whether it would admit us now, and what time
 * it has; nothing is registered there. Blocks for timeout_ms at most. CN_OK,
 * CN_E_ADMISSION: *note is filled; CN_E_ABSENT: not joined; CN_E_USAGE: no such address; errors of
 * cn_call_open about the proxy; CN_E_UNREACHABLE, CN_E_PROXY, CN_E_TIMEOUT; CN_E_HUNG_UP: without a
 * word, as the server of another fingerprint would; CN_E_AUTH: it is not that server. */
CN_API CN_MUST_USE enum cn_err cn_home_probe(struct cn_home *home, size_t address_index,
                                             int timeout_ms, struct cn_admission_note *note);

/* --- Contacts ------------------------------------------------------------------------------- */

/* Why a contact still has cards of an identity that is to go, mine or the contact's. */
enum cn_contact_moving {
    CN_MOVING_NOT = 0,    /* it has none */
    CN_MOVING_CALL,       /* the next call hands over mine */
    CN_MOVING_NEXT_CALL,  /* both have new ones; the next call uses them */
    CN_MOVING_UNVERIFIED, /* it gets none before it is verified */
    CN_MOVING_EXCHANGE    /* it was offered a card and has not answered: offer a new one */
};

struct cn_contact_info {
    char name[65];
    bool offered;      /* my card for this contact exists */
    bool accepted;     /* the contact's card is held */
    bool verified;     /* the safety number was compared */
    char made_for[65]; /* the contact's name for me, from its card; empty if not accepted */
    char kind[16];     /* of the contact's identity; empty if not accepted */
    char suite[32];    /* of calls; empty unless offered and accepted */
    char safety[72];   /* twelve groups of five digits; empty unless offered and accepted */
    char words[176];   /* the safety number as nineteen words, to be read aloud; likewise */
    enum cn_err err;   /* in a list: why the contact cannot be shown, and then only name is set */
    enum cn_contact_moving moving;
};

/* My card for NAME, made at first and the same from then on; fresh, or if another server has been
 * joined meanwhile: a new one, after which both must exchange again. *text_size as for
 * cn_home_request; the text is a secret of the two. CN_E_NAME; CN_E_ABSENT: not joined yet, or no
 * identity (detail); CN_E_CONFIG: the preferences (detail names the line); CN_E_FULL, when the card
 * is made and kept all the same; errors of reading and writing a file. */
CN_API CN_MUST_USE enum cn_err cn_contact_offer(struct cn_home *home, const char *name, bool fresh,
                                                char *text, size_t *text_size);
/* Part `index`, from 0, of `count`, 1 to 16, of the card that was offered to NAME: the text of a QR
 * code in its alphanumeric mode, which is Base45. None is longer than part 0. CN_E_ABSENT: no card
 * was offered; CN_E_USAGE: no such part; errors as above. */
CN_API CN_MUST_USE enum cn_err cn_contact_offer_part(struct cn_home *home, const char *name,
                                                     unsigned index, unsigned count, char *text,
                                                     size_t *text_size);
/* Take NAME's card: its text, or all its parts, each on a line, in any order. CN_E_PART: one is
 * missing (detail says which); CN_E_MIXED: they are of different cards. CN_E_OWN: mine; CN_E_KNOWN:
 * this card or identity is held under another name (detail names it); CN_E_EXISTS: NAME's card is
 * held and differs, and replace is false; CN_E_SERVER: for another server; CN_E_SUITE; CN_E_USAGE:
 * it answers a card that I made for another contact (detail names it), or an older card of mine for
 * this one. Nothing is stored on failure. Taking the card that is held already succeeds and changes
 * nothing. */
CN_API CN_MUST_USE enum cn_err cn_contact_accept(struct cn_home *home, const char *name,
                                                 const char *text, size_t text_size, bool replace);
/* CN_E_ABSENT: no such contact. */
CN_API CN_MUST_USE enum cn_err cn_contact_show(struct cn_home *home, const char *name,
                                               struct cn_contact_info *info);
/* All contacts by name, in an array for free(). One whose file cannot be used is among them, with
 * err; cn_contact_show gives the detail. Errors here are those of the identity, without which no
 * contact can be shown, and of the directory. */
CN_API CN_MUST_USE enum cn_err cn_contact_list(struct cn_home *home, struct cn_contact_info **list,
                                               size_t *count);
/* The safety numbers were compared and are equal. CN_E_ABSENT: not both cards are there. */
CN_API CN_MUST_USE enum cn_err cn_contact_verify(struct cn_home *home, const char *name);
/* A transcript goes with it. CN_E_EXISTS: new_name is taken; errors of cn_transcript_open. */
CN_API CN_MUST_USE enum cn_err cn_contact_rename(struct cn_home *home, const char *old_name,
                                                 const char *new_name);
/* And the transcript of talks with it. */
CN_API CN_MUST_USE enum cn_err cn_contact_remove(struct cn_home *home, const char *name);

/* --- Calls ---------------------------------------------------------------------------------- */

/* A call meets only one for the same service. TALK and PIPE are alike at both ends. */
enum cn_call_service { CN_CALL_TALK = 1, CN_CALL_PIPE = 2, CN_CALL_FILE = 3, CN_CALL_FORWARD = 4 };

/* What a call would be. */
struct cn_call_want {
    const char *contact; /* copied */
    enum cn_call_service service;
    bool caller; /* FILE and FORWARD: who sends or forwards; ignored for TALK and PIPE */
};

/* So many may be waited for on one line, if the server allows them: cn_call_wants_max. */
enum { CN_CALL_WANTS_MAX = 4096 };

struct cn_call_options {
    const char *contact; /* copied */
    enum cn_call_service service;
    bool caller; /* FILE and FORWARD: who sends or forwards; ignored for TALK and PIPE */
    int64_t
        wait_ms; /* how long to wait for the partner; -1: without limit. With a limit the call also
                  * gives up (CN_E_AUTH) when five of those it was joined with were not authentic */
};

enum cn_event_type {
    CN_EVENT_NONE = 0,
    CN_EVENT_CONNECTED, /* the server admitted us; see cn_call_admission_note */
    CN_EVENT_WAITING,   /* for the partner */
    CN_EVENT_RETRY,    /* err: why the line was lost, CN_OK: it is for cards that have been replaced
                        * meanwhile; trying again by itself */
    CN_EVENT_JOINED,   /* with somebody; nothing is proven yet. The line waits for nobody else */
    CN_EVENT_OPEN,     /* the partner is authentic; streams may be used */
    CN_EVENT_STREAM,   /* the partner opened stream */
    CN_EVENT_READABLE, /* stream has octets, its end, or its reset */
    CN_EVENT_WRITABLE, /* stream takes octets again after it took none */
    CN_EVENT_PROGRESS, /* the partner has received or made durable more of stream */
    /* The last. CN_OK: both ends said so. CN_E_CANCELLED: cn_call_cancel, here; CN_E_REFUSED:
     * there, with that reason; CN_E_INTERRUPTED: the line was lost, or the partner gave up for
     * another reason. Before OPEN: CN_E_TIMEOUT: the partner did not come in time; CN_E_ADMISSION;
     * CN_E_UNREACHABLE, CN_E_HUNG_UP: the server; CN_E_PROXY: the proxy before it; CN_E_AUTH: see
     * wait_ms; CN_E_LIMIT: one line may not wait for so many, see cn_call_wants_max. CN_E_CRYPTO,
     * CN_E_RANDOM, CN_E_MEMORY: here. */
    CN_EVENT_CLOSED,
    /* Before CONNECTED, or before CLOSED or RETRY if we were refused: the operator has told us
     * something, or somebody in his name (err: why it was refused); see cn_call_admission_note. */
    CN_EVENT_NOTICE,
    CN_EVENT_QUIET, /* the partner should have said something, and has not for two seconds */
    CN_EVENT_HEARD, /* now it has */
    CN_EVENT_LOST,  /* err: why the line of an open call was lost; it goes on by itself. CN_OK: all
                     * has arrived at both ends, and only that the partner knows so is missing; of
                     * that nothing more need be told, and it ends with CN_OK */
    CN_EVENT_RESUMED, /* it does, on another line: nothing is lost, doubled or out of order */
    /* After OPEN: cards for another pair are at both ends, or are in use from this call on, as one
     * of the two changes its identity (cn_home_rotate); err: why that did not go well, this time.
     */
    CN_EVENT_CARDS,
    /* LOST was told 4, 8, 16 ... seconds ago, and the call does not go on yet. CN_OK: the server is
     * there, and the partner is not; else why the last line was lost, or did not come about. */
    CN_EVENT_RECONNECTING
};

struct cn_event {
    enum cn_event_type type;
    struct cn_stream *stream; /* STREAM, READABLE, WRITABLE, PROGRESS */
    enum cn_err err;          /* RETRY, LOST, RECONNECTING, CLOSED */
};

/* Begin: nothing has been sent yet on return. CN_E_ABSENT: not joined, no such contact (detail), or
 * cards not yet exchanged both ways (detail); CN_E_SERVER: they are for a server that was left;
 * CN_E_NAME; CN_E_USAGE: no contact, or no such service; CN_E_CONFIG: the preferences, or the proxy
 * that the environment names (detail); CN_E_OPEN_MODE: also of preferences that hold a proxy's
 * password; CN_E_MEMORY; errors of reading files. */
CN_API CN_MUST_USE enum cn_err cn_call_open(struct cn_call **call, struct cn_home *home,
                                            const struct cn_call_options *options);
/* The same on one line to the server for all of these, 1 to CN_CALL_WANTS_MAX: whoever comes first
 * has the call. From JOINED on cn_call_contact and cn_call_service tell who it is, and for the
 * others another call has to be opened; that may be done then, before OPEN, so that nobody who
 * joins and says nothing keeps the others out. After RETRY this one waits for all again, and
 * whichever of the two registers later takes the place of the other (CN_REFUSAL_REPLACED): free one
 * of them. Takes 4 KiB of locked memory for each contact. Errors are those of cn_call_open;
 * CN_E_USAGE also: none, or too many. One contact that cannot be called (detail names it) fails it.
 */
CN_API CN_MUST_USE enum cn_err cn_call_open_any(struct cn_call **call, struct cn_home *home,
                                                const struct cn_call_want *wants, size_t count,
                                                int64_t wait_ms);
/* Ends at once whatever is going on, wipes and frees; NULL is fine. Streams go with it. */
CN_API void cn_call_free(struct cn_call *call);

/* Give room for so many. While the server is called several of its addresses may be tried at once,
 * and names looked up; an open call has its line, and one that tells of changes of the network. */
enum { CN_CALL_DESCRIPTORS_MAX = 9 };
/* Fill up to max entries with descriptors to wait for; the count. */
CN_API size_t cn_call_descriptors(struct cn_call *call, struct pollfd *descriptors, size_t max);
/* Milliseconds until cn_call_process is due whatever the descriptors do; -1: never. */
CN_API int cn_call_timeout_ms(const struct cn_call *call);
/* Do what can be done without blocking. Failures come as events. */
CN_API void cn_call_process(struct cn_call *call);
/* False: none for now. */
CN_API bool cn_call_next_event(struct cn_call *call, struct cn_event *event);
/* Block until there is an event or timeout_ms is over (-1: no limit), and take it.
 * CN_E_TIMEOUT: none came; CN_E_SYSTEM: poll failed. */
CN_API CN_MUST_USE enum cn_err cn_call_wait(struct cn_call *call, int timeout_ms,
                                            struct cn_event *event);

/* Before OPEN: for how many seconds to go on if the line of the open call is lost; 0, as at first:
 * not at all; UINT32_MAX: without limit. The two ends take the shorter time. Meanwhile streams take
 * what fits, and nothing is lost, doubled or out of order. A call that is done may wait, 10 minutes
 * at most, to tell a partner who has lost its line that it is. */
CN_API void cn_call_set_resume(struct cn_call *call, uint32_t seconds);
/* While the line is lost, look whether the partner has begun anew: whether it comes for the next
 * call of this kind, but for a minute not back to this one. Then its program was ended, and the
 * call closes with CN_E_ANEW. Only where no other call of ours waits for this contact and service.
 */
CN_API void cn_call_set_watch(struct cn_call *call);
/* Say that all is done: what was received has been dealt with. The call closes, with CN_OK at both
 * ends, when both have said so, all streams are finished or reset both ways, and all sent octets
 * are received. */
CN_API void cn_call_finish(struct cn_call *call);
/* Give up: the partner is told why (CN_E_REFUSED, CN_E_CANCELLED, CN_E_SYSTEM). Process until
 * CN_EVENT_CLOSED, which takes five seconds at most, or free: then the partner may not hear it. */
CN_API void cn_call_cancel(struct cn_call *call, enum cn_err why);

/* With whom, and for what, the call is. Of several that it waits for, known from JOINED on, and
 * until the line is dialled again; NULL and 0 before, as cn_call_suite, and false as the two that
 * follow it. Valid until the call is freed. */
CN_API const char *cn_call_contact(const struct cn_call *call);
CN_API enum cn_call_service cn_call_service(const struct cn_call *call);
/* How many of them the server lets one line wait for, as it said last; 0: it has not said yet. More
 * have to be shared out among several calls. A server with its defaults says 512. */
CN_API size_t cn_call_wants_max(const struct cn_call *call);
CN_API const char *cn_call_suite(const struct cn_call *call); /* static */
/* Where the line to the server goes, for messages: an address of cn_admission_info, and through
 * which proxy, if any. Empty before CONNECTED; valid until the next use of the call. */
CN_API const char *cn_call_server(const struct cn_call *call);
CN_API bool cn_call_is_caller(const struct cn_call *call);
CN_API bool cn_call_verified(const struct cn_call *call); /* contact's safety number compared */
CN_API const struct cn_admission_note *cn_call_admission_note(const struct cn_call *call);
/* 32 octets that only the two ends know, for binding other protocols to this call.
 * CN_E_UNEXPECTED: it is not open yet; CN_E_CRYPTO. */
CN_API CN_MUST_USE enum cn_err cn_call_export(const struct cn_call *call, uint8_t out[32]);

/* --- Streams -------------------------------------------------------------------------------- */

enum cn_stream_state {
    CN_STREAM_OPEN = 0,
    CN_STREAM_ENDED, /* the partner's authenticated end was read; nothing is missing */
    CN_STREAM_RESET  /* the partner gave it up */
};

/* Open a stream of a kind (1 to 254: the service's own meaning), with up to 1024 octets that the
 * partner gets with it. CN_E_USAGE: another kind, or more octets; CN_E_LIMIT: too many;
 * CN_E_MEMORY; CN_E_UNEXPECTED: the call is not open. */
CN_API CN_MUST_USE enum cn_err cn_stream_open(struct cn_call *call, uint8_t kind,
                                              const void *parameters, size_t parameters_size,
                                              struct cn_stream **stream);
CN_API uint8_t cn_stream_kind(const struct cn_stream *stream);
/* What it was opened with; valid while the stream is. */
CN_API const void *cn_stream_parameters(const struct cn_stream *stream, size_t *size);
/* A pointer of the owner's, NULL at first. */
CN_API void cn_stream_set_user(struct cn_stream *stream, void *user);
CN_API void *cn_stream_user(const struct cn_stream *stream);

/* What goes first when several streams have something to send. Streams of one priority share the
 * line fairly, by octets, and one that is quiet most of the time goes before one that never is. */
enum cn_stream_priority {
    CN_PRIORITY_INTERACTIVE =
        0,              /* somebody waits for each word: before all others, so say little */
    CN_PRIORITY_NORMAL, /* at first */
    CN_PRIORITY_BULK    /* what the others leave */
};
/* Ours alone: how the partner sends is its own matter. */
CN_API void cn_stream_set_priority(struct cn_stream *stream, enum cn_stream_priority priority);

/* Room to write into: *size octets, 0 if the window is full (then WRITABLE comes later). Fill any
 * number of them and commit that. The pointer is valid until the next use of the call. */
CN_API uint8_t *cn_stream_reserve(struct cn_stream *stream, size_t *size);
CN_API void cn_stream_commit(struct cn_stream *stream, size_t size);
/* Copy what fits; how much that was. */
CN_API size_t cn_stream_write(struct cn_stream *stream, const void *data, size_t size);
/* No more will be written: the partner reads an authenticated end. */
CN_API void cn_stream_finish(struct cn_stream *stream);
/* Give the stream up in both directions; code is the service's. */
CN_API void cn_stream_reset(struct cn_stream *stream, uint32_t code);

/* What has arrived: *size octets, 0 if none. Valid until the next use of the call. */
CN_API const uint8_t *cn_stream_peek(struct cn_stream *stream, size_t *size);
/* size of them are dealt with. */
CN_API void cn_stream_consume(struct cn_stream *stream, size_t size);
/* Copy and consume; how much. */
CN_API size_t cn_stream_read(struct cn_stream *stream, void *data, size_t size);
/* What consuming everything has led to. */
CN_API enum cn_stream_state cn_stream_state(const struct cn_stream *stream);
CN_API uint32_t cn_stream_reset_code(const struct cn_stream *stream);

/* Tell the partner that all octets below offset are safe on disk. */
CN_API void cn_stream_set_durable(struct cn_stream *stream, uint64_t offset);

struct cn_stream_progress {
    uint64_t written;  /* by us */
    uint64_t received; /* of these, by the partner's library */
    uint64_t durable;  /* of these, on the partner's disk, if the service says so */
    bool end_received; /* the partner has read all of it, and our end */
    uint64_t read;     /* consumed by us */
};
CN_API void cn_stream_progress(const struct cn_stream *stream, struct cn_stream_progress *progress);
/* Forget a stream that is finished or reset both ways. The pointer is dead afterwards. */
CN_API void cn_stream_release(struct cn_stream *stream);

#ifdef __cplusplus
}
#endif

#include <cyphernet/tunnel.h>

#endif
