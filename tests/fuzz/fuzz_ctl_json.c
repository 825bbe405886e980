/* Members of a reply lie inside it and come in order, whatever it is. */
#include "fuzz.h"

#include "ctl.h"

static void walk(const char *text, size_t size, bool named)
{
    struct cn_ctl_member m;
    const char *at = text;
    uint64_t number;

    if (!cn_ctl_json_enter(&at))
        return;
    while (cn_ctl_json_next(&at, named, &m)) {
        must(at > text && at <= text + size);
        must(m.value > text && m.value + m.value_size <= text + size);
        must(!named || (m.name > text && m.name + m.name_size < m.value));
        (void)cn_ctl_json_value(&m, &number);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t in_size)
{
    char *text = malloc(in_size + 1);
    struct cn_ctl_member m;
    uint64_t number;

    must(text != NULL);
    memcpy(text, in, in_size);
    text[in_size] = '\0';
    walk(text, in_size, true);
    walk(text, in_size, false);
    (void)cn_ctl_json_find(text, "event", &m);
    (void)cn_ctl_json_number(text, "cut", &number);
    free(text);
    return 0;
}
