#include "agent.h"

#include "call.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "dial.h"
#include "file.h"
#include "home.h"
#include "tunneling.h"

enum { NOTICES_SIZE = 4096 };

void cn_agent_shorten(int *timeout_ms, int due_ms)
{
    if (due_ms >= 0 && (*timeout_ms < 0 || due_ms < *timeout_ms))
        *timeout_ms = due_ms;
}

/* --- files that change ---------------------------------------------------------------------- */

static int directory_watch(const struct cn_agent *agent, const char *path)
{
    if (cn_file_directories(path) != CN_OK)
        return -1;
    return inotify_add_watch(agent->inotify, path,
                             IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_CLOSE_WRITE | IN_ONLYDIR);
}

static void watch_begin(struct cn_agent *agent)
{
    const struct cn_home *home = agent->cli->home;
    char path[PATH_MAX];

    agent->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    agent->watch_home = directory_watch(agent, home->data);
    cn_home_path(home, CN_CONTACTS_DIRECTORY, path);
    agent->watch_contacts = directory_watch(agent, path);
    cn_queue_directory(home, path);
    agent->watch_queue = directory_watch(agent, path);
    if (agent->watch_home < 0 || agent->watch_contacts < 0 || agent->watch_queue < 0) {
        cn_warn("changes of the contacts and the queue are not noticed: %s", strerror(errno));
        cn_hint("send the agent SIGHUP after them");
    }
}

static void change_take(struct cn_agent *agent, const struct inotify_event *event)
{
    const char *name = event->len > 0 ? event->name : "";

    if (event->mask & (IN_Q_OVERFLOW | IN_IGNORED))
        agent->contacts_stale = agent->queue_stale = true;
    else if (name[0] == '.') /* not yet what it will be */
        return;
    else if (event->wd == agent->watch_queue)
        agent->queue_stale = true;
    else if (event->wd == agent->watch_contacts || strcmp(name, CN_IDENTITY_FILE) == 0 ||
             strcmp(name, CN_FINGERPRINT_FILE) == 0)
        agent->contacts_stale = true;
}

static void changes_take(struct cn_agent *agent)
{
    _Alignas(struct inotify_event) char notices[NOTICES_SIZE];
    ssize_t size;

    while ((size = read(agent->inotify, notices, sizeof notices)) > 0) {
        const char *at = notices;

        while (at < notices + size) {
            const struct inotify_event *event = (const void *)at;

            change_take(agent, event);
            at += sizeof *event + event->len;
        }
    }
}

/* --- rules ---------------------------------------------------------------------------------- */

static void rules_put(struct cn_agent *agent, struct cn_rules *rules)
{
    cn_rules_wipe(&agent->rules);
    agent->rules = *rules;
    agent->contacts_stale = agent->queue_stale = agent->wants_stale = true;
    agent->told_waiting = false;
    agent->told_waiting_count = 0;
}

/* A section for somebody who is not known yet is no mistake that would have to end us. */
static void rules_compare(const struct cn_agent *agent)
{
    for (size_t i = 0; i < agent->rules.count; i++) {
        const char *name = agent->rules.rule[i].contact;
        bool known = strcmp(name, "*") == 0;

        for (size_t k = 0; k < agent->contact_count && !known; k++)
            known = strcmp(agent->contact[k].name, name) == 0;
        if (!known)
            cn_warn("agent.conf has a section for '%s', and there is no such contact", name);
    }
}

static void reload(struct cn_agent *agent)
{
    struct cn_rules rules;

    if (cn_rules_file_read(agent->cli, &rules)) {
        rules_put(agent, &rules);
        cn_say(agent->cli, "the rules have been read again");
        cn_waiting_update(agent);
        rules_compare(agent);
    } else {
        cn_warn("the rules stay as they were");
    }
}

/* --- what is asked -------------------------------------------------------------------------- */

