/* gate_main.c - cyphernetd-gate: the gate under the supervisor. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "accepting.h"
#include "child.h"
#include "gate.h"
#include "keyfile.h"
#include "log.h"
#include "process.h"
#include "random.h"
#include "sandbox.h"
#include "state.h"
#include "workers.h"

enum { START_FDS = 3 /* page, key, state */, WORKER_AGAIN_MS = 1000 };

struct program {
    struct cn_crypto crypto;
    struct cn_admission_server admission;
    struct cn_who_secret who_secret;
    struct cn_config config;
    struct cn_loop loop;
    struct cn_page_map page;
    struct cn_gate *gate;
    struct cn_accepting accepting;
    uint32_t state_number; /* of the state that is coming into force */
    uint32_t lines_cut;    /* by it */
    bool answers;          /* the supervisor waits for that */
    bool retiring, retired;
    struct cn_timer worker_again; /* asks for those that were missed */
    uint32_t missed[CN_WORKERS_MAX];
    size_t missed_count;
    bool worker_missed; /* and it was told */
};

/* The loop reaches it; there is one in a process. */
static struct program program;

static void end(int code)
{
    cn_gate_destroy(program.gate);
    cn_admission_server_wipe(&program.admission);
    cn_wipe(&program.who_secret, sizeof program.who_secret);
    _exit(code);
}

/* --- what the supervisor says ---------------------------------------------------------------- */

static void was_cut(void *context, uint32_t count)
{
    const struct cn_message m = { .type = CN_MESSAGE_STATE,
                                  .ticket = program.state_number,
                                  .count = program.lines_cut + count };

    (void)context;
    if (program.answers)
        cn_child_say(&m);
    program.answers = false;
}

static void worker_faulty(uint32_t number)
{
    const struct cn_message m = { .type = CN_MESSAGE_FAULTY, .number = number };

    cn_child_say(&m);
}

static enum cn_err state_take(const struct cn_state *state)
{
    enum cn_err err = cn_gate_notices(program.gate, cn_state_held(state), (size_t)state->held_count,
                                      &state->common);

    if (err != CN_OK)
        return err;
    program.config = state->config;
    cn_gate_configure(program.gate, &program.config);
    return cn_gate_registry(program.gate, &state->settings, state->blocked,
                            (size_t)state->blocked_count, &program.lines_cut);
}

/* was_cut answers. */
static void state_change(int fd, uint32_t number)
{
    const struct cn_state *state = cn_state_map(fd);
    enum cn_err err = state ? CN_OK : CN_E_FORMAT;
    uint32_t before = program.answers ? program.lines_cut : 0;

    if (err == CN_OK)
        err = state_take(state);
    cn_state_unmap(state);
    if (err != CN_OK) {
        const struct cn_message m = { .type = CN_MESSAGE_FAILED,
                                      .ticket = number,
                                      .outcome = (uint32_t)err,
                                      .number = (uint32_t)errno };

        cn_child_say(&m);
        return;
    }
    program.lines_cut += before;
    program.state_number = number;
    program.answers = true;
}

static void retire(void)
{
    program.retiring = true;
    cn_accepting_end(&program.accepting);
    cn_gate_goaway(program.gate);
}

static void worker_again_fire(struct cn_timer *timer)
{
    (void)timer;
    for (size_t i = 0; i < program.missed_count; i++) {
        const struct cn_message m = { .type = CN_MESSAGE_WORKER, .number = program.missed[i] };

        cn_child_say(&m);
    }
    program.missed_count = 0;
}

/* One that cannot be had is asked for again: no call goes to it, and none of its calls is cut. */
static bool worker_take(const struct cn_message *m, const int *fds, size_t fd_count)
{
    if (fd_count == 1 && cn_gate_worker(program.gate, fds[0], m->number, m->draining) == CN_OK) {
        program.worker_missed = false;
        return true;
    }
    if (!program.worker_missed)
        cn_log_at(CN_LOG_FAILURES, "worker_missed", NULL);
    program.worker_missed = true;
    if (program.missed_count < CN_WORKERS_MAX)
        program.missed[program.missed_count++] = m->number;
    cn_loop_timer_set(&program.loop, &program.worker_again, program.loop.now_ms + WORKER_AGAIN_MS);
    return false;
}

