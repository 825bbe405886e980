/* agent.h - the answering agent: lines that wait for all contacts, and the calls that come of them.
 *
 * agent.c is the loop; waiting.c keeps the lines as rules, contacts, queue and other programs of
 * the user want them; answer.c begins what a call that is open is for, and each answer_*.c does
 * one. */
#ifndef CN_AGENT_H
#define CN_AGENT_H

#include <poll.h>

#include "cli.h"
#include "control.h"
#include "history.h"
#include "notifying.h"
#include "queue.h"
#include "rules.h"
#include "signals.h"

enum {
    CN_AGENT_CALL_COUNT_MAX = 64, /* lines among them */
    CN_AGENT_CALLS_EACH_MAX = 32, /* of one contact: he leaves room for others */
    CN_AGENT_LINE_COUNT_MAX = 8,
    CN_AGENT_WANT_COUNT = 512, /* of a line, until the server has said how many it allows */
    CN_AGENT_POLLED_COUNT = CN_CALL_DESCRIPTORS_MAX + 3
};

struct cn_agent;
struct cn_agent_call;

/* What is done with a call that is open. */
struct cn_answer {
    const char *service; /* in the history */
    /* False: it cannot be done. The call has been cancelled, and outcome and what say why. */
    bool (*begin)(struct cn_agent_call *c);
    /* One round without waiting, events of the call included. When nothing is left to be done it
     * sets `over`. */
    void (*process)(struct cn_agent_call *c);
    /* Fills CN_AGENT_POLLED_COUNT at most, the call's too, and shortens *timeout_ms. */
    size_t (*descriptors)(struct cn_agent_call *c, struct pollfd *polled, int *timeout_ms);
    /* End it, as well as can be, and soon. */
    void (*leave)(struct cn_agent_call *c);
    /* Say what came of it, and free what begin has made, if it has; the call is freed after it. */
    void (*end)(struct cn_agent_call *c);
};

extern const struct cn_answer cn_answer_files, cn_answer_delivery, cn_answer_tunnel, cn_answer_pipe,
    cn_answer_talk, cn_answer_refusal;

struct cn_agent_call {
    struct cn_agent *agent; /* borrowed */
    struct cn_call *call;   /* owned */
    char contact[65];       /* from JOINED on, as the next three */
    enum cn_call_service service;
    bool caller;
    bool joined;
    bool over;
    const char *kind;               /* of the answer that is wanted, for the history */
    const struct cn_answer *answer; /* from OPEN on */
    void *work;                     /* the answer's */
    const struct pollfd *polled;    /* what poll has said of its descriptors; NULL: nothing */
    size_t polled_at;
    enum cn_history_outcome outcome;
    char what[CN_HISTORY_WHAT_SIZE];
};

struct cn_agent_want {
    char contact[65];
    enum cn_call_service service;
    bool caller;
};

/* One that waits; it is none of `call` yet. */
struct cn_agent_line {
    struct cn_agent_call *call; /* owned; NULL: it could not be opened, or is not to be yet */
    struct cn_agent_want *want; /* owned */
    size_t want_count;
    uint64_t open_ms;  /* not before; 0: at once */
    uint64_t since_ms; /* it waits; 0: it does not yet */
    unsigned failures; /* one after the other */
};

/* A delivery of the queue. */
struct cn_pending {
    char id[CN_DELIVERY_ID_SIZE];
    char contact[65];
    bool under_way;
    bool found; /* while the queue is being read */
    unsigned failures;
    uint64_t due_ms;
};

