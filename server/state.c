#include "state.h"

#include <fcntl.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SEALS = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL };

_Static_assert(_Alignof(struct cn_held_notice) <= _Alignof(struct cn_blocked),
               "notices may follow the blocked");

/* 0: more than there could ever be. */
static size_t size_of(uint64_t blocked_count, uint64_t held_count)
{
    const uint64_t most = (SIZE_MAX - sizeof(struct cn_state)) / 2;

    if (blocked_count > most / sizeof(struct cn_blocked) ||
        held_count > most / sizeof(struct cn_held_notice))
        return 0;
    return sizeof(struct cn_state) + (size_t)blocked_count * sizeof(struct cn_blocked) +
           (size_t)held_count * sizeof(struct cn_held_notice);
}

static bool write_all(int fd, const void *octets, size_t size)
{
    const uint8_t *at = octets;

    while (size > 0) {
        ssize_t wrote = write(fd, at, size);

        if (wrote <= 0)
            return false;
        at += wrote;
        size -= (size_t)wrote;
    }
    return true;
}

enum cn_err cn_state_make(int *fd, const struct cn_state_parts *p)
{
    struct cn_state head = { .version = CN_STATE_VERSION,
                             .config = *p->config,
                             .settings = *p->settings,
                             .who_secret = *p->who_secret,
                             .common = *p->common,
                             .blocked_count = p->blocked_count,
                             .held_count = p->held_count };
    int made = memfd_create("cyphernet-state", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    bool fine = made >= 0 && write_all(made, &head, sizeof head) &&
                write_all(made, p->blocked, p->blocked_count * sizeof *p->blocked) &&
                write_all(made, p->held, p->held_count * sizeof *p->held) &&
                fcntl(made, F_ADD_SEALS, SEALS) == 0;

    cn_wipe(&head, sizeof head);
    if (!fine && made >= 0)
        close(made);
    if (!fine)
        return CN_E_SYSTEM;
    *fd = made;
    return CN_OK;
}

/* What it says that it holds is there, and nothing else; counts that wrap around are no less. */
static bool is_whole(const struct cn_state *state, size_t size)
{
    size_t left = size - sizeof *state;

    return state->version == CN_STATE_VERSION &&
           state->blocked_count <= left / sizeof(struct cn_blocked) &&
           state->held_count <= left / sizeof(struct cn_held_notice) &&
           size_of(state->blocked_count, state->held_count) == size &&
           state->common.size <= sizeof state->common.octets;
}

const struct cn_state *cn_state_map(int fd)
{
    const int seals = fcntl(fd, F_GET_SEALS); /* -1: of a file that can have none */
    struct stat st;
    const struct cn_state *state;

    if (seals < 0 || (seals & SEALS) != SEALS || fstat(fd, &st) != 0 ||
        st.st_size < (off_t)size_of(0, 0))
        return NULL;
    state = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
    if (state == MAP_FAILED)
        return NULL;
    if (is_whole(state, (size_t)st.st_size))
        return state;
    munmap((void *)(uintptr_t)state, (size_t)st.st_size);
    return NULL;
}

void cn_state_unmap(const struct cn_state *state)
{
    if (state)
        munmap((void *)(uintptr_t)state, size_of(state->blocked_count, state->held_count));
}
