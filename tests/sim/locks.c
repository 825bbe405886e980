#include "locks.h"

#include <errno.h>

#include "sim.h"

enum { HELD_COUNT_MAX = 4 };

struct held {
    off_t octet;
    short type;
};

static struct file {
    bool is_open;
    int home;
    struct held held[HELD_COUNT_MAX];
    unsigned count;
} files[LOCKS_FD_COUNT_MAX];

int locks_open(int home)
{
    for (int i = 0; i < LOCKS_FD_COUNT_MAX; i++) {
        if (files[i].is_open)
            continue;
        files[i] = (struct file) { .is_open = true, .home = home };
        return LOCKS_FD_FIRST + i;
    }
    sim_fail("%d open files were not enough", LOCKS_FD_COUNT_MAX);
}

static struct file *file_of(int fd)
{
    struct file *f = &files[fd - LOCKS_FD_FIRST];

    if (!f->is_open)
        sim_fail("descriptor %d is used, which is not open", fd);
    return f;
}

static struct held *held_of(struct file *f, off_t octet)
{
    for (unsigned i = 0; i < f->count; i++) {
        if (f->held[i].octet == octet)
            return &f->held[i];
    }
    return NULL;
}

/* Another holds it in a way that goes not together with this. */
static bool conflicts(const struct file *mine, off_t octet, short type)
{
    for (int i = 0; i < LOCKS_FD_COUNT_MAX; i++) {
        struct file *other = &files[i];
        const struct held *held;

        if (!other->is_open || other == mine || other->home != mine->home)
            continue;
        held = held_of(other, octet);
        if (held && (held->type == F_WRLCK || type == F_WRLCK))
            return true;
    }
    return false;
}

int locks_set(int fd, const struct flock *lock)
{
    struct file *f = file_of(fd);
    struct held *held = held_of(f, lock->l_start);

    sim_need(lock->l_len == 1 && (lock->l_type == F_RDLCK || lock->l_type == F_WRLCK));
    if (sim.bug != SIM_BUG_LOCKLESS && conflicts(f, lock->l_start, lock->l_type)) {
        errno = EAGAIN;
        return -1;
    }
    if (!held) {
        sim_need(f->count < HELD_COUNT_MAX);
        held = &f->held[f->count++];
    }
    *held = (struct held) { lock->l_start, lock->l_type };
    return 0;
}

void locks_close(int fd)
{
    file_of(fd)->is_open = false;
}
