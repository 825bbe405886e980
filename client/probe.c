/* probe.c - ask a server whether it would admit us, and register nothing. PROTOCOL.md 3.1, 3.2 */
#include <cyphernet.h>

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "admission.h"
#include "connect.h"
#include "home.h"
#include "verdict.h"

/* False: the time is over, or poll failed; errno says. */
static bool ready(int fd, short events, uint64_t until_ms)
{
    struct pollfd p = { .fd = fd, .events = events };

    for (;;) {
        uint64_t now_ms = cn_connect_clock_ms();
        int count = poll(&p, 1, now_ms < until_ms ? (int)(until_ms - now_ms) : 0);

        if (count > 0)
            return true;
        if (count == 0)
            errno = ETIMEDOUT;
        else if (errno == EINTR)
            continue;
        return false;
    }
}

/* Until something can be done. False: the time is over. */
static bool connecting_wait(const struct cn_connect *connect, uint64_t until_ms)
{
    struct pollfd p[CN_CONNECT_AT_ONCE_MAX];
    size_t count = cn_connect_descriptors(connect, p, CN_CONNECT_AT_ONCE_MAX);
    uint64_t due_ms = cn_connect_due_ms(connect);
    uint64_t now_ms = cn_connect_clock_ms();

    if (now_ms >= until_ms)
        return false;
    if (due_ms > until_ms)
        due_ms = until_ms;
    (void)poll(p, count, now_ms < due_ms ? (int)(due_ms - now_ms) : 0);
    return true;
}

/* The connected socket; else the home's detail says why not. */
static enum cn_err connect_to(struct cn_home *home, const struct cn_fingerprint *fingerprint,
                              const struct cn_proxy_setting *proxy, size_t address_index,
                              uint64_t until_ms, int *fd)
{
    struct cn_connect connect = CN_CONNECT_NONE;
    enum cn_err err = cn_connect_start(&connect, home, fingerprint, proxy, address_index, 1,
                                       cn_connect_clock_ms());

    while (err == CN_E_MORE && connecting_wait(&connect, until_ms))
        err = cn_connect_step(&connect, cn_connect_clock_ms());
    if (err == CN_OK)
        *fd = cn_connect_take(&connect);
    if (err == CN_E_MORE)
        err = cn_home_fail(home, CN_E_UNREACHABLE, ETIMEDOUT, fingerprint->address[address_index]);
    cn_connect_close(&connect);
    return err;
}

/* All of both messages, or the end of the connection: CN_E_HUNG_UP. */
static enum cn_err exchange(int fd, const uint8_t out[CN_ADMISSION_SIZE],
                            uint8_t in[CN_ADMISSION_SIZE], uint64_t until_ms)
{
    size_t sent = 0;
    size_t got = 0;

    while (got < CN_ADMISSION_SIZE) {
        bool sending = sent < CN_ADMISSION_SIZE;
        ssize_t moved;

        if (!ready(fd, sending ? POLLOUT : POLLIN, until_ms))
            return errno == ETIMEDOUT ? CN_E_TIMEOUT : CN_E_SYSTEM;
        moved = sending ? send(fd, out + sent, CN_ADMISSION_SIZE - sent, MSG_NOSIGNAL)
                        : recv(fd, in + got, CN_ADMISSION_SIZE - got, 0);
        if (moved < 0 && (errno == EAGAIN || errno == EINTR))
            continue;
        if (moved <= 0)
            return CN_E_HUNG_UP;
        if (sending)
            sent += (size_t)moved;
        else
            got += (size_t)moved;
    }
    return CN_OK;
}

static void note_fill(struct cn_admission_note *note, const struct cn_fingerprint *fingerprint,
                      const struct cn_admission_verdict *verdict)
{
    struct cn_fingerprint noticed = *fingerprint;
    struct cn_notices_taken taken;

    note->clock_ahead_s = (int64_t)time(NULL) - (int64_t)verdict->server_time;
    note->not_after = fingerprint->certificate.not_after;
    note->refusal = (int)cn_refusal_of(verdict->verdict);
    cn_notices_take(verdict->notice, verdict->notice_size, &noticed, &taken);
    note->notices = taken.changes;
    note->notice_err = taken.err;
    cn_fingerprint_wipe(&noticed);
}

/* On a connected socket. */
static enum cn_err ask(struct cn_home *home, const struct cn_fingerprint *fingerprint, int fd,
                       uint64_t until_ms, struct cn_admission_note *note)
{
    uint8_t ephemeral[CN_X25519_SIZE];
    uint8_t hello[CN_ADMISSION_SIZE];
    uint8_t answer[CN_ADMISSION_SIZE];
    struct cn_noise noise = { 0 };
    struct cn_admission_line line = { 0 };
    struct cn_admission_verdict verdict;
    enum cn_err err = cn_random_fill(&home->random, ephemeral, sizeof ephemeral);

    if (err == CN_OK)
        err = cn_admission_hello_write(&noise, &home->crypto, fingerprint, ephemeral, hello);
    if (err == CN_OK)
        err = exchange(fd, hello, answer, until_ms);
    if (err == CN_OK && cn_admission_verdict_read(&noise, answer, &verdict, &line) != CN_OK)
        err = CN_E_AUTH; /* whatever is wrong with it */
    if (err == CN_OK) {
        note_fill(note, fingerprint, &verdict);
        err = verdict.verdict == CN_VERDICT_ADMITTED ? CN_OK : CN_E_ADMISSION;
    }
    cn_wipe(ephemeral, sizeof ephemeral);
    cn_wipe(&noise, sizeof noise);
    cn_admission_line_wipe(&line);
    return err;
}

enum cn_err cn_home_probe(struct cn_home *home, size_t address_index, int timeout_ms,
                          struct cn_admission_note *note)
{
    struct cn_fingerprint fingerprint;
    uint64_t until_ms = cn_connect_clock_ms() + (uint64_t)timeout_ms;
    enum cn_err err = cn_home_fingerprint(home, &fingerprint);
    struct cn_proxy_setting proxy = { 0 };
    int fd = -1;

    if (err != CN_OK)
        return err;
    if (address_index >= fingerprint.address_count)
        err = CN_E_USAGE;
    if (err == CN_OK)
        err = cn_home_proxy(home, &proxy);
    if (err == CN_OK)
        err = connect_to(home, &fingerprint, &proxy, address_index, until_ms, &fd);
    if (err == CN_OK) {
        err = ask(home, &fingerprint, fd, until_ms, note);
        err = cn_home_fail(home, err, err == CN_E_SYSTEM ? errno : 0,
                           fingerprint.address[address_index]);
    }
    if (fd >= 0)
        close(fd);
    cn_proxy_setting_wipe(&proxy);
    cn_fingerprint_wipe(&fingerprint);
    return err;
}
