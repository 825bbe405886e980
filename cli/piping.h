/* piping.h - a call of the service PIPE whose stream is joined with two descriptors, or with a
 * command. PROTOCOL.md 7.2 */
#ifndef CN_PIPING_H
#define CN_PIPING_H

#include "command_run.h"
#include "dial.h"

struct pollfd;

enum { CN_PIPING_DESCRIPTOR_COUNT = CN_CALL_DESCRIPTORS_MAX + 4 };

/* Set up by its owner up to `command`; the rest is zeroed, but for child, which is
 * CN_CHILD_NONE. */
struct cn_piping {
    struct cn_cli *cli;
    struct cn_dial dial; /* its call is open */
    int in, out;         /* -1: ended; out is closed when the partner's end has come */
    bool out_is_pipe, out_is_socket, out_is_terminal;
    bool in_is_file, in_never_blocks;
    const char *command;      /* what is run in place of our own ends; NULL: nothing */
    struct cn_child child;    /* likewise */
    struct cn_stream *stream; /* NULL until it is opened by either end */
    bool in_ready, out_ready;
    bool out_unread; /* whoever read our output has gone */
    bool finished;
    bool closed;             /* the call is over */
    bool command_stirs;      /* it may have ended, and how is to be asked */
    bool command_done;       /* it has ended, and well */
    bool out_broken;         /* it has closed its input */
    uint64_t received, sent; /* octets */
    int code;                /* once closed: the exit code */
};

/* Run the command, whose program was found at path, with the signal mask before. keep_output: what
 * it prints is not sent. What is wrong has been said, and the partner is told. */
void cn_piping_command(struct cn_piping *piping, const char *path, char **words,
                       const sigset_t *before, bool keep_output);
/* The stream, if it is ours to open. */
void cn_piping_begin(struct cn_piping *piping);
/* One round, without waiting. */
void cn_piping_process(struct cn_piping *piping);
/* What to wait for: fills CN_PIPING_DESCRIPTOR_COUNT at most, and shortens *timeout_ms. Then what
 * poll says of it. */
size_t cn_piping_descriptors(struct cn_piping *piping, struct pollfd *polled, int *timeout_ms);
void cn_piping_polled(struct cn_piping *piping, const struct pollfd *polled);

#endif
