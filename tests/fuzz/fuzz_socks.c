/* A SOCKS client is understood in the same way however its octets are cut, no octet more is taken
 * than needed, and what it asks for is an address. The first octet of the input is the cut. */
#include "fuzz.h"

#include "tunnel/socks.h"

struct outcome {
    enum cn_err err;
    size_t used;
    struct cn_terminus to;
    uint8_t answers[64];
    size_t answers_size;
};

static void run(struct outcome *o, const uint8_t *in, size_t in_size, size_t piece)
{
    struct cn_socks socks = { 0 };

    *o = (struct outcome) { .err = CN_E_MORE };
    while (o->err == CN_E_MORE && o->used < in_size) {
        size_t some = cn_socks_wanted(&socks);
        struct cn_socks_answer answer;

        must(some > 0 && some <= sizeof socks.in);
        some = some < piece ? some : piece;
        some = some < in_size - o->used ? some : in_size - o->used;
        o->err = cn_socks_take(&socks, in + o->used, some, &o->to, &answer);
        o->used += some;
        must(answer.size <= CN_SOCKS_ANSWER_SIZE &&
             o->answers_size + answer.size <= sizeof o->answers);
        memcpy(o->answers + o->answers_size, answer.octets, answer.size);
        o->answers_size += answer.size;
    }
    must(o->err == CN_E_MORE || o->err == CN_OK || o->err == CN_E_FORMAT);
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t in_size)
{
    struct outcome whole, cut;

    if (in_size == 0)
        return 0;
    run(&whole, in + 1, in_size - 1, SIZE_MAX);
    run(&cut, in + 1, in_size - 1, (size_t)1 + in[0] % 32);
    must(whole.err == cut.err && whole.answers_size == cut.answers_size);
    must(memcmp(whole.answers, cut.answers, whole.answers_size) == 0);
    if (whole.err != CN_OK)
        return 0;
    must(whole.used == cut.used && strcmp(whole.to.name, cut.to.name) == 0);
    must(whole.to.port > 0 && whole.to.form == CN_TERMINUS_TCP && whole.to.name[0] != '\0');
    return 0;
}
