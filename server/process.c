#include "process.h"

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

enum { STACK_LOCKED_SIZE = 128 << 10 };

void cn_process_harden(void)
{
    const struct rlimit none = { 0, 0 };

    /* both only make it harder to get at a key: a system that refuses them is still served */
    (void)setrlimit(RLIMIT_CORE, &none);
    (void)prctl(PR_SET_DUMPABLE, 0);
}

bool cn_process_stack_lock(void)
{
    char below[STACK_LOCKED_SIZE] = { 0 };

    return mlock(below, sizeof below) == 0;
}
