/* tunneling.h - a call that carries a tunnel, as `forward`, `serve` and `connect` have it. */
#ifndef CN_TUNNELING_H
#define CN_TUNNELING_H

#include "dial.h"

struct pollfd;

enum { CN_TUNNELING_DESCRIPTOR_COUNT = CN_CALL_DESCRIPTORS_MAX + 1 };

struct cn_tunneling {
    struct cn_cli *cli;
    struct cn_dial dial;
    struct cn_tunnel *tunnel; /* owned until cn_tunneling_end */
    bool serving;             /* it is the partner who asks */
    bool joined;              /* with one connection, at whose end all is done */
    bool given_up;            /* some connection, as all ended */
    bool begun;
    bool closed;       /* the call is over */
    uint64_t leave_ms; /* when it is over whatever the partner says; 0: it may take its time */
    unsigned opened;   /* connections */
    unsigned refused;  /* connections that were, and have been told of */
    int code;          /* once closed: the exit code */
};

/* As many connections at once as the system allows. */
void cn_tunneling_prepare(void);
/* Says what is wrong with what was given to the tunnel, with the form it has; the exit code.
 * CN_OK: nothing. */
int cn_tunneling_check(const struct cn_tunneling *t, enum cn_err err, const char *form);
/* What the tunnel has to tell. Where it listens is told before the call. */
void cn_tunneling_tell(struct cn_tunneling *t);
/* End it well, and soon: a partner that does not confirm that is left without a word. */
void cn_tunneling_leave(struct cn_tunneling *t);
/* One round, without waiting: the call is open, or being placed by cn_dial_start. */
void cn_tunneling_process(struct cn_tunneling *t);
/* What to wait for: fills CN_TUNNELING_DESCRIPTOR_COUNT at most, and shortens *timeout_ms. */
size_t cn_tunneling_descriptors(struct cn_tunneling *t, struct pollfd *descriptors,
                                int *timeout_ms);
/* Of who asks: dial, and carry until the call is over. interruptible: a signal ends it well, and a
 * second one at once. The exit code; all has been said. */
int cn_tunneling_call(struct cn_tunneling *t, bool interruptible);
/* Frees the tunnel and the call. */
void cn_tunneling_end(struct cn_tunneling *t);

#endif
