/* inheriting.c - the supervisor's processes go over to another program. */
#include <fcntl.h>

#include "subprocess.h"

static void fds_survive(const struct cn_subprocess *c, bool survive)
{
    const int flags = survive ? 0 : FD_CLOEXEC;

    (void)fcntl(c->page_fd, F_SETFD, flags);
    if (c->channel.fd >= 0)
        (void)fcntl(c->channel.fd, F_SETFD, flags);
}

size_t cn_supervisor_heirs(struct cn_supervisor *supervisor, struct cn_heir heirs[CN_CHILDREN_MAX])
{
    size_t n = 0;

    for (struct cn_subprocess *c = supervisor->children; c < supervisor->children + CN_CHILDREN_MAX;
         c++) {
        if (c->state == CN_SUBPROCESS_NONE)
            continue;
        if (c->state == CN_SUBPROCESS_READY) /* the next program starts another */
            cn_supervisor_gate_retire(c);
        heirs[n++] = (struct cn_heir) { .pid = c->pid,
                                        .channel = c->channel.fd,
                                        .page = c->page_fd,
                                        .role = c->role,
                                        .number = c->number,
                                        .leaving = c != supervisor->gate };
        fds_survive(c, true);
    }
    return n;
}

void cn_supervisor_keep(struct cn_supervisor *supervisor)
{
    for (struct cn_subprocess *c = supervisor->children; c < supervisor->children + CN_CHILDREN_MAX;
         c++) {
        if (c->state != CN_SUBPROCESS_NONE)
            fds_survive(c, false);
    }
}

enum cn_err cn_supervisor_inherit(struct cn_supervisor *supervisor, const struct cn_status *past,
                                  const struct cn_heir *heirs, size_t count)
{
    struct cn_supervisor *s = supervisor;

    s->past = *past;

    for (size_t i = 0; i < count && i < CN_CHILDREN_MAX; i++) {
        struct cn_subprocess *c = &s->children[i];
        enum cn_err err;

        *c = (struct cn_subprocess) {
            .channel = { heirs[i].channel, cn_supervisor_hear },
            .supervisor = s,
            .pid = heirs[i].pid,
            .role = heirs[i].role < CN_ROLE_COUNT ? (enum cn_role)heirs[i].role : CN_ROLE_SWITCH,
            .number = heirs[i].number,
            .state = heirs[i].leaving ? CN_SUBPROCESS_LEAVING : CN_SUBPROCESS_RUNNING,
            .page_fd = heirs[i].page
        };
        fds_survive(c, false);
        err = cn_subprocess_map(c);
        if (err == CN_OK && c->channel.fd >= 0)
            err = cn_loop_add(s->setup.loop, &c->channel, EPOLLIN);
        if (err != CN_OK)
            return err;
        if (c->role == CN_ROLE_METRICS) /* it has nothing to finish */
            cn_subprocess_kill(c);
        if (c->state == CN_SUBPROCESS_RUNNING)
            s->gate = c;
    }
    s->gate_is_old = s->gate != NULL;
    cn_sampling_begin(s);
    return CN_OK;
}
