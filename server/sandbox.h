/* sandbox.h - what a process may still ask of the kernel once it has begun: all else ends it with
 * SIGSYS. No file can be opened by path any more. A failed assertion may still be told, and end it
 * with SIGABRT. */
#ifndef CN_SANDBOX_H
#define CN_SANDBOX_H

#include "err.h"

enum cn_sandbox {
    CN_SANDBOX_SWITCH,  /* moves octets between descriptors that it is given */
    CN_SANDBOX_GATE,    /* accepts, reads, writes, allocates */
    CN_SANDBOX_METRICS, /* accepts, reads, writes, allocates; MHD's way */
    CN_SANDBOX_COUNT
};

/* No new privileges; Landlock without a rule, where the kernel has it; seccomp. For good, and for
 * this thread. CN_E_SYSTEM (errno): not in force. A program built with sanitizers, which need more
 * of the kernel, goes without, and says so in its log. */
CN_MUST_USE enum cn_err cn_sandbox_enter(enum cn_sandbox role);
/* Landlock alone, which seccomp hides; for its test. Without new privileges. */
CN_MUST_USE enum cn_err cn_sandbox_landlock(void);

#endif
