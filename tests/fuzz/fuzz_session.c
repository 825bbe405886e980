/* A server that says anything, at once or behind what an honest one says, plainly or sealed: no
 * call opens, no session closes well. The first octet says how far the honest one comes. */
#include "serving.h"

static struct served one;

/* The input as plaintext of messages. */
static void tell_sealed(const uint8_t *in, size_t in_size)
{
    while (in_size > 0 && one.session.state < CN_SESSION_PROLOGUE) {
        uint8_t plain[CN_ADMISSION_PLAIN_SIZE] = { 0 };
        uint8_t wire[CN_ADMISSION_SIZE];
        size_t size = in_size < sizeof plain ? in_size : sizeof plain;

        memcpy(plain, in, size);
        in += size;
        in_size -= size;
        must(cn_noise_seal(&one.line.send, fuzz_crypto(), plain, sizeof plain, wire) == CN_OK);
        serving_tell(&one, wire, sizeof wire);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t in_size)
{
    if (in_size == 0)
        return 0;
    serving_begin();

    const struct cn_want want = { .pair = &two[0].pair,
                                  .identity = &two[0].identity,
                                  .service = CN_SERVICE_TALK };

    serving_start(&one, &want);
    if (in[0] % 4 > 0)
        serving_admit(&one);
    if (in[0] % 4 == 3)
        serving_join(&one);
    if (in[0] % 4 == 2)
        tell_sealed(in + 1, in_size - 1);
    else
        serving_tell(&one, in + 1, in_size - 1);
    must(one.session.state < CN_SESSION_ANSWER || one.session.state == CN_SESSION_FAILED);
    cn_session_wipe(&one.session);
    return 0;
}
