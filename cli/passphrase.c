#include "passphrase.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "crypto.h"

enum { SIZE_MIN = 8 };

/* One octet a time: what follows the line belongs to whoever reads next. False: nothing there, too
 * long, or an error (errno, or 0). */
static bool read_line(int fd, struct cn_passphrase *passphrase)
{
    ssize_t got;
    char c = 0;

    passphrase->size = 0;
    errno = 0;
    while ((got = read(fd, &c, 1)) == 1 && c != '\n') {
        if (passphrase->size == sizeof passphrase->text)
            return false;
        passphrase->text[passphrase->size++] = c;
    }
    return got >= 0 && (got == 1 || passphrase->size > 0);
}

/* --- a descriptor --------------------------------------------------------------------------- */

static int descriptor_of(const struct cn_cli *cli, int *fd)
{
    if (!cn_descriptor(cli->passphrase_fd, fd))
        return cn_misuse(cli, "--passphrase-fd wants the number of an open descriptor");
    return CN_EXIT_DONE;
}

static int from_descriptor(const struct cn_cli *cli, const char *what,
                           struct cn_passphrase *passphrase)
{
    int fd = -1;
    int code = descriptor_of(cli, &fd);

    if (code != CN_EXIT_DONE || read_line(fd, passphrase))
        return code;
    if (errno)
        cn_error("--passphrase-fd: %s", strerror(errno));
    else if (passphrase->size > 0)
        cn_error("--passphrase-fd: the passphrase for %s is too long", what);
    else
        cn_error("--passphrase-fd: no passphrase for %s", what);
    return CN_EXIT_FAILED;
}

/* --- a terminal ----------------------------------------------------------------------------- */

static volatile sig_atomic_t came; /* the signal that ended the question */

static void on_signal(int signal)
{
    came = signal;
}

static const int ending[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP };

enum { ENDING_COUNT = sizeof ending / sizeof ending[0] };

/* Read with the echo off, which it is again on before a signal is obeyed. */
static bool read_hidden(int tty, struct cn_passphrase *passphrase)
{
    const struct sigaction catching = { .sa_handler = on_signal }; /* reading is interrupted */
    struct sigaction before[ENDING_COUNT];
    struct termios shown, hidden;
    bool good;
    int error;

    if (tcgetattr(tty, &shown) != 0)
        return false;
    came = 0;
    for (size_t i = 0; i < ENDING_COUNT; i++)
        (void)sigaction(ending[i], &catching, &before[i]);
    hidden = shown;
    hidden.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK | ECHONL);
    good = tcsetattr(tty, TCSAFLUSH, &hidden) == 0 && read_line(tty, passphrase);
    error = errno;
    (void)tcsetattr(tty, TCSAFLUSH, &shown);
    for (size_t i = 0; i < ENDING_COUNT; i++)
        (void)sigaction(ending[i], &before[i], NULL);
    (void)!write(tty, "\n", 1); /* of the Enter that was not shown */
    if (came)
        (void)raise(came);
    errno = error;
    return good && !came;
}

static int from_terminal(const char *what, const char *again, struct cn_passphrase *passphrase)
{
    int tty = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
    bool own = tty >= 0;
    bool good;

    if (!own && isatty(STDIN_FILENO))
        tty = STDIN_FILENO;
    if (tty < 0) {
        cn_error("the passphrase for %s is needed, and there is no terminal to ask at", what);
        cn_hint("--passphrase-fd N reads it from a descriptor");
        return CN_EXIT_FAILED;
    }
    if (own)
        (void)!dprintf(tty, "Passphrase for %s%s: ", what, again);
    else
        fprintf(stderr, "Passphrase for %s%s: ", what, again);
    good = read_hidden(tty, passphrase);
    if (own)
        close(tty);
    if (!good)
        cn_error("no passphrase was given");
    return good ? CN_EXIT_DONE : CN_EXIT_FAILED;
}

/* --- both ----------------------------------------------------------------------------------- */

int cn_passphrase_ask(const struct cn_cli *cli, const char *what, struct cn_passphrase *passphrase)
{
    return cli->passphrase_fd ? from_descriptor(cli, what, passphrase)
                              : from_terminal(what, "", passphrase);
}

static int ask_again(const char *what, const struct cn_passphrase *passphrase)
{
    struct cn_passphrase second = { 0 };
    int code = from_terminal(what, ", again", &second);

    if (code == CN_EXIT_DONE && (second.size != passphrase->size ||
                                 !cn_equal_ct(second.text, passphrase->text, second.size))) {
        cn_error("the two are not the same; nothing was changed");
        code = CN_EXIT_FAILED;
    }
    cn_wipe(&second, sizeof second);
    return code;
}

int cn_passphrase_new(const struct cn_cli *cli, const char *what, struct cn_passphrase *passphrase)
{
    int code = cn_passphrase_ask(cli, what, passphrase);

    if (code == CN_EXIT_DONE && passphrase->size < SIZE_MIN) {
        cn_error("a passphrase has %d characters at least", SIZE_MIN);
        cn_hint("four or more words that nobody would put together are good");
        return CN_EXIT_FAILED;
    }
    if (code == CN_EXIT_DONE && !cli->passphrase_fd)
        code = ask_again(what, passphrase);
    return code;
}

int cn_passphrase_unseal(struct cn_cli *cli)
{
    struct cn_passphrase passphrase = { 0 };
    enum cn_home_sealing_state state = CN_HOME_PLAIN;
    enum cn_err err = cn_home_sealing(cli->home, &state);
    int code = CN_EXIT_DONE;

    if (err == CN_OK && state == CN_HOME_PLAIN)
        return CN_EXIT_DONE;
    if (err == CN_OK)
        code = cn_passphrase_ask(cli, "your keys", &passphrase);
    if (err == CN_OK && code == CN_EXIT_DONE)
        err = cn_home_unseal(cli->home, passphrase.text, passphrase.size);
    cn_wipe(&passphrase, sizeof passphrase);
    return err == CN_OK ? code : cn_fail(cli, err, "unsealing your keys");
}

int cn_passphrase_set(struct cn_cli *cli)
{
    struct cn_passphrase passphrase = { 0 };
    int code = cn_passphrase_new(cli, "your keys, new", &passphrase);
    enum cn_err err = CN_OK;

    if (code == CN_EXIT_DONE)
        err = cn_home_seal(cli->home, passphrase.text, passphrase.size);
    cn_wipe(&passphrase, sizeof passphrase);
    if (err != CN_OK)
        return cn_fail(cli, err, "setting the passphrase");
    if (code == CN_EXIT_DONE)
        cn_say(cli, "your keys are sealed; without the passphrase nobody gets at them, nor do you");
    return code;
}
