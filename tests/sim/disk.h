/* disk.h - what is left of a file that is being received when its program is killed: what was
 * synced, as far as its journal says. */
#ifndef CN_SIM_DISK_H
#define CN_SIM_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    DISK_BLOCK_SIZE = 1024, /* for each, the journal counts one of its own */
    DISK_JOURNAL_SIZE_MAX = 16384
};

struct disk {
    uint64_t size;    /* of the file */
    uint64_t stored;  /* octets written, which a crash may lose */
    uint64_t durable; /* of these, synced */
    bool done;        /* whole, and under its name */
    size_t journal_size;
    uint8_t journal[DISK_JOURNAL_SIZE_MAX]; /* 0: there is none */
};

void disk_begin(struct disk *disk, uint64_t size);
/* All that was written is synced, and the journal says how far that is. all: nothing follows. */
void disk_sync(struct disk *disk, bool all);
/* The program was killed: what another one finds. */
void disk_crash(struct disk *disk);

#endif
