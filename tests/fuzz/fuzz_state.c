/* What the gate maps from a file in memory: counts that do not fit what is there are refused,
 * whatever they are; else all that it says can be read. The input: version (u32), counts of the
 * blocked, of notices and of octets of the common notice (u64 each), how many octets follow (u16).
 */
#include "fuzz.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "reader.h"
#include "state.h"

static unsigned sum(const void *octets, size_t size)
{
    const uint8_t *at = octets;
    unsigned total = 0;

    for (size_t i = 0; i < size; i++)
        total += at[i];
    return total;
}

static void read_all(const struct cn_state *state, size_t size)
{
    const uint8_t *end = (const uint8_t *)state + size;
    const struct cn_held_notice *held = cn_state_held(state);

    must(state->version == CN_STATE_VERSION);
    must((const uint8_t *)(held + state->held_count) == end);
    must(state->blocked_count < size && state->held_count < size);
    must(sum(state->blocked, state->blocked_count * sizeof *state->blocked) == 0);
    must(sum(held, state->held_count * sizeof *held) == 0);
    must(sum(state->common.octets, state->common.size) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t in_size)
{
    static struct cn_state head;
    struct cn_reader r = { .at = in, .left = in_size };
    const struct cn_state *state;
    size_t size;
    int fd;

    memset(&head, 0, sizeof head);
    head.version = cn_reader_u32be(&r);
    head.blocked_count = cn_reader_u64be(&r);
    head.held_count = cn_reader_u64be(&r);
    head.common.size = (size_t)cn_reader_u64be(&r);
    size = sizeof head + cn_reader_u16be(&r);
    fd = memfd_create("state", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    must(fd >= 0 && pwrite(fd, &head, sizeof head, 0) == (ssize_t)sizeof head);
    must(ftruncate(fd, (off_t)size) == 0);
    must(!cn_state_map(fd)); /* it is not sealed yet */
    must(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) == 0);
    state = cn_state_map(fd);
    if (state)
        read_all(state, size);
    cn_state_unmap(state);
    close(fd);
    return 0;
}