static bool take(const struct cn_message *m, const int *fds, size_t fd_count)
{
    bool kept = false;

    if (m->type == CN_MESSAGE_LISTEN && fd_count == 1 && !program.retiring)
        kept = cn_accepting_add(&program.accepting, fds[0]) == CN_OK;
    else if (m->type == CN_MESSAGE_WORKER)
        kept = worker_take(m, fds, fd_count);
    else if (m->type == CN_MESSAGE_STATE && fd_count == 1)
        state_change(fds[0], m->ticket);
    else if (m->type == CN_MESSAGE_RETIRE)
        retire();
    else if (m->type == CN_MESSAGE_END)
        end(EXIT_SUCCESS);
    return kept;
}

static int after(void *context)
{
    const struct cn_message m = { .type = CN_MESSAGE_RETIRED };

    (void)context;
    cn_gate_turn(program.gate);
    if (program.retiring && !program.retired && cn_gate_busy(program.gate) == 0) {
        program.retired = true;
        cn_child_say(&m);
    }
    return 0;
}

/* --- start ----------------------------------------------------------------------------------- */

static enum cn_err key_take(int fd, const struct cn_state *state)
{
    struct cn_server_secret secret;
    struct cn_server_public mine;
    enum cn_err err = cn_keyfile_take(&program.crypto, fd, CN_ARMOR_SERVER_KEY, secret.bytes);

    if (err == CN_OK)
        err = cn_admission_server_init(&program.admission, &program.crypto, &secret);
    if (err == CN_OK)
        err = cn_x25519_public(secret.bytes, mine.bytes);
    cn_wipe(&secret, sizeof secret);
    /* else nobody who holds a fingerprint could say a hello that is understood, and hear why */
    if (err == CN_OK && !cn_equal_ct(mine.bytes, state->settings.server_key.bytes, sizeof mine))
        err = CN_E_AUTH;
    return err;
}

static enum cn_err gate_make(uint32_t lines_max, const struct cn_state *state)
{
    struct cn_gate_setup setup = { .loop = &program.loop,
                                   .crypto = &program.crypto,
                                   .random = &cn_system_random,
                                   .server = &program.admission,
                                   .config = &program.config,
                                   .who_secret = &program.who_secret,
                                   .page = &program.page,
                                   .lines_max = lines_max,
                                   .worker_faulty = worker_faulty };
    enum cn_err err = cn_loop_init(&program.loop, 2 * (size_t)lines_max + 64);

    program.config = state->config;
    program.who_secret = state->who_secret;
    if (err == CN_OK)
        err = cn_gate_create(&program.gate, &setup);
    if (err != CN_OK)
        return err;
    cn_gate_on_cut(program.gate, was_cut, NULL);
    cn_accepting_init(&program.accepting, &program.loop, program.gate);
    program.loop.after = after;
    program.worker_again.fire = worker_again_fire;
    err = cn_child_listen(&program.loop, take, end);
    return err == CN_OK ? state_take(state) : err;
}

static enum cn_err start_with(const struct cn_message *m, const int fds[START_FDS])
{
    const struct cn_state *state = cn_state_map(fds[2]);
    enum cn_err err = state ? cn_crypto_init(&program.crypto) : CN_E_FORMAT;

    if (err == CN_OK)
        err = key_take(fds[1], state);
    if (err == CN_OK)
        err = cn_page_map(&program.page, fds[0], true);
    if (err == CN_OK)
        err = gate_make(m->number, state);
    cn_state_unmap(state);
    return err;
}

static enum cn_err start(void)
{
    int fds[CN_CHANNEL_FDS_MAX];
    struct cn_message m = { 0 };
    size_t fd_count;
    enum cn_err err;
    int saved;

    cn_child_start("cyphernetd-gate", &m, fds, &fd_count);
    if (!cn_process_stack_lock() || mlock(&program, sizeof program) != 0)
        cn_log("warning", "text=\"the server's key cannot be locked into memory: %s\"",
               strerror(errno));
    err = fd_count == START_FDS ? start_with(&m, fds) : CN_E_FORMAT;
    saved = errno;
    cn_channel_close_fds(fds, fd_count);
    errno = saved;
    return err == CN_OK ? cn_sandbox_enter(CN_SANDBOX_GATE) : err;
}

int main(void)
{
    enum cn_err err = start();

    cn_child_begun(err, errno);
    if (err == CN_OK)
        err = cn_loop_run(&program.loop); /* comes back if epoll fails */
    end(err == CN_OK ? EXIT_SUCCESS : EXIT_FAILURE);
}
