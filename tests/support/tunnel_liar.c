/* tunnel_liar NAME forward|serve ANSWER [KIND:PARAMETERS:DATA:COUNT]...: one end of a tunnel that
 * holds the right keys and says what it likes, in hexadecimal. ANSWER goes out on each stream that
 * the partner opens; the rest are streams of its own, COUNT of each. When all of its own are over
 * it prints for each kind how they ended: KIND CODE COUNT, where CODE is `ended` or that of the
 * reset. The home is that of the environment. */
#include <cyphernet.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SAYING_COUNT_MAX = 16, OCTETS_MAX = 2048, KIND_COUNT = 256, CODE_COUNT = 16 };

struct saying {
    uint8_t kind;
    uint8_t parameters[OCTETS_MAX];
    size_t parameters_size;
    uint8_t data[OCTETS_MAX];
    size_t data_size;
    unsigned long count;
};

static struct saying sayings[SAYING_COUNT_MAX];
static size_t saying_count;
static uint8_t answer[OCTETS_MAX];
static size_t answer_size;
static unsigned long open_count;
static unsigned long ended[KIND_COUNT];
static unsigned long resets[KIND_COUNT][CODE_COUNT];

static size_t hex_read(const char *text, size_t digits, uint8_t *out)
{
    if (digits / 2 > OCTETS_MAX)
        exit(2);
    for (size_t i = 0; i < digits / 2; i++) {
        char two[3] = { text[2 * i], text[2 * i + 1], 0 };

        out[i] = (uint8_t)strtoul(two, NULL, 16);
    }
    return digits / 2;
}

static void saying_read(const char *text)
{
    struct saying *s = &sayings[saying_count++];
    size_t digits;

    s->kind = (uint8_t)strtoul(text, NULL, 10);
    text = strchr(text, ':') + 1;
    digits = strcspn(text, ":");
    s->parameters_size = hex_read(text, digits, s->parameters);
    text += digits + 1;
    digits = strcspn(text, ":");
    s->data_size = hex_read(text, digits, s->data);
    s->count = strtoul(text + digits + 1, NULL, 10);
}

static void streams_open(struct cn_call *call)
{
    for (size_t i = 0; i < saying_count; i++) {
        const struct saying *s = &sayings[i];

        for (unsigned long n = 0; n < s->count; n++) {
            struct cn_stream *stream;

            if (cn_stream_open(call, s->kind, s->parameters, s->parameters_size, &stream) != CN_OK)
                exit(3);
            (void)cn_stream_write(stream, s->data, s->data_size);
            cn_stream_set_user(stream, answer);
            open_count++;
        }
    }
}

static void look(struct cn_stream *stream)
{
    uint8_t octets[OCTETS_MAX];
    uint32_t code = cn_stream_reset_code(stream);
    bool mine = cn_stream_user(stream) != NULL;

    while (cn_stream_read(stream, octets, sizeof octets) > 0)
        ;
    if (cn_stream_state(stream) == CN_STREAM_OPEN)
        return;
    if (mine && cn_stream_state(stream) == CN_STREAM_ENDED)
        ended[cn_stream_kind(stream)]++;
    else if (mine)
        resets[cn_stream_kind(stream)][code < CODE_COUNT ? code : 0]++;
    if (mine)
        open_count--;
    cn_stream_finish(stream);
    cn_stream_release(stream);
}

static void tell(void)
{
    for (size_t kind = 0; kind < KIND_COUNT; kind++) {
        if (ended[kind] > 0)
            printf("%zu ended %lu\n", kind, ended[kind]);
        for (size_t code = 0; code < CODE_COUNT; code++) {
            if (resets[kind][code] > 0)
                printf("%zu %zu %lu\n", kind, code, resets[kind][code]);
        }
    }
    puts("over");
    fflush(stdout);
}

static enum cn_err lie(struct cn_home *home, const char *name, bool caller)
{
    const struct cn_call_options options = { name, CN_CALL_FORWARD, caller, 30000 };
    struct cn_event event = { CN_EVENT_NONE, NULL, CN_OK };
    struct cn_call *call = NULL;
    enum cn_err err = cn_call_open(&call, home, &options);
    bool told = false;

    while (err == CN_OK && event.type != CN_EVENT_CLOSED) {
        err = cn_call_wait(call, -1, &event);
        if (err == CN_OK && event.type == CN_EVENT_OPEN)
            streams_open(call);
        if (event.type == CN_EVENT_STREAM)
            (void)cn_stream_write(event.stream, answer, answer_size);
        if (event.type == CN_EVENT_STREAM || event.type == CN_EVENT_READABLE)
            look(event.stream);
        if (event.type == CN_EVENT_READABLE && open_count == 0 && !told) {
            tell();
            told = true;
        }
    }
    cn_call_free(call);
    return err == CN_OK ? event.err : err;
}

int main(int argc, char **argv)
{
    struct cn_home *home;
    enum cn_err err;

    if (argc < 4 || argc > 4 + SAYING_COUNT_MAX)
        return 2;
    answer_size = hex_read(argv[3], strlen(argv[3]), answer);
    for (int i = 4; i < argc; i++)
        saying_read(argv[i]);
    if (cn_home_open(&home, NULL) != CN_OK)
        return 1;
    err = lie(home, argv[1], strcmp(argv[2], "forward") == 0);
    cn_home_close(home);
    fprintf(stderr, "%s\n", cn_err_text(err));
    return err != CN_OK;
}
