/* talk.h - a talk that is under way, for lines of a program and for a person at a terminal. */
#ifndef CN_CLI_TALK_H
#define CN_CLI_TALK_H

#include <cyphernet/talk.h>

#include "dial.h"

struct pollfd;

struct cn_talking {
    struct cn_cli *cli;
    struct cn_dial dial;
    struct cn_talk *talk; /* NULL: the call was over before it began */
    void (*note)(void *context, const char *text); /* shows what the line does; NULL: it is said */
    void *note_context;
    bool closed;
    enum cn_err closed_err; /* once closed: how the call ended */
    int code;               /* of the exit, as long as the call's end says nothing else */
};

enum { CN_TALKING_DESCRIPTOR_COUNT = CN_CALL_DESCRIPTORS_MAX + 3 };

/* Take what the call has to say. False: it is over. */
bool cn_talking_go_on(struct cn_talking *talking);
/* Wait for the call, and for the last of polled, of which there are CN_TALKING_DESCRIPTOR_COUNT;
 * the call's are put into the first CN_CALL_DESCRIPTORS_MAX. False: that cannot be done, which was
 * said, and is the end. */
bool cn_talking_wait(struct cn_talking *talking, struct pollfd *polled);
/* The partner said what makes no sense: say so when nothing else is on the terminal. */
void cn_talking_tell_broken(struct cn_talking *talking);

/* talk_plain.c: lines from standard input, lines to standard output. */
void cn_talk_plain(struct cn_talking *talking);
/* talk_person.c: at a terminal. False: it cannot be had, and nothing was done. */
bool cn_talk_person(struct cn_talking *talking);

#endif
