/* starting.c - the supervisor starts whoever is missing. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "keyfile.h"
#include "subprocess.h"

static struct cn_subprocess *child_free(struct cn_supervisor *s)
{
    for (struct cn_subprocess *c = s->children; c < s->children + CN_CHILDREN_MAX; c++) {
        if (c->state == CN_SUBPROCESS_NONE)
            return c;
    }
    errno = EAGAIN;
    return NULL;
}

/* What a child is told first. */
static enum cn_err start_say(struct cn_supervisor *s, int channel, enum cn_role role, int page)
{
    const struct cn_message m = { .type = CN_MESSAGE_START,
                                  .number = s->setup.lines_max,
                                  .log_level = (uint32_t)s->setup.log_level,
                                  .log_style = cn_log_style(),
                                  .limits = s->limits };
    int fds[CN_CHANNEL_FDS_MAX] = { page, -1, s->state_fd };
    enum cn_err err;

    fds[1] = role == CN_ROLE_SWITCH ? s->setup.rate_fd : s->setup.metrics_fd;
    if (role != CN_ROLE_GATE)
        return cn_channel_send(channel, &m, fds, 2);
    err = cn_keyfile_open(s->setup.dir_fd, CN_SERVER_KEY_FILE, CN_ARMOR_SERVER_KEY, &fds[1]);
    if (err == CN_OK) {
        err = cn_channel_send(channel, &m, fds, 3);
        close(fds[1]);
    }
    return err;
}

/* The least that none of its role has. */
static uint32_t number_free(const struct cn_supervisor *s, enum cn_role role)
{
    for (uint32_t number = 0;; number++) {
        bool taken = false;

        for (const struct cn_subprocess *c = s->children; c < s->children + CN_CHILDREN_MAX; c++)
            taken =
                taken || (c->state != CN_SUBPROCESS_NONE && c->role == role && c->number == number);
        if (!taken)
            return number;
    }
}

/* What it tells, of its own or of all: to who serves metrics no subscriber's numbers go. */
static enum cn_err page_make(const struct cn_supervisor *s, enum cn_role role, int *page)
{
    /* a gate counts those whose calls other gates handed over, beside those of its own lines */
    if (role != CN_ROLE_METRICS)
        return cn_page_make(page, s->setup.lines_max * (role == CN_ROLE_GATE ? 2 : 1));
    *page = memfd_create("cyphernet-sums", MFD_CLOEXEC);
    return *page >= 0 ? CN_OK : CN_E_SYSTEM;
}

static enum cn_err child_start(struct cn_supervisor *s, enum cn_role role)
{
    struct cn_subprocess *c = child_free(s);
    int ends[2] = { -1, -1 };
    int page = -1;
    enum cn_err err = c ? cn_channel_make(ends) : CN_E_SYSTEM;
    pid_t pid = -1;
    int saved;

    if (err == CN_OK)
        err = page_make(s, role, &page);
    if (err == CN_OK)
        err = start_say(s, ends[0], role, page);
    if (err == CN_OK)
        err = cn_spawn(s->programs, role, ends[1], &pid);
    saved = errno;
    if (ends[1] >= 0)
        close(ends[1]);
    if (err != CN_OK) {
        if (ends[0] >= 0)
            close(ends[0]);
        if (page >= 0)
            close(page);
        errno = saved;
        return err;
    }
    *c = (struct cn_subprocess) { .channel = { ends[0], cn_supervisor_hear },
                                  .supervisor = s,
                                  .pid = pid,
                                  .role = role,
                                  .number = number_free(s, role),
                                  .state = CN_SUBPROCESS_STARTING,
                                  .page_fd = page,
                                  .started_ms = s->setup.loop->now_ms };
    err = cn_subprocess_map(c);
    if (err == CN_OK)
        err = cn_loop_add(s->setup.loop, &c->channel, EPOLLIN);
    if (err != CN_OK)
        cn_subprocess_kill(c); /* whoever cannot be heard */
    return err;
}

