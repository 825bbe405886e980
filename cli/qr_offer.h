/* qr_offer.h - my card as QR codes. */
#ifndef CN_QR_OFFER_H
#define CN_QR_OFFER_H

#include "cli.h"

/* Make the card for NAME if there is none yet, and show it: a PNG if the output is a file, else
 * codes in the terminal. Closes the output, whatever happens; the exit code. */
int cn_qr_offer(struct cn_cli *cli, const char *name, struct cn_output *output);

/* cmd_contact.c: cn_fail, with the hints that are about cards and contacts. */
int cn_contact_failed(struct cn_cli *cli, enum cn_err err, const char *what);

#endif
