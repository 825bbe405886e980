/* Hello, verdict and the messages behind them: 1024 octets of any values, which open under any keys
 * to any octets. */
#include "admission.h"
#include "any.h"

static enum cn_err check(void *context, const struct cn_certificate *certificate)
{
    (void)context;
    (void)certificate;
    return any_bool() ? CN_OK : CN_E_AUTH;
}

int main(void)
{
    static uint8_t in[CN_ADMISSION_SIZE];
    const struct cn_crypto crypto = { 0 };
    struct cn_admission_server server = { 0 };
    struct cn_admission_hello hello;
    struct cn_admission_verdict verdict;
    struct cn_admission_message message;
    struct cn_admission_line line = { 0 };
    struct cn_noise noise = { 0 };

    any_octets(in, sizeof in);
    server.crypto = &crypto;
    switch (any_size(2)) {
    case 0:
        return cn_admission_hello_read_checked(&server, check, NULL, in, &hello) != CN_OK;
    case 1:
        return cn_admission_verdict_read(&noise, in, &verdict, &line) != CN_OK;
    default:
        return cn_admission_open(&line, &crypto, in, &message) != CN_OK;
    }
}
