/* calling.h - the inside of a struct cn_call, for the files that make it: call.c turns its states,
 * call_line.c has the line to the server, call_resume.c what becomes of it when the line is lost,
 * call_about.c what can be asked of it. */
#ifndef CN_CALLING_H
#define CN_CALLING_H

#include <cyphernet.h>

#include "call.h"
#include "connect.h"
#include "handing.h"
#include "home.h"
#include "session.h"
#include "wants.h"

enum { CN_CALL_EVENT_COUNT_MAX = 8 }; /* of the call itself, not yet taken */
enum { CN_CALL_RETRY_MS_MIN = 100 };

enum call_state {
    CALL_CONNECTING, /* to whichever of the server's addresses answers first */
    CALL_RUNNING,    /* a session is on the line */
    CALL_PAUSED,     /* until retry_ms */
    CALL_LEAVING,    /* our CLOSE is on its way; until the partner has it, or leave_ms */
    CALL_CONFIRMING, /* both have said CLOSE: until the partner is known to know, or leave_ms */
    CALL_OVER
};

/* What is secret, in locked memory. */
struct call_secrets {
    struct cn_fingerprint fingerprint;
    struct cn_fingerprint next; /* that the next line begins with: a notice has changed it */
    struct cn_pair resumed;     /* once open, or perhaps: with the keys of this call alone */
    struct cn_exporter_secret exporter; /* likewise */
    struct cn_session session;
    struct cn_handing handing; /* once open */
    struct cn_proxy_setting proxy;
};

struct cn_call {
    struct cn_home *home; /* borrowed */
    struct call_secrets *secrets;
    struct cn_wants wants;
    const struct cn_want *met;     /* once open: which of them it is */
    const struct cn_want *perhaps; /* before: a line was lost after our Finish, so that the partner
                                    * may have this one open; NULL: none */
    bool narrowed;                 /* to that */
    struct cn_call_limits limits;  /* the partner's, of the first handshake of either */
    struct cn_want again[2];       /* when it resumes: the partner's end of it, and a witness */
    enum call_state state;
    enum cn_err error; /* once OVER */
    bool open;         /* some session got that far */
    bool resuming;     /* sessions are not the call's first */
    bool lost;         /* the line is, and another is sought until lost_until_ms */
    uint64_t lost_since_ms;
    uint64_t lost_until_ms;    /* UINT64_MAX: without limit */
    uint64_t lost_tell_ms;     /* when to tell the owner again; UINT64_MAX: never */
    uint32_t resume_s;         /* how long the owner would seek; once open, the partner too */
    bool quiet;                /* it was told that the partner is */
    bool watches;              /* whether the partner began anew, while the line is lost */
    bool watching;             /* it does, on the line in hand or the next */
    uint64_t watch_ms;         /* not before */
    int waiting;               /* cn_waiting_open: our places, or the one that we watch */
    bool waits_aside;          /* somebody watches one of them */
    unsigned anew_count;       /* lines in a row on which it seemed so */
    bool confirming;           /* all is done here; only that the partner knows is missing */
    int socket;                /* -1: none */
    int network;               /* tells of changes, once open; -1: nothing does */
    struct cn_connect connect; /* while CONNECTING */
    size_t address_index;      /* of the fingerprint's: where the line goes */
    size_t first_address;      /* likewise: where the next one is tried first */
    char server[CN_ADDRESS_SIZE_MAX + CN_PROXY_NAME_SIZE + 16]; /* where the line goes, in words */
    size_t unheard_count;   /* of them, in this round: connected, but the server did not answer */
    uint64_t line_since_ms; /* when its session began */
    uint64_t look_ms;       /* while it waits: when to look whether contacts have changed */
    uint64_t retry_ms;
    uint64_t retry_delay_ms;
    uint64_t leave_ms;       /* once cancelled: when it is over whatever the line does; else 0 */
    uint64_t wait_until_ms;  /* UINT64_MAX: without limit */
    uint64_t first_until_ms; /* until then only a failure says that the server cannot be reached */
    enum cn_err failure;     /* why the last line was lost; CN_OK once one waits */
    unsigned handshake_failures;
    size_t want_count_max;      /* that the server allows; 0: not known yet */
    bool has_next;              /* secrets->next */
    bool notices_taken;         /* of this session's verdict */
    enum cn_session_state told; /* the session state that events were made for */
    struct cn_mux mux;
    struct cn_admission_note note;
    struct cn_event event[CN_CALL_EVENT_COUNT_MAX];
    size_t event_count;
};

