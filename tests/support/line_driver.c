/* line_driver: one line to a server, played octet by octet. Reads commands from standard input, one
 * a line, and answers each with one line; what a command cannot do is answered `error TEXT`.
 *
 *   connect HOST PORT       HOST is an IPv4 address
 *   hello FILE              send the hello of a fingerprint; answers `ok HEX`, what was sent
 *   make FILE               the same without sending it
 *   verdict                 `admitted tags=N waiting=N keep_alive=N spread=N`, or why not
 *   register MODE TAG ...   MODE is input or output, TAG hexadecimal, padded with zeros
 *   update MODE TAG ...     either with + behind it: more is to come
 *   keepalive, ready, waiting
 *   expect [MS]             the next message: `waiting`, `joined MODE TAG`, `keepalive`, `goaway
 * N`, `refused WHY`, `forged`; or `eof`, `reset`, `nothing` raw HEX                 send these
 * octets send N [OCTET]          send N octets, as many as are taken within a second: `ok N`
 *   prologue N [OCTET]      a length and so many octets
 *   recv N [MS]             `got HEX END` with what has come of N octets; END is whole, eof, reset
 *                           or nothing
 *   count N [MS]            the same, but `got SIZE END`
 *   flow N, check N [MS]    the same as send and count, of octets that tell where they belong; END
 * may be `other` then buffer N                a receive buffer of N octets, before connect
 *   shutdown, reset, close */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "admission.h"
#include "armor.h"
#include "random.h"

enum { WAIT_MS = 10000, PIECE = 65536, WORDS_MAX = 2 * CN_ADMISSION_ENTRY_COUNT_MAX + 2 };

static struct cn_crypto crypto;
static struct cn_noise noise;
static struct cn_admission_line line;
static int patience_ms = 1000; /* until what is sent must be taken */
static int connection = -1;
static int buffer_size;
static uint8_t piece[PIECE];

static const char *const verdicts[CN_VERDICT_COUNT] = {
    [CN_VERDICT_ADMITTED] = "admitted",           [CN_VERDICT_EXPIRED] = "expired",
    [CN_VERDICT_NOT_YET_VALID] = "not_yet_valid", [CN_VERDICT_REVOKED] = "revoked",
    [CN_VERDICT_SUSPENDED] = "suspended",         [CN_VERDICT_OVER_LIMIT] = "over_limit",
    [CN_VERDICT_REPLACED] = "replaced",
};