struct cn_agent {
    struct cn_cli *cli; /* borrowed, as its home */
    struct cn_rules rules;
    struct cn_control control;
    struct cn_history history;
    struct cn_signals signals;
    struct cn_notifying notifying;
    int inotify; /* -1: none */
    int watch_home, watch_contacts, watch_queue;
    struct cn_contact_info *contact; /* owned */
    size_t contact_count;
    bool *unusable;             /* owned: of these, which cannot be called */
    struct cn_pending *pending; /* owned */
    size_t pending_count;
    struct cn_agent_line line[CN_AGENT_LINE_COUNT_MAX];
    size_t line_count;
    size_t line_want_count;                              /* that one may have */
    struct cn_agent_call *call[CN_AGENT_CALL_COUNT_MAX]; /* owned; no gaps */
    size_t call_count;
    bool contacts_stale, queue_stale; /* to be read again */
    bool wants_stale;                 /* to be made again */
    bool reopen;                      /* all lines, whatever they wait for */
    uint64_t wants_due_ms;            /* when they are stale by themselves */
    uint64_t again_ms;                /* what is stale is not looked at before */
    bool told_waiting, told_lost, told_starved;
    size_t told_waiting_count; /* of contacts */
    size_t told_calls;         /* to the service manager */
    bool ending;
    int code;
    struct pollfd polled[2 + CN_CONTROL_DESCRIPTOR_COUNT + CN_NOTIFYING_COUNT_MAX +
                         CN_AGENT_LINE_COUNT_MAX * CN_CALL_DESCRIPTORS_MAX +
                         CN_AGENT_CALL_COUNT_MAX * CN_AGENT_POLLED_COUNT];
};

/* rules_file.c: read agent.conf into *rules; none is as one that is empty. False: it cannot be
 * used, why was said, and *rules is untouched. */
bool cn_rules_file_read(struct cn_cli *cli, struct cn_rules *rules);

/* agent.c: */
/* Until a signal; the exit code. */
int cn_agent_run(struct cn_cli *cli);
void cn_agent_shorten(int *timeout_ms, int due_ms);

/* waiting.c: bring the lines into the state that is wanted. */
void cn_waiting_update(struct cn_agent *agent);
/* One round of all of them; who is joined becomes one of the calls. */
void cn_waiting_process(struct cn_agent *agent);
int cn_waiting_timeout_ms(const struct cn_agent *agent);
void cn_waiting_end(struct cn_agent *agent);
/* What was stale still is, and is looked at again before long; why is told once. */
void cn_waiting_again(struct cn_agent *agent, enum cn_err err, const char *what);

/* pending.c: what the queue holds. */
void cn_pending_read(struct cn_agent *agent);
/* The next for a contact, that is due and not under way; NULL: none. */
struct cn_pending *cn_pending_next(const struct cn_agent *agent, const char *contact);
struct cn_pending *cn_pending_find(const struct cn_agent *agent, const char *id);
/* It was interrupted: again, but not at once. */
void cn_pending_delay(struct cn_agent *agent, struct cn_pending *pending);
/* When one comes to be due that is not yet; UINT64_MAX: there is none. */
uint64_t cn_pending_due_ms(const struct cn_agent *agent);

/* answer.c: what an open call is for. */
void cn_answer_begin(struct cn_agent_call *c);
/* Free it; before that say what came of it, if it was open. */
void cn_agent_call_end(struct cn_agent_call *c);
/* Parts of answers: what to wait for of the call alone; and to leave it at once. */
size_t cn_agent_call_descriptors(struct cn_agent_call *c, struct pollfd *polled, int *timeout_ms);
void cn_agent_call_leave(struct cn_agent_call *c);
void cn_agent_call_tell(struct cn_agent_call *c, enum cn_history_outcome outcome,
                        const char *format, ...) __attribute__((format(printf, 3, 4)));
/* The words for how a call ended that was not done. */
void cn_agent_call_tell_end(struct cn_agent_call *c, enum cn_err err, const char *so_far);
const struct cn_rule *cn_agent_rule(const struct cn_agent *agent, const char *contact);

/* answer_talk.c: hand the talk that is held, with the contact whom he names, to who asks for it.
 * False: there is none, and he has no answer. */
bool cn_answer_talk_attach(struct cn_agent *agent, struct cn_asker *asker);

/* service.c: what a service manager is told. */
void cn_service_say(const char *text);

#endif
