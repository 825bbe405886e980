/* incoming.h - one file that arrives: written under a temporary name, hashed while it is written,
 * and given its own name when it is whole, verified and on disk.
 *
 * It stays in one directory, which no name leads out of. Failures are false, and errno. */
#ifndef CN_INCOMING_H
#define CN_INCOMING_H

#include <sys/types.h>

#include "transfer.h"

enum { CN_INCOMING_TEMPORARY_SIZE = 48 };

/* Where the files of one call go. Zeroed but for the first two, it is ready. */
struct cn_place {
    int directory;  /* borrowed */
    bool overwrite; /* what was there before; never what this call has stored */
    void *stored; /* the inodes of that, for cn_place_wipe: so one file is known by any spelling */
};

void cn_place_wipe(struct cn_place *place);

struct cn_incoming {
    struct cn_place *place;                     /* borrowed */
    int fd;                                     /* of the temporary file, or -1 */
    char temporary[CN_INCOMING_TEMPORARY_SIZE]; /* its name; empty: none */
    uint64_t written;                           /* octets */
    struct cn_hasher *hasher;
};

/* Nothing is open yet; cn_incoming_close is fine from here on. */
void cn_incoming_init(struct cn_incoming *incoming, struct cn_place *place);
/* Whether what is offered may come; else *refusal says why not. */
bool cn_incoming_judge(const struct cn_place *place, const struct cn_transfer_message *offered,
                       enum cn_transfer_outcome *refusal);
/* Make the temporary file for size octets, and begin to hash it. */
bool cn_incoming_open(struct cn_incoming *incoming, const struct cn_home *home, uint64_t size);
/* Append some of from[0..size); how many, or -1. */
ssize_t cn_incoming_write(struct cn_incoming *incoming, const uint8_t *from, size_t size);
/* It is whole: nothing more will be written. */
void cn_incoming_seal(struct cn_incoming *incoming);
/* Whether cn_incoming_sum would not have to wait, once it is sealed. */
bool cn_incoming_is_hashed(const struct cn_incoming *incoming);
/* The hash of what is in the file. */
bool cn_incoming_sum(struct cn_incoming *incoming, uint8_t sum[CN_TRANSFER_SUM_SIZE]);
/* Permissions and time, as offered. */
bool cn_incoming_set_attributes(const struct cn_incoming *incoming,
                                const struct cn_transfer_message *offered);
bool cn_incoming_sync(const struct cn_incoming *incoming);
/* Its own name; never over another file unless the place says so: EEXIST. */
bool cn_incoming_name(struct cn_incoming *incoming, const char *name);
/* What has not got its name is removed. */
void cn_incoming_close(struct cn_incoming *incoming);

#endif