static void demand_take(struct cn_agent *agent, struct cn_asker *asker)
{
    switch (asker->demand.kind) {
    case CN_DEMAND_HERE:
        cn_control_answer(asker, agent->ending ? "none" : "ok");
        break;
    case CN_DEMAND_LEAVE:
        cn_control_leave(&agent->control, asker);
        cn_waiting_update(agent);
        cn_control_confirm(asker);
        break;
    case CN_DEMAND_ATTACH:
        if (!cn_answer_talk_attach(agent, asker))
            cn_control_answer(asker, "none");
        break;
    }
}

/* --- calls ---------------------------------------------------------------------------------- */

static void call_remove(struct cn_agent *agent, size_t index)
{
    struct cn_agent_call *c = agent->call[index];

    agent->call[index] = agent->call[--agent->call_count];
    agent->wants_stale = true;
    cn_agent_call_end(c);
}

/* Somebody has come, and has to prove to be the contact. */
static void shake_hands(struct cn_agent_call *c)
{
    struct cn_event event;

    cn_call_process(c->call);
    while (!c->over && !c->answer && cn_call_next_event(c->call, &event)) {
        if (event.type == CN_EVENT_OPEN)
            cn_answer_begin(c);
        c->over = event.type == CN_EVENT_CLOSED ||
                  (event.type == CN_EVENT_RETRY && !cn_call_narrow(c->call));
        if (c->over && event.err == CN_E_AUTH)
            cn_history_tell(&c->agent->history,
                            &(struct cn_history_line) { c->contact, "call", CN_HISTORY_REFUSED,
                                                        "somebody else came in its place" });
    }
}

static void calls_process(struct cn_agent *agent)
{
    for (size_t i = agent->call_count; i > 0; i--) {
        struct cn_agent_call *c = agent->call[i - 1];

        if (!c->answer)
            shake_hands(c);
        if (c->answer && !c->over)
            c->answer->process(c);
        c->polled = NULL;
        if (c->over)
            call_remove(agent, i - 1);
    }
}

static void leave(struct cn_agent *agent)
{
    agent->ending = true;
    cn_service_say("STOPPING=1");
    cn_waiting_end(agent);
    for (size_t i = agent->call_count; i > 0; i--) {
        struct cn_agent_call *c = agent->call[i - 1];

        if (c->answer)
            c->answer->leave(c);
        else
            call_remove(agent, i - 1);
    }
}

/* --- rounds --------------------------------------------------------------------------------- */

static size_t call_descriptors(struct cn_agent *agent, struct pollfd *polled, int *timeout_ms)
{
    size_t count = 0;

    for (size_t i = 0; i < agent->line_count; i++) {
        if (agent->line[i].call)
            count += cn_call_descriptors(agent->line[i].call->call, polled + count,
                                         CN_CALL_DESCRIPTORS_MAX);
    }
    for (size_t i = 0; i < agent->call_count; i++) {
        struct cn_agent_call *c = agent->call[i];

        c->polled = polled + count;
        if (c->answer) {
            count += c->answer->descriptors(c, polled + count, timeout_ms);
        } else {
            count += cn_agent_call_descriptors(c, polled + count, timeout_ms);
        }
    }
    return count;
}

static void signal_take(struct cn_agent *agent)
{
    int number = cn_signals_take(&agent->signals);

    if (number == SIGHUP) {
        reload(agent);
    } else if (number != 0 && agent->ending) {
        agent->code = 128 + number;
        while (agent->call_count > 0)
            call_remove(agent, agent->call_count - 1);
    } else if (number != 0) {
        leave(agent);
    }
}

/* Where each group is among what is polled. */
enum { AT_SIGNALS, AT_INOTIFY, AT_CONTROL, AT_REST = AT_CONTROL + CN_CONTROL_DESCRIPTOR_COUNT };

