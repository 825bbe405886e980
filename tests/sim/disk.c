#include "disk.h"

#include <string.h>

#include "journal.h"
#include "sim.h"

_Static_assert((int)DISK_JOURNAL_SIZE_MAX == (int)CN_JOURNAL_SIZE_MAX, "room for any");

void disk_begin(struct disk *disk, uint64_t size)
{
    disk->size = size;
    disk->stored = disk->durable = 0;
    disk->done = false;
    disk->journal_size = 0;
}

static void journal_write(struct disk *disk)
{
    static struct cn_journal j;

    memset(&j, 0, sizeof j);
    strcpy(j.partner, "bob");
    strcpy(j.place, "/home/alice");
    strcpy(j.name, "file");
    cn_temporary_name(1, j.temporary);
    j.written = disk->durable / DISK_BLOCK_SIZE * CN_JOURNAL_BLOCK_SIZE;
    j.size = (disk->size / DISK_BLOCK_SIZE + 1) * CN_JOURNAL_BLOCK_SIZE;
    disk->journal_size = cn_journal_encode(&j, disk->journal);
}

void disk_sync(struct disk *disk, bool all)
{
    disk->durable = all ? disk->stored : disk->stored - disk->stored % DISK_BLOCK_SIZE;
    if (all) {
        disk->done = true;
        disk->journal_size = 0;
        return;
    }
    journal_write(disk);
}

void disk_crash(struct disk *disk)
{
    static struct cn_journal j;

    if (disk->done)
        return;
    disk->stored = 0;
    if (disk->journal_size > 0) {
        if (cn_journal_decode(&j, disk->journal, disk->journal_size) != CN_OK)
            sim_fail("a journal cannot be read");
        disk->stored = j.written / CN_JOURNAL_BLOCK_SIZE * DISK_BLOCK_SIZE;
    }
    if (disk->stored < disk->durable)
        sim_fail("the journal knows %llu octets, of %llu that are on disk",
                 (unsigned long long)disk->stored, (unsigned long long)disk->durable);
    disk->durable = disk->stored;
}
