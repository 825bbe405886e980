/* program.h - what a program does at one end of a call: it opens streams, writes and reads them as
 * events tell it, and knows when all is done. What it reads it compares with what the other wrote.
 */
#ifndef CN_SIM_PROGRAM_H
#define CN_SIM_PROGRAM_H

#include "disk.h"
#include "owner.h"

enum { PROGRAM_STREAM_COUNT_MAX = 6, PROGRAM_FLOW_COUNT_MAX = 2 * PROGRAM_STREAM_COUNT_MAX + 3 };

/* What kind of call it is; the same for both ends. */
struct course {
    bool is_file;                     /* one stream, whose other end keeps what comes on its disk */
    unsigned stream_count[2];         /* that each end opens */
    uint64_t size_max;                /* octets of a stream, each way */
    uint64_t write_ms[2], write_size; /* so much at a time, each so often; 0: all of it at once */
    uint64_t read_ms[2], read_size;   /* likewise */
    uint64_t loser;                   /* one stream in so many is given up; 0: none */
    uint64_t key;                     /* of what is said */
};

struct flow {
    struct cn_stream *stream; /* NULL: not there yet, or released */
    uint64_t size;            /* that it means to write */
    uint64_t written, read;
    uint64_t base;   /* of a file: where in it the stream begins */
    uint8_t head[8]; /* of a file: how far its receiver is */
    bool begun, full, readable, finished;
    bool loser;
    bool given_up; /* by this end */
    bool was_reset;
    bool ended; /* all of it was read, the end too */
};

struct program {
    const struct course *course; /* borrowed, as all here */
    struct owner *owner;
    struct program *other;
    struct disk *disk;     /* of who receives a file; NULL: sends, or it is no file */
    uint64_t file_size;    /* of who sends */
    struct disk *far_disk; /* of who sends: where it goes; looked at by the oracle alone */
    int side;              /* 0 calls */
    unsigned opened;
    uint64_t write_ms, read_ms;               /* when it does next */
    bool over;                                /* CLOSED has come */
    bool lost;                                /* told so, and not that it goes on */
    bool done;                                /* told that all has arrived */
    bool quiet;                               /* told so, and not that it was heard */
    uint64_t quiet_ms;                        /* when, by its clock */
    uint64_t lost_ms, reconnecting_ms;        /* likewise; from when on it may be told so again */
    struct flow flow[PROGRAM_FLOW_COUNT_MAX]; /* by id */
};

/* Take the owner's events, and do what can be done. */
void program_step(struct program *program);
/* When it would do something by itself; UINT64_MAX: never. */
uint64_t program_due_ms(const struct program *program);
/* Everything both ways has come, but for what was given up. NULL, or what is missing. */
const char *program_missing(const struct program *program);
/* What it should have been told by now, with nothing left to do at this moment, and was not; or
 * should not have been. NULL: nothing. */
const char *program_untold(const struct program *program);

#endif
