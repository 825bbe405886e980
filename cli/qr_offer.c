#include "qr_offer.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "card_part.h"
#include "crypto.h"
#include "qr.h"
#include "secret.h"

/* What a camera reads: docs/decisions/0017. */
enum { WIDTH_READABLE = 125 /* modules; version 27 */ };

struct codes {
    char text[CN_CARD_PART_COUNT_MAX][CN_CARD_PART_TEXT_SIZE_MAX];
    size_t text_size[CN_CARD_PART_COUNT_MAX];
    struct cn_qr qr[CN_CARD_PART_COUNT_MAX];
    unsigned count;
};

/* How wide a code may be, with the space around it: what the terminal has room for, where standard
 * output is one and the code goes there. */
static size_t width_max(bool drawn)
{
    size_t most = WIDTH_READABLE + 2 * CN_QR_QUIET;
    struct winsize size;
    size_t room;

    if (!drawn || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0 ||
        size.ws_row < 2)
        return most;
    room = 2 * (size.ws_row - 1U); /* the last line is for what is said */
    if (room > size.ws_col)
        room = size.ws_col;
    return room < most ? room : most;
}

static enum cn_err part_make(struct cn_cli *cli, const char *name, struct codes *codes,
                             unsigned index)
{
    enum cn_err err;

    codes->text_size[index] = sizeof codes->text[index];
    err = cn_contact_offer_part(cli->home, name, index, codes->count, codes->text[index],
                                &codes->text_size[index]);
    if (err == CN_OK && !cn_qr_make(&codes->qr[index], codes->text[index], codes->text_size[index]))
        err = CN_E_MEMORY; /* the largest card has less than the largest code holds */
    return err;
}

/* In as few parts as will do; CN_E_FULL: even the most are too wide. */
static enum cn_err codes_make(struct cn_cli *cli, const char *name, struct codes *codes,
                              size_t width)
{
    enum cn_err err = CN_OK;

    for (codes->count = 1; codes->count <= CN_CARD_PART_COUNT_MAX; codes->count++) {
        err = part_make(cli, name, codes, 0); /* the longest */
        if (err != CN_OK || codes->qr[0].width + 2 * CN_QR_QUIET <= width)
            break;
    }
    if (err == CN_OK && codes->count > CN_CARD_PART_COUNT_MAX)
        err = CN_E_FULL;
    for (unsigned i = 1; err == CN_OK && i < codes->count; i++)
        err = part_make(cli, name, codes, i);
    return err;
}

/* One after the other; between two somebody has to say that the first has been read. */
static int draw(struct cn_cli *cli, const struct codes *codes)
{
    const char *no_color = getenv("NO_COLOR");
    bool colour = isatty(STDOUT_FILENO) && !(no_color && no_color[0]);
    bool asking = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
    char line[16];

    for (unsigned i = 0; i < codes->count; i++) {
        cn_qr_draw(&codes->qr[i], colour);
        fflush(stdout);
        if (i + 1 == codes->count)
            break;
        if (!asking) {
            puts("");
            continue;
        }
        fprintf(stderr, "part %u of %u; Enter shows the next ", i + 1, codes->count);
        if (!fgets(line, sizeof line, stdin)) {
            cn_error("only %u of %u parts were shown", i + 1, codes->count);
            return CN_EXIT_FAILED;
        }
    }
    if (!colour)
        cn_say(cli, "without colour this is right on a dark terminal; -o FILE makes a picture");
    return CN_EXIT_DONE;
}

/* The texts, each on a line. */
static int write_texts(struct cn_cli *cli, struct codes *codes, struct cn_output *output)
{
    char text[CN_TEXT_SIZE_MAX];
    size_t size = 0;
    int code;

    for (unsigned i = 0; i < codes->count; i++) {
        memcpy(text + size, codes->text[i], codes->text_size[i]);
        size += codes->text_size[i];
        text[size++] = '\n';
    }
    code = cn_output_write(cli, output, "card", text, size);
    cn_wipe(text, sizeof text);
    return code;
}

static int write_picture(struct cn_cli *cli, const struct codes *codes, struct cn_output *output)
{
    void *png = NULL;
    size_t size = 0;
    int code;

    if (!cn_qr_picture(codes->qr, codes->count, &png, &size)) {
        cn_output_drop(output);
        return cn_fail(cli, CN_E_MEMORY, "drawing the card");
    }
    code = cn_output_write(cli, output, "card", png, size);
    cn_wipe(png, size);
    free(png);
    return code;
}

static int failed(struct cn_cli *cli, enum cn_err err, size_t width)
{
    if (err != CN_E_FULL)
        return cn_contact_failed(cli, err, "making the card");
    cn_error("the terminal is too small for a code: %zu modules fit", width);
    cn_hint("make it larger, or its letters smaller; or -o FILE makes a picture");
    return CN_EXIT_FAILED;
}

static int show(struct cn_cli *cli, struct codes *codes, struct cn_output *output)
{
    if (output->path)
        return write_picture(cli, codes, output);
    return cli->json ? write_texts(cli, codes, output) : draw(cli, codes);
}

int cn_qr_offer(struct cn_cli *cli, const char *name, struct cn_output *output)
{
    struct codes *codes = cn_secret_take(sizeof *codes);
    char text[CN_TEXT_SIZE_MAX];
    size_t size = sizeof text;
    size_t width = width_max(!output->path && !cli->json);
    enum cn_err err = codes ? cn_contact_offer(cli->home, name, false, text, &size) : CN_E_MEMORY;
    int code;

    if (err == CN_OK)
        err = codes_make(cli, name, codes, width);
    size = sizeof text;
    if (err == CN_OK && cli->fresh) { /* now that we know that it can be shown */
        err = cn_contact_offer(cli->home, name, true, text, &size);
        if (err == CN_OK)
            err = codes_make(cli, name, codes, width);
    }
    cn_wipe(text, sizeof text);
    if (err == CN_OK) {
        code = show(cli, codes, output);
    } else {
        code = failed(cli, err, width);
        cn_output_drop(output);
    }
    if (codes)
        cn_secret_give(codes, sizeof *codes);
    if (code == CN_EXIT_DONE)
        cn_say(cli, "the card is a secret between you and %s: show it to nobody else", name);
    return code;
}
