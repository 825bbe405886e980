/* probe.c - ask a server whether it would admit us, and register nothing. PROTOCOL.md 3.1, 3.2 */
#include <cyphernet.h>

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "address.h"
#include "admission.h"
#include "home.h"
#include "verdict.h"

static int64_t clock_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_BOOTTIME, &t); /* cannot fail for this clock */
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* False: the time is over, or poll failed; errno says. */
static bool ready(int fd, short events, int64_t until_ms)
{
    struct pollfd p = { .fd = fd, .events = events };

    for (;;) {
        int64_t left_ms = until_ms - clock_ms();
        int count = poll(&p, 1, left_ms > 0 ? (int)left_ms : 0);

        if (count > 0)
            return true;
        if (count == 0)
            errno = ETIMEDOUT;
        else if (errno == EINTR)
            continue;
        return false;
    }
}

/* The connected socket; -1: errno. */
static int connect_one(const struct addrinfo *to, int64_t until_ms)
{
    int fd = socket(to->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int failure = 0;
    socklen_t size = sizeof failure;

    if (fd < 0)
        return -1;
    /* EINPROGRESS, EINTR: the socket becomes writable when it is decided */
    if (connect(fd, to->ai_addr, to->ai_addrlen) != 0 && errno != EINPROGRESS && errno != EINTR)
        failure = errno;
    else if (!ready(fd, POLLOUT, until_ms) ||
             getsockopt(fd, SOL_SOCKET, SO_ERROR, &failure, &size) != 0)
        failure = errno;
    if (failure == 0)
        return fd;
    close(fd);
    errno = failure;
    return -1;
}

static int connect_any(struct cn_home *home, const char *address, int64_t until_ms)
{
    struct addrinfo *found;
    int failure = cn_address_resolve(address, &found);
    int fd = -1;

    if (failure != 0) {
        (void)cn_home_fail(home, CN_E_UNREACHABLE, failure == EAI_SYSTEM ? errno : 0, address);
        return -1;
    }
    for (const struct addrinfo *at = found; at && fd < 0; at = at->ai_next)
        fd = connect_one(at, until_ms);
    failure = errno;
    freeaddrinfo(found);
    if (fd < 0)
        (void)cn_home_fail(home, CN_E_UNREACHABLE, failure, address);
    return fd;
}

/* All of both messages, or the end of the connection: CN_E_INTERRUPTED. */
static enum cn_err exchange(int fd, const uint8_t out[CN_ADMISSION_SIZE],
                            uint8_t in[CN_ADMISSION_SIZE], int64_t until_ms)
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
            return CN_E_INTERRUPTED;
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
    note->clock_ahead_s = (int64_t)time(NULL) - (int64_t)verdict->server_time;
    note->not_after = fingerprint->certificate.not_after;
    note->refusal = (int)cn_refusal_of(verdict->verdict);
}

/* On a connected socket. */
static enum cn_err ask(struct cn_home *home, const struct cn_fingerprint *fingerprint, int fd,
                       int64_t until_ms, struct cn_admission_note *note)
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
    int64_t until_ms = clock_ms() + timeout_ms;
    enum cn_err err = cn_home_fingerprint(home, &fingerprint);
    const char *address;
    int fd;

    if (err != CN_OK)
        return err;
    err = CN_E_USAGE;
    if (address_index >= fingerprint.address_count)
        goto out;
    address = fingerprint.address[address_index];
    err = CN_E_UNREACHABLE;
    fd = connect_any(home, address, until_ms);
    if (fd < 0)
        goto out;
    err = ask(home, &fingerprint, fd, until_ms, note);
    err = cn_home_fail(home, err, err == CN_E_SYSTEM ? errno : 0, address);
    close(fd);
out:
    cn_fingerprint_wipe(&fingerprint);
    return err;
}