static unsigned count(const struct cn_supervisor *s, enum cn_role role)
{
    unsigned n = 0;

    for (const struct cn_subprocess *c = s->children; c < s->children + CN_CHILDREN_MAX; c++)
        n += c->role == role &&
             (c->state == CN_SUBPROCESS_STARTING || c->state == CN_SUBPROCESS_RUNNING);
    return n;
}

/* While a gate that is to be replaced still admits, there is one more. While calls end there is one
 * that can cut them. */
static bool gate_missing(const struct cn_supervisor *s)
{
    for (const struct cn_subprocess *c = s->children; c < s->children + CN_CHILDREN_MAX; c++) {
        if (c->role == CN_ROLE_GATE &&
            (c->state == CN_SUBPROCESS_STARTING || c->state == CN_SUBPROCESS_READY))
            return false;
    }
    return s->leaving ? !s->gate && cn_subprocess_has_workers(s) : !s->gate || s->gate_is_old;
}

static enum cn_err try_start(struct cn_supervisor *s)
{
    enum cn_err err = CN_OK;

    if (gate_missing(s))
        err = child_start(s, CN_ROLE_GATE);
    if (s->leaving)
        return err;
    while (err == CN_OK && count(s, CN_ROLE_SWITCH) < s->setup.workers)
        err = child_start(s, CN_ROLE_SWITCH);
    if (err == CN_OK && s->setup.metrics_fd >= 0 && count(s, CN_ROLE_METRICS) == 0)
        err = child_start(s, CN_ROLE_METRICS);
    return err;
}

static void again_fire(struct cn_timer *timer)
{
    cn_starting_missing(
        (struct cn_supervisor *)(void *)((char *)timer - offsetof(struct cn_supervisor, again)));
}

void cn_starting_later(struct cn_supervisor *s)
{
    s->again.fire = again_fire;
    cn_loop_timer_set(s->setup.loop, &s->again, s->setup.loop->now_ms + CN_SUBPROCESS_HASTE_MS);
}

void cn_starting_missing(struct cn_supervisor *s)
{
    enum cn_err err = try_start(s);

    if (err == CN_OK)
        return;
    cn_log_at(CN_LOG_FAILURES, "start_failed", "reason=\"%s\"",
              err == CN_E_SYSTEM ? strerror(errno) : cn_err_text(err));
    cn_starting_later(s);
}

enum cn_err cn_supervisor_start(struct cn_supervisor *supervisor)
{
    return try_start(supervisor);
}

bool cn_supervisor_has_room(const struct cn_supervisor *supervisor)
{
    uint32_t used = supervisor->setup.workers + 3; /* gate, metrics, one to spare */
    uint32_t gates = 2;                            /* the new one, one to spare */

    for (const struct cn_subprocess *c = supervisor->children;
         c < supervisor->children + CN_CHILDREN_MAX; c++) {
        used += c->state != CN_SUBPROCESS_NONE;
        gates += c->state != CN_SUBPROCESS_NONE && c->role == CN_ROLE_GATE;
    }
    return used <= CN_CHILDREN_MAX && gates <= CN_CHANNEL_GATES_MAX;
}

static bool is_starting(const struct cn_supervisor *s)
{
    for (const struct cn_subprocess *c = s->children; c < s->children + CN_CHILDREN_MAX; c++) {
        if (c->state == CN_SUBPROCESS_STARTING)
            return true;
    }
    return false;
}

enum cn_err cn_supervisor_started(struct cn_supervisor *supervisor)
{
    struct cn_loop *loop = supervisor->setup.loop;

    while (is_starting(supervisor) && supervisor->failure == CN_OK) {
        if (cn_loop_turn(loop, true) != CN_OK)
            return CN_E_SYSTEM;
    }
    errno = supervisor->failure_errno;
    supervisor->begun = supervisor->failure == CN_OK;
    return supervisor->failure;
}

void cn_supervisor_go_on(struct cn_supervisor *supervisor)
{
    supervisor->begun = true;
    supervisor->failure = CN_OK;
    cn_starting_later(supervisor);
}