static bool wait_for_any(struct cn_agent *agent)
{
    struct pollfd *polled = agent->polled;
    int timeout_ms = cn_waiting_timeout_ms(agent);
    size_t count = AT_REST;
    struct cn_asker *asker;

    polled[AT_SIGNALS] = (struct pollfd) { agent->signals.fd, POLLIN, 0 };
    polled[AT_INOTIFY] = (struct pollfd) { agent->inotify, POLLIN, 0 };
    (void)cn_control_descriptors(&agent->control, polled + AT_CONTROL, &timeout_ms);
    count += cn_notifying_descriptors(&agent->notifying, polled + count);
    count += call_descriptors(agent, polled + count, &timeout_ms);
    if (poll(polled, count, timeout_ms) < 0 && errno != EINTR && errno != EAGAIN) {
        cn_error("poll: %s", strerror(errno));
        agent->code = CN_EXIT_FAILED;
        return false;
    }
    if (polled[AT_INOTIFY].revents)
        changes_take(agent);
    cn_notifying_process(&agent->notifying);
    cn_control_polled(&agent->control, polled + AT_CONTROL);
    while ((asker = cn_control_next(&agent->control)))
        demand_take(agent, asker);
    if (polled[AT_SIGNALS].revents)
        signal_take(agent);
    return true;
}

static void status_tell(struct cn_agent *agent)
{
    char text[64];

    if (agent->told_calls == agent->call_count)
        return;
    agent->told_calls = agent->call_count;
    snprintf(text, sizeof text, "STATUS=%zu calls", agent->call_count);
    cn_service_say(text);
}

static bool is_over(const struct cn_agent *agent)
{
    return agent->ending && agent->call_count == 0;
}

static void rounds(struct cn_agent *agent)
{
    bool going = true;

    while (going) {
        cn_waiting_update(agent);
        cn_waiting_process(agent);
        calls_process(agent);
        cn_waiting_update(agent); /* for who has been joined */
        status_tell(agent);
        going = !is_over(agent) && wait_for_any(agent);
    }
}

/* --- the whole ------------------------------------------------------------------------------ */

static int control_failed(struct cn_cli *cli, enum cn_err err)
{
    if (err != CN_E_EXISTS)
        return cn_fail(cli, err, "listening to commands");
    cn_error("an agent is running already");
    cn_hint("one is enough for all contacts: `kill -HUP` has it read its rules again");
    return CN_EXIT_FAILED;
}

static void agent_run(struct cn_agent *agent)
{
    cn_history_open(&agent->history, agent->cli);
    watch_begin(agent);
    cn_service_say("READY=1\nSTATUS=0 calls");
    cn_say(agent->cli, "the agent is ready");
    cn_waiting_update(agent);
    rules_compare(agent);
    rounds(agent);
    cn_waiting_end(agent);
    while (agent->call_count > 0)
        call_remove(agent, agent->call_count - 1);
    cn_notifying_forget(&agent->notifying);
    if (agent->inotify >= 0)
        close(agent->inotify);
    free(agent->contact);
    free(agent->unusable);
    free(agent->pending);
}

int cn_agent_run(struct cn_cli *cli)
{
    struct cn_agent *agent = calloc(1, sizeof *agent);
    struct cn_rules rules = { 0 };
    enum cn_err err = agent ? CN_OK : CN_E_MEMORY;
    int code;

    if (err != CN_OK || !cn_rules_file_read(cli, &rules)) {
        free(agent);
        return err == CN_OK ? CN_EXIT_FAILED : cn_fail(cli, err, "starting");
    }
    agent->cli = cli;
    agent->line_want_count = CN_AGENT_WANT_COUNT;
    rules_put(agent, &rules);
    err = cn_control_open(&agent->control, cli->home);
    if (err != CN_OK) {
        agent->code = control_failed(cli, err);
    } else if (!cn_signals_catch(&agent->signals)) {
        cn_error("catching signals: %s", strerror(errno));
        agent->code = CN_EXIT_FAILED;
    } else {
        agent_run(agent);
        cn_signals_release(&agent->signals);
    }
    cn_control_close(&agent->control);
    cn_rules_wipe(&agent->rules);
    code = agent->code;
    free(agent);
    return code;
}
