/* What goes one way of a talk, in two pieces: no line is counted that did not come. */
#include "fuzz.h"

#include "overheard.h"

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t in_size)
{
    struct cn_overheard whole = { 0 }, pieces = { 0 };
    size_t at = in_size > 0 ? in[0] % (in_size + 1) : 0;

    cn_overheard_take(&whole, in, in_size);
    cn_overheard_take(&pieces, in, at);
    cn_overheard_take(&pieces, in + at, in_size - at);
    must(whole.line_count == pieces.line_count && whole.broken == pieces.broken);
    must(cn_overheard_may_end(&whole) == cn_overheard_may_end(&pieces));
    must(whole.line_count * CN_CONVERSATION_HEAD_SIZE <= in_size);
    return 0;
}
