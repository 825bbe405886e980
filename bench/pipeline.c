/* pipeline.c - what a pipe costs at the least: encrypt, send through a splice relay, receive,
 * decrypt. Bare C, no protocol: the measure that `cyphernet pipe` is held against.
 *
 *   pipeline send PORT OCTETS | relay PORT TO-PORT | receive PORT OCTETS | zeros OCTETS */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "crypto.h"

enum { RECORD_SIZE = 65536, PLAIN_SIZE = RECORD_SIZE - CN_AEAD_TAG_SIZE, PIPE_SIZE = 1 << 20 };

static uint8_t plain[RECORD_SIZE];
static uint8_t sealed[RECORD_SIZE];

static _Noreturn void die(const char *what)
{
    perror(what);
    exit(1);
}

static struct sockaddr_in loopback(const char *port)
{
    struct sockaddr_in a = { .sin_family = AF_INET,
                             .sin_port = htons((uint16_t)strtoul(port, NULL, 10)) };

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return a;
}

static int dial(const char *port)
{
    struct sockaddr_in a = loopback(port);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    if (fd < 0 || connect(fd, (const struct sockaddr *)&a, sizeof a) != 0)
        die("connect");
    return fd;
}

/* Listen, say so, and take one connection. */
static int answer(const char *port)
{
    const int on = 1;
    struct sockaddr_in a = loopback(port);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    int line;

    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        bind(fd, (const struct sockaddr *)&a, sizeof a) != 0 || listen(fd, 1) != 0)
        die("listen");
    puts("ready");
    fflush(stdout);
    line = accept(fd, NULL, NULL);
    if (line < 0)
        die("accept");
    close(fd);
    return line;
}

static void write_all(int fd, const uint8_t *from, size_t size)
{
    while (size > 0) {
        ssize_t put = write(fd, from, size);

        if (put < 0)
            die("write");
        from += put;
        size -= (size_t)put;
    }
}

static struct cn_cipher cipher_open(bool seal)
{
    static const uint8_t key[CN_AEAD_KEY_SIZE] = { 1 };
    static struct cn_crypto crypto;
    struct cn_cipher cipher;

    if (cn_crypto_init(&crypto) != CN_OK ||
        cn_cipher_init(&cipher, &crypto, CN_AES256GCM, key, seal) != CN_OK)
        die("libcrypto");
    return cipher;
}

static void send_octets(const char *port, unsigned long long octets)
{
    struct cn_cipher cipher = cipher_open(true);
    struct cn_piece piece = { plain, PLAIN_SIZE };
    uint64_t nonce[2] = { 0 };
    int fd = dial(port);

    for (unsigned long long done = 0; done < octets; done += PLAIN_SIZE) {
        if (cn_cipher_seal(&cipher, (const uint8_t *)nonce, NULL, 0, &piece, 1, sealed) != CN_OK)
            die("seal");
        nonce[0]++;
        write_all(fd, sealed, RECORD_SIZE);
    }
    close(fd);
}

/* Fewer than so many octets are a failure. */
static void receive(const char *port, unsigned long long octets)
{
    struct cn_cipher cipher = cipher_open(false);
    uint64_t nonce[2] = { 0 };
    int fd = answer(port);
    size_t have = 0;
    ssize_t got;

    while ((got = read(fd, sealed + have, RECORD_SIZE - have)) > 0) {
        have += (size_t)got;
        if (have < RECORD_SIZE)
            continue;
        if (cn_cipher_open(&cipher, (const uint8_t *)nonce, NULL, 0, sealed, RECORD_SIZE, plain) !=
            CN_OK)
            die("open");
        nonce[0]++;
        have = 0;
    }
    if (got < 0)
        die("read");
    if (have > 0 || nonce[0] * PLAIN_SIZE < octets) {
        fputs("receive: an end too early\n", stderr);
        exit(1);
    }
}

static void relay(const char *port, const char *to)
{
    int out = dial(to);
    int in = answer(port);
    int pipes[2];

    if (pipe(pipes) != 0)
        die("pipe");
    (void)fcntl(pipes[1], F_SETPIPE_SZ, PIPE_SIZE);
    for (;;) {
        ssize_t size = splice(in, NULL, pipes[1], NULL, PIPE_SIZE, SPLICE_F_MOVE);

        if (size <= 0)
            break;
        while (size > 0) {
            ssize_t put = splice(pipes[0], NULL, out, NULL, (size_t)size, SPLICE_F_MOVE);

            if (put <= 0)
                die("splice");
            size -= put;
        }
    }
    close(out);
}

static void zeros(unsigned long long octets)
{
    static uint8_t block[256 * 1024];

    (void)fcntl(STDOUT_FILENO, F_SETPIPE_SZ, PIPE_SIZE);
    while (octets > 0) {
        size_t size = octets < sizeof block ? (size_t)octets : sizeof block;

        write_all(STDOUT_FILENO, block, size);
        octets -= size;
    }
}

int main(int argc, char **argv)
{
    const char *verb = argc > 1 ? argv[1] : "";

    if (strcmp(verb, "send") == 0 && argc == 4)
        send_octets(argv[2], strtoull(argv[3], NULL, 10));
    else if (strcmp(verb, "relay") == 0 && argc == 4)
        relay(argv[2], argv[3]);
    else if (strcmp(verb, "receive") == 0 && argc == 4)
        receive(argv[2], strtoull(argv[3], NULL, 10));
    else if (strcmp(verb, "zeros") == 0 && argc == 3)
        zeros(strtoull(argv[2], NULL, 10));
    else
        return 2;
    return 0;
}
