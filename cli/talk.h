/* talk.h - a talk that is under way, for lines of a program and for a person at a terminal. */
#ifndef CN_CLI_TALK_H
#define CN_CLI_TALK_H

#include <cyphernet/talk.h>
#include <cyphernet/transcript.h>

#include "dial.h"
#include "talk_files.h"

struct pollfd;

struct cn_talking {
    struct cn_cli *cli;
    struct cn_dial dial;  /* its call NULL: an agent has it, and we have agent_fd */
    int agent_fd;         /* borrowed */
    int news_fd;          /* owned: demand.h; -1: there is none, or no more */
    struct cn_talk *talk; /* NULL: the call was over before it began */
    struct cn_talk_files files;
    struct cn_transcript *transcript;   /* NULL: none is kept */
    struct cn_undelivered *undelivered; /* NULL: nothing is kept */
    bool is_lost;                       /* the line, for now */
    bool closed;
    enum cn_err closed_err; /* once closed: how the call ended */
    int code;               /* of the exit, as long as the call's end says nothing else */
};

enum {
    CN_TALKING_OWN_DESCRIPTORS = CN_CALL_DESCRIPTORS_MAX + 2, /* behind those of call and files */
    CN_TALKING_DESCRIPTOR_COUNT = CN_TALKING_OWN_DESCRIPTORS + 3
};

/* Take what the call has to say. False: it is over. */
bool cn_talking_go_on(struct cn_talking *talking);
/* As cn_talk_say and cn_talk_next_event; what is said goes into the transcript. */
CN_MUST_USE enum cn_err cn_talking_say(struct cn_talking *talking, const char *text, size_t size,
                                       uint64_t *number);
bool cn_talking_next_event(struct cn_talking *talking, struct cn_talk_event *event);
/* Put a name into the transcript. */
void cn_talking_keep(struct cn_talking *talking, enum cn_transcript_kind kind, const char *name);
/* Give the call up. */
void cn_talking_cancel(struct cn_talking *talking, enum cn_err why);
/* Wait for the call, and for the last of polled, of which there are CN_TALKING_DESCRIPTOR_COUNT;
 * the first CN_TALKING_OWN_DESCRIPTORS are filled here. False: that cannot be done, which was said,
 * and is the end. */
bool cn_talking_wait(struct cn_talking *talking, struct pollfd *polled);
/* The partner said what makes no sense: say so when nothing else is on the terminal. */
void cn_talking_tell_broken(struct cn_talking *talking);

/* Carry it on to its end, for whoever is there; the exit code. All has been said. */
int cn_talking_run(struct cn_talking *talking);
/* The same, of one that has not begun, with an agent that has the call: fd is a connected stream
 * socket, behind which it passes on what goes over the talk's stream (cn_talk_open_descriptor). It
 * is borrowed. news_fd is where it tells of the line. */
int cn_talk_attached(struct cn_talking *talking, int fd);

/* talk_plain.c: lines from standard input, lines to standard output. */
void cn_talk_plain(struct cn_talking *talking);
/* A text inside a JSON string: as cn_json_text, but for ends of lines and tabs, which JSON has its
 * own names for. safe: room for five octets for each of text, and one. */
void cn_talk_json_put(FILE *out, char *safe, size_t safe_size, const char *text, size_t size);
/* talk_person.c: at a terminal. False: it cannot be had, and nothing was done. */
bool cn_talk_person(struct cn_talking *talking);

/* talk_transcript.c: begin to keep one, if it is wanted; the exit code. */
int cn_talk_transcript_open(struct cn_talking *talking);
/* talk_undelivered.c: find what the partner did not get in earlier talks; the exit code. */
int cn_talk_undelivered_open(struct cn_talking *talking);
/* Begin with that, and say so. */
void cn_talk_undelivered_begin(struct cn_talking *talking);
/* Say it, once, if something cannot be kept. */
void cn_talk_undelivered_look(struct cn_talking *talking);
/* Say what is kept. When the talk is freed. */
void cn_talk_undelivered_end(struct cn_talking *talking);
/* talk_transcript.c: show the one with the contact that the command line names; the exit code. */
int cn_talk_transcript_show(struct cn_cli *cli);

#endif
