/* notifying.h - commands that tell the user of something. Nothing waits for them. */
#ifndef CN_NOTIFYING_H
#define CN_NOTIFYING_H

#include <stddef.h>
#include <sys/types.h>

struct pollfd;

enum { CN_NOTIFYING_COUNT_MAX = 16 };

struct cn_notifying {
    struct {
        pid_t pid;
        int ended;                 /* readable once it has */
    } one[CN_NOTIFYING_COUNT_MAX]; /* no gaps */
    size_t count;
};

/* Run words, in which %n is contact, with nothing to read; what it writes is said as we say things.
 * What goes wrong is said. */
void cn_notifying_start(struct cn_notifying *notifying, char *const *words, const char *contact);
/* Fills CN_NOTIFYING_COUNT_MAX at most. */
size_t cn_notifying_descriptors(const struct cn_notifying *notifying, struct pollfd *polled);
/* Look which have ended. */
void cn_notifying_process(struct cn_notifying *notifying);
/* Those that are running go on. */
void cn_notifying_forget(struct cn_notifying *notifying);

#endif