struct cn_now cn_calling_now(void);
void cn_calling_tell(struct cn_call *call, enum cn_event_type type, enum cn_err err);
/* Over, if it is not. */
void cn_calling_end(struct cn_call *call, enum cn_err err);

/* It waits for nobody any more, as far as other programs of ours see. */
void cn_calling_unwait(struct cn_call *call);
/* The line is closed, or what is tried for one. */
void cn_calling_close(struct cn_call *call);
/* The same of one that is given up: reset, if a call has stood on it, since its end tells a partner
 * who has said CLOSE that we have it. */
void cn_calling_break(struct cn_call *call);
/* call_line.c: */
/* Wait a little, and a little longer each time, and dial again. */
void cn_calling_retry(struct cn_call *call, enum cn_err err, struct cn_now now);
void cn_calling_dial(struct cn_call *call, struct cn_now now);
/* What connecting has come to. */
void cn_calling_took(struct cn_call *call, enum cn_err err, struct cn_now now);
/* Whoever answers there is not the server, or not well: another address, one of those that are left
 * in this round, is tried at once, like one that cannot be connected. False: there is none. */
bool cn_calling_elsewhere(struct cn_call *call, struct cn_now now);
/* If another program has taken cards meanwhile, the line that stands is of no use. */
bool cn_calling_renew(struct cn_call *call);
/* Whether something was read. The end and errors: the line is lost. */
bool cn_calling_read(struct cn_call *call, struct cn_now now);
/* False: it is broken. */
bool cn_calling_write(struct cn_call *call, struct cn_now now);
void cn_calling_note_verdict(struct cn_call *call, struct cn_now now);
/* The events that the session's states stand for. */
void cn_calling_tell_states(struct cn_call *call, struct cn_now now);

/* call_resume.c: begin to watch, if that is due and nobody else of ours waits there. */
bool cn_calling_watch(struct cn_call *call, struct cn_now now);
/* A session that failed: is it over, or tried again? */
void cn_calling_failed(struct cn_call *call, struct cn_now now);
/* What a call met for this one needs of its first handshake to go on. False: it cannot. */
bool cn_calling_keep(struct cn_call *call, const struct cn_want *met);
/* What the partner's CLOSE with this code means. */
enum cn_err cn_calling_closed_error(uint32_t code);
/* The partner has given the call up and said why. */
bool cn_calling_close_told(const struct cn_mux *mux);
/* Our CLOSE has been sent, with why we give up: until the partner has it. */
void cn_calling_leave(struct cn_call *call);
void cn_calling_leaving(struct cn_call *call, struct cn_now now);
/* Both have said CLOSE: until the partner is known to know. */
void cn_calling_confirm(struct cn_call *call, struct cn_now now);
void cn_calling_confirming(struct cn_call *call, struct cn_now now);
/* The line was lost before. */
void cn_calling_unconfirmed(struct cn_call *call, struct cn_now now);
/* After a PING, which goes out after a second without an acknowledgement, when the partner counts
 * as quiet: for cn_mux_quiet_ms. */
enum { CN_CALL_QUIET_MS = 1500 };
/* A partner that is silent where it should not be, and one that is not so any more. */
void cn_calling_tell_quiet(struct cn_call *call, struct cn_now now);

/* Tell that the line is lost still, where it is time for that. */
void cn_calling_tell_lost(struct cn_call *call, struct cn_now now);
/* The network of this machine has changed: what could not be reached may be, now; and a line that
 * stood may be dead. */
void cn_calling_network_changed(struct cn_call *call, struct cn_now now);

#endif
