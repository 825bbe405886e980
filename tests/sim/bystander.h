/* bystander.h - another program in the home of an end whose line is lost: for a while it waits for
 * the call that this end watches for. Who watches must not drive it out: client/waiting.h. */
#ifndef CN_SIM_BYSTANDER_H
#define CN_SIM_BYSTANDER_H

#include "owner.h"

struct bystander {
    struct owner owner;
    uint64_t delay_ms; /* from when the line is lost until it comes; UINT64_MAX: never */
    uint64_t come_ms;  /* when that is; 0: not known yet */
    uint64_t leave_ms;
};

/* It has not come. */
void bystander_begin(struct bystander *bystander, uint64_t delay_ms);
void bystander_wipe(struct bystander *bystander);

/* Beside this end. */
bool bystander_is_ready(struct bystander *bystander, const struct owner *end);
void bystander_step(struct bystander *bystander, const struct owner *end);
uint64_t bystander_due_ms(struct bystander *bystander, const struct owner *end);

#endif
