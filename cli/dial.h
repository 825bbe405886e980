/* dial.h - placing a call from a command: waiting visibly, and saying why when it fails. */
#ifndef CN_DIAL_H
#define CN_DIAL_H

#include "cli.h"

struct cn_dial {
    struct cn_call *call;        /* owned until cn_dial_end */
    const char *name;            /* the contact */
    const char *partner_command; /* what the partner should run, without its name for us */
    char my_name[65];            /* the partner's name for us; empty if unknown */
    bool was_connected;
    bool was_hung_up; /* by the server, before it had said anything */
    bool patient;     /* an answerer: a server that is down is waited for too */
    bool was_joined;  /* somebody has come */
    bool is_lost;     /* and gone before it was open */
    bool was_waiting;
    bool is_open;
    bool shared; /* several of my programs may call at once: one that another takes the place of
                  * dials again */
    uint64_t wait_until_ms; /* while it does; 0: at first */
    int64_t resume_s;       /* how long a line that is lost is sought again; 0: an hour */
    uint64_t lost_ms;       /* since then the line is, which is sought again; 0: it is there */
    bool watches;           /* no other call of ours waits for the same: cn_call_set_watch */
    bool again;             /* not the first of its kind: that it waits is not said */
    bool can_starve;        /* a start for which the system has no room is for its owner to tell,
                             * and to try again */
    bool is_starved;        /* such a one has failed */
    int events_fd;          /* JSON events go there; -1: nowhere */
};

/* The descriptor of --events, if it is given: before any of our own is opened, which it would be
 * taken for. CN_EXIT_USAGE: it is none, or standard input or output, which is said. */
int cn_dial_events(struct cn_cli *cli, struct cn_dial *dial);
/* What can be seen to be wrong of the command line, before anything is begun; it is said. */
int cn_dial_check(struct cn_cli *cli, const struct cn_dial *dial, bool answer);
/* Dial NAME and wait until the call is open. CN_EXIT_DONE: dial->call is open. Else everything has
 * been said and cleaned up. */
int cn_dial(struct cn_cli *cli, struct cn_dial *dial, enum cn_call_service service, bool caller,
            bool answer);
/* The same in steps, for who has several calls: begin; then take every event, and say what is to be
 * said. CN_EXIT_DONE: go on. Else everything has been said; of a failed start also cleaned up. */
int cn_dial_start(struct cn_cli *cli, struct cn_dial *dial, enum cn_call_service service,
                  bool caller, bool answer);
int cn_dial_take(struct cn_cli *cli, struct cn_dial *dial, const struct cn_event *event);
/* CN_EVENT_CARDS of an open call, whose other events are somebody else's. */
void cn_dial_cards(struct cn_cli *cli, const struct cn_dial *dial, enum cn_err err);
/* An event of an open call's line: it is silent, lost, or there again. False: another event. Else
 * text says it, in one line, and --events and --json were told. */
enum { CN_LINE_TEXT_SIZE = 256, CN_RESUME_S = 3600, CN_RESUME_FILES_S = 7 * 86400 };
bool cn_dial_line(const struct cn_cli *cli, struct cn_dial *dial, const struct cn_event *event,
                  char text[CN_LINE_TEXT_SIZE]);
/* The same, and the text is said. */
bool cn_dial_tell_line(const struct cn_cli *cli, struct cn_dial *dial,
                       const struct cn_event *event);
/* Say why an open call ended with err; the exit code. */
int cn_dial_ended(struct cn_cli *cli, struct cn_dial *dial, enum cn_err err);
/* An event for --events and --json: one JSON object a line. extra: further members, ",\"k\":1", or
 * "". */
void cn_dial_event(const struct cn_cli *cli, const struct cn_dial *dial, const char *event,
                   const char *extra);
/* The caller's stream. One that cannot be had ends the call: *code says so, and CLOSED comes. If
 * the call is over already CLOSED says why. */
void cn_dial_stream(const struct cn_dial *dial, uint8_t kind, struct cn_stream **stream, int *code);
/* What the operator told us through the server. */
void cn_tell_notices(struct cn_cli *cli, const struct cn_dial *dial);
/* The last event: done, or why not, for an exit code. cn_dial says it itself when it fails. */
void cn_dial_over(const struct cn_cli *cli, const struct cn_dial *dial, int code);
/* The user ends an open call before its end: the partner hears so, if it is there. Not much longer
 * than that takes. */
void cn_dial_leave(struct cn_dial *dial);
/* We have given it up; say so if the line is lost, so that the partner does not know. */
void cn_dial_tell_untold(const struct cn_dial *dial);
void cn_dial_end(struct cn_dial *dial);
/* Whether the system has room for another call: descriptors and memory. */
bool cn_has_room(void);
/* An errno that says that there are no more descriptors, or no memory: it may go well later. */
bool cn_is_shortage(int system_error);

/* Option of commands that have calls. */
#define CN_OPTION_RESUME(default_text) \
    { \
        "resume-for", 0, "SECONDS", offsetof(struct cn_cli, resume_for), \
            "go on if the line is lost and found again by then (" default_text ")" \
    }

/* A clock that differs by so much is told of. */
enum { CN_CLOCK_OFF_S = 300, CN_SPAN_TEXT_SIZE = 64 };

/* "12 minutes"; the sign does not matter. */
void cn_span_text(int64_t seconds, char out[CN_SPAN_TEXT_SIZE]);
/* "2026-11-24", UTC. */
void cn_date_text(uint64_t utc_s, char out[CN_SPAN_TEXT_SIZE]);
/* An enum cn_refusal in words, and what to do; static. */
const char *cn_refusal_what(int refusal);
const char *cn_refusal_hint(int refusal);

#endif
