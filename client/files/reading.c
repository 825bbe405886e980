#include "reading.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "range.h"

enum { SAMPLE_SIZE = 64 * 1024, WORTH_SIZE = 512 /* a smaller block is not worth compressing */ };

enum cn_err cn_reading_init(struct cn_reading *reading)
{
    *reading = (struct cn_reading) { .job.run = cn_reading_run, .bytes = malloc(CN_BLOCK_SIZE) };
    return reading->bytes ? CN_OK : CN_E_MEMORY;
}

void cn_reading_wipe(struct cn_reading *reading)
{
    cn_packer_close(reading->packer);
    free(reading->bytes);
    free(reading->packed);
    *reading = (struct cn_reading) { 0 };
}

static void run_add(struct cn_reading *r, uint64_t size, bool hole)
{
    if (size > 0)
        r->run[r->run_count++] = (struct cn_run) { (uint32_t)size, hole };
}

/* Where the file has octets and where holes. What cannot be told, or would take too many runs,
 * counts as octets. */
static void runs_find(struct cn_reading *r)
{
    const uint64_t end = r->offset + r->size;
    uint64_t at = r->offset;

    r->run_count = 0;
    while (r->how.sparse && at < end && r->run_count + 2 < CN_RUN_COUNT_MAX) {
        struct cn_range range;

        if (cn_range_next(r->how.fd, at, end, &range) != CN_OK || range.begin < at ||
            range.end > end || range.begin > range.end)
            break;
        run_add(r, range.begin - at, true);
        run_add(r, range.end - range.begin, false);
        at = range.end;
    }
    run_add(r, end - at, false);
}

static bool failed(struct cn_reading *r)
{
    r->system_error = errno;
    r->err = CN_E_SYSTEM;
    return false;
}

/* Read up to size octets at offset; false: failed. */
static bool read_at(struct cn_reading *r, uint64_t offset, uint32_t size, uint32_t *got)
{
    uint32_t done = 0;

    while (done < size) {
        ssize_t n = pread(r->how.fd, r->bytes + (offset - r->offset) + done, size - done,
                          (off_t)(offset + done));

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return failed(r);
        if (n == 0)
            break;
        done += (uint32_t)n;
    }
    *got = done;
    return true;
}

static bool read_runs(struct cn_reading *r)
{
    uint64_t at = r->offset;

    runs_find(r);
    for (unsigned i = 0; i < r->run_count; i++) {
        uint32_t got = r->run[i].size;

        if (r->run[i].hole) {
            if (got < CN_BLOCK_SIZE) /* the sum of a full one is known */
                memset(r->bytes + (at - r->offset), 0, got);
        } else if (!read_at(r, at, r->run[i].size, &got)) {
            return false;
        }
        at += got;
        if (got < r->run[i].size)
            break;
    }
    r->got = (uint32_t)(at - r->offset);
    return true;
}

/* From what has no offsets, and may let us wait. */
static bool read_stream(struct cn_reading *r)
{
    struct pollfd polled[2] = { { r->how.fd, POLLIN, 0 }, { r->how.cancel, POLLIN, 0 } };

    r->got = 0;
    while (r->got < r->size) {
        ssize_t n;

        if (poll(polled, 2, -1) < 0 && errno != EINTR && errno != EAGAIN)
            return failed(r); /* not an end */
        if (polled[1].revents) {
            r->err = CN_E_CANCELLED;
            return false;
        }
        if (!polled[0].revents)
            continue;
        n = read(r->how.fd, r->bytes + r->got, r->size - r->got);
        if (n < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (n < 0)
            return failed(r);
        if (n == 0)
            break;
        r->got += (uint32_t)n;
    }
    r->run_count = 0;
    run_add(r, r->got, false);
    return true;
}

static bool packing_ready(struct cn_reading *r)
{
    if (!r->packed)
        r->packed = malloc(CN_BLOCK_SIZE);
    if (!r->packer && cn_packer_open(&r->packer) != CN_OK)
        r->packer = NULL;
    return r->packed && r->packer; /* else it goes as it is */
}

/* A tenth must be saved, or it is not worth the receiver's work. */
static void pack(struct cn_reading *r)
{
    uint32_t sample = r->got < SAMPLE_SIZE ? r->got : SAMPLE_SIZE;

    r->packed_size = 0;
    r->pays = false;
    if ((!r->how.pack && !r->how.sample) || r->got < WORTH_SIZE || r->run_count != 1 ||
        r->run[0].hole || !packing_ready(r))
        return;
    if (r->how.sample) {
        r->pays = cn_pack_pays(r->packer, r->bytes + (r->got - sample) / 2, sample, r->packed);
        if (!r->pays)
            return;
    }
    r->packed_size =
        (uint32_t)cn_pack(r->packer, r->bytes, r->got, r->packed, r->got - r->got / 10);
}

void cn_reading_run(struct cn_job *job)
{
    struct cn_reading *r = (struct cn_reading *)job;

    r->err = CN_OK;
    r->got = 0;
    r->packed_size = 0;
    if (r->how.cancel >= 0 ? !read_stream(r) : !read_runs(r))
        return;
    if (r->got == CN_BLOCK_SIZE && r->run_count == 1 && r->run[0].hole)
        memcpy(r->sum, r->how.zeros_sum, sizeof r->sum);
    else
        r->err = cn_block_sum(r->how.crypto, r->bytes, r->got, r->sum);
    if (r->err == CN_OK)
        pack(r);
}