static void die(const char *what)
{
    fprintf(stderr, "line_driver: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int64_t clock_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void hex_print(const uint8_t *octets, size_t size)
{
    for (size_t i = 0; i < size; i++)
        printf("%02x", octets[i]);
}

/* How many octets; SIZE_MAX: no hexadecimal number, or too long. */
static size_t hex_parse(const char *text, uint8_t *out, size_t size_max)
{
    size_t size = strlen(text) / 2;

    if (strlen(text) % 2 || size > size_max || strspn(text, "0123456789abcdef") != strlen(text))
        return SIZE_MAX;
    for (size_t i = 0; i < size; i++) {
        const char pair[] = { text[2 * i], text[2 * i + 1], '\0' };

        out[i] = (uint8_t)strtoul(pair, NULL, 16);
    }
    return size;
}

static void say_err(enum cn_err err)
{
    printf("error %s\n", cn_err_text(err));
}

static void say_errno(void)
{
    printf("error %s\n", strerror(errno));
}

/* --- octets ---------------------------------------------------------------------------------- */

/* As many as are taken, with no more than a second between two pieces. */
static size_t send_all(const uint8_t *octets, size_t size)
{
    size_t sent = 0;

    while (sent < size) {
        struct pollfd wait = { connection, POLLOUT, 0 };
        ssize_t n = send(connection, octets + sent, size - sent, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (n > 0)
            sent += (size_t)n;
        else if (n < 0 && errno != EAGAIN)
            break;
        else if (poll(&wait, 1, patience_ms) <= 0)
            break;
    }
    return sent;
}

static const char *receive(uint8_t *out, size_t size, int ms, size_t *got)
{
    int64_t end = clock_ms() + ms;

    *got = 0;
    while (*got < size) {
        struct pollfd wait = { connection, POLLIN, 0 };
        int64_t left = end - clock_ms();
        ssize_t n;

        if (poll(&wait, 1, left > 0 ? (int)left : 0) <= 0)
            return "nothing";
        n = recv(connection, out + *got, size - *got, MSG_DONTWAIT);
        if (n == 0)
            return "eof";
        if (n < 0 && errno != EAGAIN)
            return errno == ECONNRESET ? "reset" : "broken";
        if (n > 0)
            *got += (size_t)n;
    }
    return "whole";
}

static void send_octets(const uint8_t *octets, size_t size)
{
    printf("ok %zu\n", send_all(octets, size));
}

static void send_many(size_t size, int octet)
{
    size_t sent = 0;
    size_t part = PIECE;

    memset(piece, octet, sizeof piece);
    while (sent < size && part == PIECE) {
        part = send_all(piece, size - sent < PIECE ? size - sent : PIECE);
        sent += part;
    }
    printf("ok %zu\n", sent);
}

static void do_recv(size_t size, int ms, bool count_only)
{
    size_t all = 0;
    const char *how = "whole";

    if (!count_only)
        printf("got ");
    while (all < size && strcmp(how, "whole") == 0) {
        size_t part;

        how = receive(piece, size - all < PIECE ? size - all : PIECE, ms, &part);
        if (!count_only)
            hex_print(piece, part);
        all += part;
    }
    if (count_only)
        printf("got %zu", all);
    printf(" %s\n", how);
}

/* --- messages -------------------------------------------------------------------------------- */

static void do_connect(const char *host, const char *port)
{
    struct sockaddr_in to = { .sin_family = AF_INET,
                              .sin_port = htons((uint16_t)strtoul(port, NULL, 10)) };

    connection = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connection < 0)
        die("socket");
    if (buffer_size > 0 &&
        setsockopt(connection, SOL_SOCKET, SO_RCVBUF, &buffer_size, sizeof buffer_size) != 0)
        die("SO_RCVBUF");
    if (inet_pton(AF_INET, host, &to.sin_addr) != 1)
        puts("error no address");
    else if (connect(connection, (const struct sockaddr *)&to, sizeof to) != 0)
        say_errno();
    else
        puts("ok");
}

static void do_hello(const char *path, bool sends)
{
    static char text[CN_ARMOR_TEXT_SIZE_MAX];
    struct cn_fingerprint fingerprint;
    uint8_t ephemeral[CN_X25519_SIZE];
    uint8_t out[CN_ADMISSION_SIZE];
    FILE *file = fopen(path, "rb");
    size_t size;
    enum cn_err err;

    if (!file) {
        say_errno();
        return;
    }
    size = fread(text, 1, sizeof text, file);
    fclose(file);
    err = cn_fingerprint_decode(&crypto, text, size, &fingerprint);
    if (err == CN_OK)
        err = cn_random_fill(&cn_system_random, ephemeral, sizeof ephemeral);
    if (err == CN_OK)
        err = cn_admission_hello_write(&noise, &crypto, &fingerprint, ephemeral, out);
    if (err != CN_OK) {
        say_err(err);
        return;
    }
    if (sends && send_all(out, sizeof out) != sizeof out) {
        say_errno();
        return;
    }
    printf("ok ");
    hex_print(out, sizeof out);
    puts("");
}

static void do_verdict(int ms)
{
    struct cn_admission_verdict v;
    uint8_t in[CN_ADMISSION_SIZE];
    size_t got;
    const char *how = receive(in, sizeof in, ms, &got);
    enum cn_err err;

    if (got == 0) {
        puts(how);
        return;
    }
    if (got < sizeof in) {
        printf("error cut after %zu: %s\n", got, how);
        return;
    }
    err = cn_admission_verdict_read(&noise, in, &v, &line);
    if (err != CN_OK)
        say_err(err);
    else if (v.verdict != CN_VERDICT_ADMITTED)
        puts(verdicts[v.verdict]);
    else
        printf("admitted tags=%u waiting=%u keep_alive=%u spread=%u\n", v.tag_count_max,
               v.waiting_s, v.keep_alive_s, v.spread_s);
}

static void seal_and_send(const struct cn_admission_message *m)
{
    uint8_t out[CN_ADMISSION_SIZE];
    enum cn_err err = cn_admission_seal(&line, &crypto, m, out);

    if (err != CN_OK)
        say_err(err);
    else if (send_all(out, sizeof out) != sizeof out)
        say_errno();
    else
        puts("ok");
}

static void do_entries(enum cn_admission_type type, bool more, char **word, size_t count)
{
    struct cn_admission_message m = { .type = type, .more = more };

    for (size_t i = 0; i + 1 < count; i += 2) {
        struct cn_entry *e = &m.entry[m.entry_count++];

        e->mode = strcmp(word[i], "output") == 0 ? CN_MODE_OUTPUT : CN_MODE_INPUT;
        if (hex_parse(word[i + 1], e->tag, sizeof e->tag) == SIZE_MAX) {
            puts("error no tag");
            return;
        }
    }
    seal_and_send(&m);
}

static void message_print(const struct cn_admission_message *m)
{
    switch (m->type) {
    case CN_ADMISSION_WAITING:
        puts("waiting");
        break;
    case CN_ADMISSION_KEEP_ALIVE:
        puts("keepalive");
        break;
    case CN_ADMISSION_JOINED:
        printf("joined %s ", m->entry[0].mode == CN_MODE_OUTPUT ? "output" : "input");
        hex_print(m->entry[0].tag, CN_TAG_SIZE);
        puts("");
        break;
    case CN_ADMISSION_GOAWAY:
        printf("goaway %u\n", m->spread_s);
        break;
    case CN_ADMISSION_REFUSED:
        printf("refused %s\n", verdicts[m->reason]);
        break;
    case CN_ADMISSION_REGISTER:
    case CN_ADMISSION_UPDATE:
    case CN_ADMISSION_READY:
    case CN_ADMISSION_TYPE_COUNT:
        printf("error message %d\n", (int)m->type);
    }
}

static void do_expect(int ms)
{
    struct cn_admission_message m;
    uint8_t in[CN_ADMISSION_SIZE];
    size_t got;
    const char *how = receive(in, sizeof in, ms, &got);

    if (got == 0)
        puts(how);
    else if (got < sizeof in)
        printf("error cut after %zu: %s\n", got, how);
    else if (cn_admission_open(&line, &crypto, in, &m) != CN_OK)
        puts("forged");
    else
        message_print(&m);
}

static void do_prologue(const char *size, int octet)
{
    size_t count = strtoul(size, NULL, 10);

    piece[0] = (uint8_t)(count >> 8);
    piece[1] = (uint8_t)count;
    memset(piece + 2, octet, count < PIECE - 2 ? count : PIECE - 2);
    send_octets(piece, 2 + count);
}

static void do_reset(void)
{
    const struct linger none = { 1, 0 };

    if (setsockopt(connection, SOL_SOCKET, SO_LINGER, &none, sizeof none) != 0)
        die("SO_LINGER");
    close(connection);
    connection = -1;
    puts("ok");
}

/* --- commands -------------------------------------------------------------------------------- */

static bool do_message(char **word, size_t count)
{
    static const struct {
        const char *name;
        enum cn_admission_type type;
        bool more;
    } types[] = {
        { "register", CN_ADMISSION_REGISTER, false },
        { "register+", CN_ADMISSION_REGISTER, true },
        { "update", CN_ADMISSION_UPDATE, false },
        { "update+", CN_ADMISSION_UPDATE, true },
        { "keepalive", CN_ADMISSION_KEEP_ALIVE, false },
        { "ready", CN_ADMISSION_READY, false },
        { "waiting", CN_ADMISSION_WAITING, false },
    };

    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (strcmp(word[0], types[i].name) == 0) {
            do_entries(types[i].type, types[i].more, word + 1, count - 1);
            return true;
        }
    }
    return false;
}

/* The octet at this place of a flow. */
static uint8_t flow_octet(size_t at)
{
    return (uint8_t)(at ^ at >> 8 ^ at >> 16 ^ at >> 24);
}

static void flow_send(size_t size)
{
    size_t sent = 0;
    size_t part = 1;

    patience_ms = WAIT_MS;
    while (sent < size && part > 0) {
        size_t wanted = size - sent < PIECE ? size - sent : PIECE;

        for (size_t i = 0; i < wanted; i++)
            piece[i] = flow_octet(sent + i);
        part = send_all(piece, wanted);
        sent += part;
    }
    patience_ms = 1000;
    printf("ok %zu\n", sent);
}

static void flow_check(size_t size, int ms)
{
    size_t all = 0;
    const char *how = "whole";

    while (all < size && strcmp(how, "whole") == 0) {
        size_t part;

        how = receive(piece, size - all < PIECE ? size - all : PIECE, ms, &part);
        for (size_t i = 0; i < part; i++) {
            if (piece[i] != flow_octet(all + i))
                how = "other";
        }
        all += part;
    }
    printf("got %zu %s\n", all, how);
}

static bool do_octets(char **word, size_t count)
{
    static uint8_t octets[PIECE];
    const char *second = count > 1 ? word[1] : "";
    int third = count > 2 ? (int)strtol(word[2], NULL, 10) : -1;
    size_t size = strtoul(second, NULL, 10);

    if (strcmp(word[0], "raw") == 0) {
        size = hex_parse(second, octets, sizeof octets);
        if (size == SIZE_MAX)
            puts("error not hexadecimal");
        else
            send_octets(octets, size);
    } else if (strcmp(word[0], "send") == 0)
        send_many(size, third < 0 ? 's' : third);
    else if (strcmp(word[0], "prologue") == 0)
        do_prologue(second, third < 0 ? 'p' : third);
    else if (strcmp(word[0], "recv") == 0)
        do_recv(size, third < 0 ? WAIT_MS : third, false);
    else if (strcmp(word[0], "count") == 0)
        do_recv(size, third < 0 ? WAIT_MS : third, true);
    else if (strcmp(word[0], "flow") == 0)
        flow_send(size);
    else if (strcmp(word[0], "check") == 0)
        flow_check(size, third < 0 ? WAIT_MS : third);
    else
        return false;
    return true;
}

static bool do_connection(char **word, size_t count)
{
    if (strcmp(word[0], "connect") == 0 && count == 3)
        do_connect(word[1], word[2]);
    else if (strcmp(word[0], "buffer") == 0 && count == 2) {
        buffer_size = (int)strtol(word[1], NULL, 10);
        puts("ok");
    } else if (strcmp(word[0], "shutdown") == 0)
        puts(shutdown(connection, SHUT_WR) == 0 ? "ok" : "error not connected");
    else if (strcmp(word[0], "urgent") == 0)
        puts(send(connection, "!", 1, MSG_OOB) == 1 ? "ok" : "error not sent");
    else if (strcmp(word[0], "reset") == 0)
        do_reset();
    else if (strcmp(word[0], "close") == 0)
        puts(close(connection) == 0 ? "ok" : "error not open");
    else
        return false;
    return true;
}

static void command(char **word, size_t count)
{
    int ms = count > 1 ? (int)strtol(word[1], NULL, 10) : WAIT_MS;

    if (strcmp(word[0], "hello") == 0 && count == 2)
        do_hello(word[1], true);
    else if (strcmp(word[0], "make") == 0 && count == 2)
        do_hello(word[1], false);
    else if (strcmp(word[0], "verdict") == 0)
        do_verdict(ms);
    else if (strcmp(word[0], "expect") == 0)
        do_expect(ms);
    else if (!do_message(word, count) && !do_octets(word, count) && !do_connection(word, count))
        puts("error no such command");
}

int main(void)
{
    static char text[2 * PIECE + 64];

    if (cn_crypto_init(&crypto) != CN_OK)
        die("libcrypto");
    while (fgets(text, sizeof text, stdin)) {
        char *word[WORDS_MAX];
        size_t count = 0;
        char *left;

        for (char *w = strtok_r(text, " \n", &left); w && count < WORDS_MAX;
             w = strtok_r(NULL, " \n", &left))
            word[count++] = w;
        if (count == 0)
            puts("error no command");
        else
            command(word, count);
        fflush(stdout);
    }
    cn_crypto_wipe(&crypto);
    return 0;
}
