/* secret.h - memory for secrets: locked against swapping, kept out of core dumps, wiped at the end.
 */
#ifndef CN_SECRET_H
#define CN_SECRET_H

#include <stddef.h>

/* Zeroed pages; NULL: no memory. If locking is refused (RLIMIT_MEMLOCK), the memory is given all
 * the same: cn_secret_unlocked tells, for a warning. */
void *cn_secret_take(size_t size);
/* Wipes first; NULL is fine. The size must be the one taken. */
void cn_secret_give(void *block, size_t size);
/* Whether locking the pages that block starts in was refused. */
int cn_secret_unlocked(const void *block);

#endif
