#include "pipes.h"

#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    SIZE_LEAST = 64 * 1024, /* with less, copying is faster */
    SIZE_FIRST = 256 * 1024,
    SIZE_MAX_WANTED = 1024 * 1024
};

static const struct cn_pipe none = { .fd = { -1, -1 } };

enum cn_err cn_pipes_init(struct cn_pipes *pipes, uint32_t count_max)
{
    *pipes = (struct cn_pipes) { .idle = calloc((size_t)count_max + 1, sizeof *pipes->idle),
                                 .room = count_max,
                                 .count_max = count_max };
    return pipes->idle ? CN_OK : CN_E_MEMORY;
}

static void pipe_close(struct cn_pipes *pipes, struct cn_pipe *p)
{
    close(p->fd[0]);
    close(p->fd[1]);
    *p = none;
    pipes->count--;
}

void cn_pipes_wipe(struct cn_pipes *pipes)
{
    if (!pipes)
        return;
    while (pipes->idle_count > 0)
        pipe_close(pipes, &pipes->idle[--pipes->idle_count]);
    assert(pipes->count == 0);
    free(pipes->idle);
    *pipes = (struct cn_pipes) { 0 };
}

/* EPERM: over the user's share of pipe memory; what it has may do. */
static void resize(struct cn_pipe *p, int wanted)
{
    int size;

    if (fcntl(p->fd[1], F_SETPIPE_SZ, wanted) < 0)
        p->has_grown = true;
    size = fcntl(p->fd[1], F_GETPIPE_SZ);
    p->size = size > 0 ? (uint32_t)size : 4096;
}

bool cn_pipes_lend(struct cn_pipes *pipes, struct cn_pipe *p)
{
    if (pipes->idle_count > 0) {
        *p = pipes->idle[--pipes->idle_count];
        if (pipes->idle_least > pipes->idle_count)
            pipes->idle_least = pipes->idle_count;
        return true;
    }
    pipes->idle_least = 0;
    *p = none;
    if (pipes->refused || pipes->count >= pipes->count_max)
        return false;
    pipes->refused = pipe2(p->fd, O_NONBLOCK | O_CLOEXEC) != 0;
    if (pipes->refused)
        return false;
    p->has_grown = false;
    resize(p, SIZE_FIRST);
    pipes->count++;
    if (p->size >= SIZE_LEAST)
        return true;
    pipe_close(pipes, p);
    pipes->refused = true;
    return false;
}

bool cn_pipes_trim(struct cn_pipes *pipes)
{
    while (pipes->idle_least > 0) {
        pipe_close(pipes, &pipes->idle[--pipes->idle_count]);
        pipes->idle_least--;
    }
    pipes->idle_least = pipes->idle_count;
    pipes->refused = false;
    return pipes->count > 0;
}

void cn_pipes_grow(struct cn_pipe *p)
{
    if (p->has_grown)
        return;
    p->has_grown = true;
    resize(p, SIZE_MAX_WANTED);
}

void cn_pipes_give(struct cn_pipes *pipes, struct cn_pipe *p, bool is_empty)
{
    if (p->fd[0] < 0)
        return;
    if (is_empty && pipes->idle_count < pipes->count_max)
        pipes->idle[pipes->idle_count++] = *p;
    else
        pipe_close(pipes, p);
    *p = none;
}
