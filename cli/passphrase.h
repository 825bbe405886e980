/* passphrase.h - passphrases from a terminal, or from the descriptor of --passphrase-fd. */
#ifndef CN_PASSPHRASE_H
#define CN_PASSPHRASE_H

#include "cli.h"

struct cn_passphrase {
    char text[CN_PASSPHRASE_MAX]; /* not ended by a NUL; wipe it */
    size_t size;
};

/* Ask, without echo: `Passphrase for <what>`. Each one asked for is a line of the descriptor. It
 * says what is wrong itself, as the others; the exit code. */
int cn_passphrase_ask(const struct cn_cli *cli, const char *what, struct cn_passphrase *passphrase);
/* A new one: twice at a terminal, and not too short. */
int cn_passphrase_new(const struct cn_cli *cli, const char *what, struct cn_passphrase *passphrase);
/* Ask for a new one for the home's files, and put them under it; it says so. */
int cn_passphrase_set(struct cn_cli *cli);
/* Ask for what the home's files are under, if for anything, and unseal them. */
int cn_passphrase_unseal(struct cn_cli *cli);

#endif
