#include "subprocess.h"

#include <signal.h>
#include <unistd.h>

void cn_subprocess_kill(const struct cn_subprocess *child)
{
    if (child->pid > 0)
        (void)kill(child->pid, SIGKILL);
}

void cn_subprocess_end(struct cn_subprocess *child, const char *why)
{
    child->fault = why;
    cn_subprocess_kill(child);
}

void cn_subprocess_say(struct cn_subprocess *child, const struct cn_message *m, const int *fds,
                       size_t fd_count)
{
    enum cn_err err = CN_OK;

    if (child->channel.fd >= 0)
        err = cn_channel_send(child->channel.fd, m, fds, fd_count);
    if (err != CN_OK && err != CN_E_HUNG_UP) /* who has gone is told of as such */
        cn_subprocess_end(child, "it does not take what it is told");
}

void cn_subprocess_say_word(struct cn_subprocess *child, enum cn_message_type type)
{
    const struct cn_message m = { .type = (uint16_t)type };

    cn_subprocess_say(child, &m, NULL, 0);
}

enum cn_err cn_subprocess_map(struct cn_subprocess *child)
{
    return child->role == CN_ROLE_METRICS ? CN_OK
                                          : cn_page_map(&child->page, child->page_fd, false);
}

void cn_subprocess_forget(struct cn_subprocess *child)
{
    struct cn_supervisor *s = child->supervisor;

    if (child->channel.fd >= 0) {
        cn_loop_remove(s->setup.loop, &child->channel);
        close(child->channel.fd);
    }
    cn_page_unmap(&child->page);
    close(child->page_fd);
    *child = (struct cn_subprocess) { .channel = { -1, cn_supervisor_hear }, .supervisor = s };
}

bool cn_subprocess_has_workers(const struct cn_supervisor *s)
{
    for (const struct cn_subprocess *c = s->children; c < s->children + CN_CHILDREN_MAX; c++) {
        if (c->role == CN_ROLE_SWITCH && c->state != CN_SUBPROCESS_NONE)
            return true;
    }
    return false;
}
