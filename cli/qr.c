#include "qr.h"

#include <png.h>
#include <qrencode.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto.h"

enum { PIXELS = 6 /* of a picture for each module */ };

bool cn_qr_make(struct cn_qr *qr, const char *text, size_t size)
{
    QRinput *input = QRinput_new2(0, QR_ECLEVEL_L);
    QRcode *code = NULL;

    if (input && QRinput_append(input, QR_MODE_AN, (int)size, (const unsigned char *)text) == 0)
        code = QRcode_encodeInput(input);
    QRinput_free(input);
    if (!code)
        return false;
    qr->width = (size_t)code->width;
    for (size_t i = 0; i < qr->width * qr->width; i++)
        qr->dark[i] = code->data[i] & 1;
    cn_wipe(code->data, qr->width * qr->width);
    QRcode_free(code);
    return true;
}

/* x and y count from the corner of the space around. */
static bool is_dark(const struct cn_qr *qr, size_t x, size_t y)
{
    if (x < CN_QR_QUIET || y < CN_QR_QUIET || x - CN_QR_QUIET >= qr->width ||
        y - CN_QR_QUIET >= qr->width)
        return false;
    return qr->dark[(y - CN_QR_QUIET) * qr->width + x - CN_QR_QUIET];
}

void cn_qr_draw(const struct cn_qr *qr, bool colour)
{
    /* what is light: nothing, the lower half, the upper half, both */
    static const char *const light[] = { " ", "\u2584", "\u2580", "\u2588" };
    size_t side = qr->width + 2 * CN_QR_QUIET;

    for (size_t y = 0; y < side; y += 2) {
        fputs(colour ? "\033[38;5;231;48;5;16m" : "",
              stdout); /* white on black, whatever is usual */
        for (size_t x = 0; x < side; x++)
            fputs(light[(is_dark(qr, x, y) ? 0 : 2) + (is_dark(qr, x, y + 1) ? 0 : 1)], stdout);
        puts(colour ? "\033[0m" : "");
    }
}

static void paint(const struct cn_qr *qr, uint8_t *pixels, size_t row_size)
{
    size_t side = (qr->width + 2 * CN_QR_QUIET) * PIXELS;

    for (size_t y = 0; y < side; y++) {
        for (size_t x = 0; x < side; x++)
            pixels[y * row_size + x] = is_dark(qr, x / PIXELS, y / PIXELS) ? 0 : 255;
    }
}

/* PNG of all pixels; NULL: it failed. */
static void *compress(png_image *image, const uint8_t *pixels, size_t *size)
{
    png_alloc_size_t need = PNG_IMAGE_PNG_SIZE_MAX(*image);
    void *png = malloc(need);

    if (png && !png_image_write_to_memory(image, png, &need, 0, pixels, 0, NULL)) {
        free(png);
        png = NULL;
    }
    *size = png ? need : 0;
    return png;
}

bool cn_qr_picture(const struct cn_qr *list, size_t count, void **png, size_t *size)
{
    size_t side = (list[0].width + 2 * CN_QR_QUIET) * PIXELS;
    png_image image = { .version = PNG_IMAGE_VERSION,
                        .width = (png_uint_32)side,
                        .height = (png_uint_32)(side * count),
                        .format = PNG_FORMAT_GRAY };
    uint8_t *pixels = malloc(side * side * count);

    if (!pixels)
        return false;
    memset(pixels, 255, side * side * count); /* the last may be smaller */
    for (size_t i = 0; i < count; i++)
        paint(&list[i], pixels + i * side * side, side);
    *png = compress(&image, pixels, size);
    cn_wipe(pixels, side * side * count);
    free(pixels);
    return *png != NULL;
}
