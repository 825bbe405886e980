/* call.h - calls: two ends each, what is to become of them, and whether it has. */
#ifndef CN_SIM_CALL_H
#define CN_SIM_CALL_H

#include "bystander.h"
#include "disk.h"
#include "owner.h"
#include "people.h"
#include "program.h"

enum { CALL_COUNT_MAX = 2, CALL_PROCESS_COUNT = 3 };

struct side {
    struct owner owner;
    struct program program;
    bool killed;            /* its process, which does not come back */
    bool cancelled;         /* by its user */
    uint64_t restart_ms;    /* when the program is started again; 0: it runs, or never will */
    uint64_t kill_after_ms; /* when it has been open for so long it is killed; UINT64_MAX: not so */
    uint64_t kill_ms;       /* then; UINT64_MAX: not known */
    unsigned starts;
    enum cn_err told;                  /* once its program has heard CLOSED */
    bool memory_failed, random_failed; /* in some life of it */
};

struct call {
    struct course course;
    enum cn_call_service service;
    const struct subscriber *people; /* two */
    uint32_t resume_s[2];
    uint64_t wait_ms[2];
    bool may_be_lost; /* for a good reason that is not at an end */
    uint64_t file_size;
    struct disk disk;
    struct side end[2]; /* 0 is Alice's; */
    int caller;         /* which of them calls */
    struct bystander bystander;
    int bystander_of; /* which of them it is beside */
};

extern struct call calls[CALL_COUNT_MAX];
extern unsigned call_count;

/* Calls of this seed, by chance; or one that is short, and always the same. */
void calls_begin(bool scripted);
void calls_wipe(void);

/* The process of an end is killed. It comes back in restart_ms if it is one of files. */
void call_kill(struct call *call, int end, uint64_t restart_ms);
/* Its user gives up. */
void call_cancel(struct call *call, int end);

/* Whether a process, of an end or the bystander's, has something to do at this moment; do it. */
bool call_process_is_ready(struct call *call, int process);
void call_process_step(struct call *call, int process);
uint64_t call_process_due_ms(struct call *call, int process);

/* What always holds; and what does when nobody has anything to do at this moment. */
void call_check(struct call *call);
void call_check_told(const struct call *call);
/* Whether nothing more will come of it. */
bool call_is_over(const struct call *call);
/* Whether it ended as it had to. */
void call_judge(struct call *call);

#endif
