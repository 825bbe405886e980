/* sandbox_none.c - instead of sandbox.c in a build with sanitizers, which need more of the kernel.
 */
#include "log.h"
#include "sandbox.h"

enum cn_err cn_sandbox_enter(enum cn_sandbox role)
{
    cn_log_at(CN_LOG_DETAILS, "warning", "text=\"no sandbox %d: built with sanitizers\"",
              (int)role);
    return CN_OK;
}
