/* way.h - how a call comes about at each kind of relay. Afterwards all are alike: what is written
 * to one end is read from the other. */
#ifndef BENCH_WAY_H
#define BENCH_WAY_H

#include <stdint.h>

enum { CALLER, ANSWERER, END_COUNT };

struct way {
    uint16_t port;                      /* of the relay */
    uint16_t back;                      /* where a proxy connects to: ours */
    const char *fingerprint[END_COUNT]; /* paths; of the subscribers of a cyphernetd */
    void (*begin)(const struct way *);  /* in each process that makes calls */
    void (*call)(const struct way *, int ends[END_COUNT]);
    int listener;
};

/* From the words of a command line:
 *   direct PORT | proxy PORT BACK | transit PORT | strelay PORT | cyphernet PORT FILE FILE */
void way_open(struct way *way, char **word);

/* The ways that are more than a connection and a line of text. */
void subscriber_open(const struct way *way);
void subscriber_begin(const struct way *way);
void subscriber_call(const struct way *way, int ends[END_COUNT]);
void strelay_begin(const struct way *way);
void strelay_call(const struct way *way, int ends[END_COUNT]);

#endif
