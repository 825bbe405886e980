/* faults.h - what goes wrong in a seed: on lines, at the server, and at the ends; until it stops.
 */
#ifndef CN_SIM_FAULTS_H
#define CN_SIM_FAULTS_H

#include "net.h"
#include "session.h"

/* How lines are in this seed, and how much goes wrong. Nothing does after until_ms. */
struct weather {
    uint64_t latency_ms, jitter_ms, rate;
    size_t buffer_size; /* of each way, at most */
    bool slices;
    uint64_t line_fault;  /* one way of a line in so many has one; 0: none */
    bool ends_are_forged; /* somebody on the way ends connections as an end of the call would */
    bool is_fatal;        /* something will happen to an end of which its partner is never told */
    unsigned event_count; /* other things that happen */
    uint64_t until_ms;
    uint64_t rehandshake_size; /* octets after which fresh keys are due; 0: as ever */
    bool is_calm;              /* nothing goes wrong but what is planned here, */
    int planned_line;          /* on the line of this number, from 1, */
    struct net_plan plan[2];   /* each way */
};

extern struct weather weather;

/* By chance. */
void faults_begin(void);
/* Nothing goes wrong but this, on the line of this number, from 1: each way. */
void faults_begin_calm(int line, const struct net_plan plan[2]);

/* The line that an end is about to have. */
void faults_plan(struct net_setup *setup);
uint64_t faults_connect_ms(void);
/* Fresh keys come due early. */
void faults_rehandshake(struct cn_session *session);

/* When the next thing happens; UINT64_MAX: none. */
uint64_t faults_due_ms(void);
void faults_happen(void);
/* They have stopped. */
bool faults_are_over(void);

#endif
