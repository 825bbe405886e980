/* wire.h - what carries a talk: a stream of a call, or a descriptor behind which somebody else has
 * that stream. */
#ifndef CN_WIRE_H
#define CN_WIRE_H

#include <cyphernet.h>

struct cn_wire {
    const struct cn_wire_functions *functions;
    struct cn_call *call;     /* borrowed; NULL: a descriptor carries it */
    struct cn_stream *stream; /* of that call; NULL until either end has opened it */
    int fd;                   /* borrowed */
    bool has_ended, is_cut;   /* of a descriptor: nothing more comes, well or not */
    bool is_full, is_deaf;    /* likewise: it takes nothing for now, or ever */
};

struct cn_wire_functions {
    /* How many of the octets it takes, or gives. */
    size_t (*write)(struct cn_wire *wire, const void *octets, size_t size);
    size_t (*read)(struct cn_wire *wire, void *octets, size_t size);
    enum cn_stream_state (*state)(const struct cn_wire *wire); /* RESET: it is cut */
    void (*finish)(struct cn_wire *wire);                      /* nothing more is written */
};

/* Whose stream is yet to be set. */
void cn_wire_of_call(struct cn_wire *wire, struct cn_call *call);
/* A connected stream socket. */
void cn_wire_of_descriptor(struct cn_wire *wire, int fd);
/* Whether there is anything yet to read from and to write to. */
bool cn_wire_is_there(const struct cn_wire *wire);

#endif
