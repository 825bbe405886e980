/* talk_files.h - files that go and come in the call of a talk, beside what is said. */
#ifndef CN_TALK_FILES_H
#define CN_TALK_FILES_H

#include <wordexp.h>

#include "transferring.h"

struct cn_talking;

enum { CN_TALK_FILES_QUEUE_COUNT_MAX = 16, CN_TALK_FILES_STATE_SIZE = 96 };

struct cn_talk_files {
    struct cn_talking *talking; /* borrowed */
    bool asks;                  /* somebody is there to answer, or has by --yes */
    bool is_held;               /* what is to be said has no room: nothing is, and none begins */
    bool is_answerable;         /* what is asked has been shown before this round */
    bool has_left;              /* its user has: what is offered now is refused */
    bool is_last;               /* nothing but files keeps the call up */
    bool sends, receives;       /* something is under way */
    bool lists;                 /* what is to be sent is being listed */
    struct cn_transferring out, in;
    wordexp_t words;                            /* what out sends, while it does */
    bool wanted[CN_CONSENT_ITEM_COUNT_MAX];     /* of what is offered */
    char *queue[CN_TALK_FILES_QUEUE_COUNT_MAX]; /* what /send names next; owned */
    size_t queue_count;
    int code; /* of the exit, as far as files go */
};

void cn_talk_files_begin(struct cn_talk_files *files, struct cn_talking *talking);
/* Obey a line that begins with /send, /accept, /refuse or /cancel. False: it is another. */
bool cn_talk_files_command(struct cn_talk_files *files, const char *line);
/* An event of the call. True: it was of files. */
bool cn_talk_files_take(struct cn_talk_files *files, const struct cn_event *event);
/* Go on, and say what happens. */
void cn_talk_files_process(struct cn_talk_files *files);
/* Fill two entries. */
void cn_talk_files_descriptors(const struct cn_talk_files *files, struct pollfd *descriptors);
int cn_talk_files_timeout_ms(const struct cn_talk_files *files);
/* Whether something is under way, or about to be. */
bool cn_talk_files_is_busy(const struct cn_talk_files *files);
/* Nobody can answer any more: what is offered is refused. */
void cn_talk_files_unattended(struct cn_talk_files *files);
/* Whether all that is to be sent has begun, or will not: else nobody may leave, since the call
 * might end before it has. */
bool cn_talk_files_may_leave(const struct cn_talk_files *files);
/* Both have left: what is promised and does not come is not waited for without end. */
void cn_talk_files_last(struct cn_talk_files *files);
/* The user leaves: nothing new begins, and what is offered is refused. */
void cn_talk_files_leave(struct cn_talk_files *files);
/* "sending 45%, 1.2 MB/s | ", ASCII; empty if nothing is under way. Returns out. */
const char *cn_talk_files_state(const struct cn_talk_files *files,
                                char out[CN_TALK_FILES_STATE_SIZE]);
/* The call is over: what is still under way is given up. Before the call is freed. */
void cn_talk_files_end(struct cn_talk_files *files);

#endif
