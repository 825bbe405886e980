/* owner.h - a process that has a call, at one end of it: the call is the library's own, on the
 * connections of net.h; this is its setup, its clocks, its memory and chance, and its sleep. */
#ifndef CN_SIM_OWNER_H
#define CN_SIM_OWNER_H

#include "../../client/calling.h"
#include "people.h"

enum { OWNER_NAME_SIZE = 24 };

struct owner_setup {
    char name[OWNER_NAME_SIZE]; /* in traces */
    int person;                 /* whose home it uses */
    const struct subscriber *who;
    struct cn_call_want want;
    uint32_t resume_s;
    uint64_t wait_ms; /* UINT64_MAX: without limit */
    bool watches;     /* whether the partner begins anew, while the line is lost */
};

struct owner {
    struct owner_setup setup;
    struct cn_call *call; /* NULL: there is no process */
    enum cn_err error;    /* that CLOSED told */
    unsigned resumes;     /* so many times a call went on */

    /* its process and machine */
    struct cn_home home;
    struct cn_memory memory;
    size_t octets;                       /* of memory of its streams, taken and not given back */
    size_t secret_octets;                /* likewise, locked */
    unsigned descriptors;                /* open */
    uint64_t memory_fails, random_fails; /* so many times from now; 0: never */
    bool memory_failed, random_failed;   /* it has */
    int64_t ahead_ms, ahead_s;           /* its clocks, of the world's */
    bool date_was_set;
    uint64_t frozen_until_ms; /* the machine sleeps */
    bool network_changed;     /* and nobody has looked */
    bool address_is_gone;     /* that its line has */

    /* for the oracle, by its clock */
    uint64_t leapt_ms; /* when that was set forward */
    uint64_t heard_ms; /* when octets came */
    uint64_t asked_ms; /* since then something has not been answered; 0: nothing */
};

void owner_begin(struct owner *owner, const struct owner_setup *setup);
/* The process dies; its descriptors are closed for it. Fine after the end, too. */
void owner_wipe(struct owner *owner);

bool owner_is_open(const struct owner *owner);
/* CLOSED has been told, or will be; or there is no process. */
bool owner_is_over(const struct owner *owner);

/* Whether the process would wake up now. */
bool owner_is_ready(struct owner *owner);
void owner_process(struct owner *owner);
/* When it would by itself, by the world's clock; UINT64_MAX: never. */
uint64_t owner_due_ms(struct owner *owner);
bool owner_next_event(struct owner *owner, struct cn_event *event);
CN_MUST_USE enum cn_err owner_stream_open(struct owner *owner, uint8_t kind, const void *parameters,
                                          size_t size, struct cn_stream **stream);

void owner_finish(struct owner *owner);
void owner_cancel(struct owner *owner, enum cn_err why);
/* Its clock is set forward. */
void owner_leap(struct owner *owner, uint64_t by_ms);
/* The machine's network has changed: nothing passes its line any more, or its address is gone, as
 * the machine knows; or neither. */
void owner_network_changes(struct owner *owner, bool line_dies, bool address_goes);

/* For so many milliseconds it has had no line that carries, of those in which it could have seen
 * that; 0: one does, or nothing has to be carried. */
uint64_t owner_stalled_ms(struct owner *owner);

struct cn_now owner_now(const struct owner *owner);

/* Whose code runs; NULL: the server's, or the simulator's own. */
struct owner *owner_running(void);
/* Until the other is called, with what this returned, nobody's of them. */
struct owner *owner_pause(void);
void owner_go_on(struct owner *owner);

#endif
