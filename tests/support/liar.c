/* liar NAME SERVICE CONTROL [DATA...]: a partner who holds the right keys and says what it likes.
 * SERVICE is talk, send or receive; CONTROL goes out on the first stream of the call, whoever opens
 * it, and each DATA on a data stream, or, as KIND:DATA, on another kind, as soon as the partner has
 * said something or ended; those of an end that did not call, too, as a talk allows. All are
 * hexadecimal, or @ and the name of a file that holds the octets. CONTROL may be "refuse": the
 * call, as soon as it is open; or begin with "polite:": the end of it is said when the partner has
 * left the talk. Prints in hexadecimal what came on the first stream. The home is that of the
 * environment. */
#include <cyphernet.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIZE_MAX_HERE = 4 << 20, DATA_KIND = 2, DATA_COUNT_MAX = 4 };

struct saying {
    struct cn_stream *stream;
    uint8_t kind;
    uint8_t bytes[SIZE_MAX_HERE];
    size_t size, at;
};

static struct saying control, data[DATA_COUNT_MAX];
static uint8_t data_count;
static bool refuses, is_polite, has_heard, has_left;
static uint8_t heard[6]; /* the last octets of the first stream */

static size_t hex_read(const char *text, uint8_t *out)
{
    size_t size = strlen(text) / 2;

    if (text[0] == '@') {
        FILE *file = fopen(text + 1, "rb");

        size = file ? fread(out, 1, SIZE_MAX_HERE, file) : 0;
        if (!file || fclose(file) != 0)
            exit(2);
        return size;
    }
    if (size > SIZE_MAX_HERE)
        exit(2);
    for (size_t i = 0; i < size; i++) {
        char digits[3] = { text[2 * i], text[2 * i + 1], 0 };

        out[i] = (uint8_t)strtoul(digits, NULL, 16);
    }
    return size;
}

static void data_read(const char *text, struct saying *s)
{
    const char *colon = strchr(text, ':');

    s->kind = colon ? (uint8_t)strtoul(text, NULL, 10) : DATA_KIND;
    s->size = hex_read(colon ? colon + 1 : text, s->bytes);
}

/* Whether the last that was heard says so; what is said behind it does not take that back. */
static bool says_left(void)
{
    static const uint8_t left[sizeof heard - 1] = { 4, 0, 0, 0, 1 };

    return memcmp(heard, left, sizeof left) == 0;
}

static void say(struct saying *s)
{
    if (!s->stream || cn_stream_state(s->stream) == CN_STREAM_RESET)
        return;
    s->at += cn_stream_write(s->stream, s->bytes + s->at, s->size - s->at);
    if (s->at == s->size && (!is_polite || has_left))
        cn_stream_finish(s->stream);
}

static void hear(struct cn_stream *stream, bool shown)
{
    uint8_t byte;

    while (cn_stream_read(stream, &byte, 1) == 1) {
        if (!shown)
            continue;
        printf("%02x", byte);
        memmove(heard, heard + 1, sizeof heard - 1);
        heard[sizeof heard - 1] = byte;
        has_left |= says_left();
    }
    has_heard |= shown;
}

static void streams_open(struct cn_call *call)
{
    if (cn_call_is_caller(call) && cn_stream_open(call, 1, NULL, 0, &control.stream) != CN_OK)
        exit(2);
    for (uint8_t i = 0; i < data_count; i++) {
        if (cn_stream_open(call, data[i].kind, NULL, 0, &data[i].stream) != CN_OK)
            exit(2);
    }
}

static enum cn_err lie(struct cn_home *home, const char *name, const char *service)
{
    bool talk = strcmp(service, "talk") == 0;
    const struct cn_call_options options = { name, talk ? CN_CALL_TALK : CN_CALL_FILE,
                                             strcmp(service, "send") == 0, 30000 };
    struct cn_event event = { CN_EVENT_NONE, NULL, CN_OK };
    struct cn_call *call = NULL;
    enum cn_err err = cn_call_open(&call, home, &options);

    while (err == CN_OK && event.type != CN_EVENT_CLOSED) {
        err = cn_call_wait(call, 60000, &event);
        if (event.type == CN_EVENT_OPEN && refuses)
            cn_call_cancel(call, CN_E_REFUSED);
        else if (event.type == CN_EVENT_OPEN)
            streams_open(call);
        if (event.type == CN_EVENT_STREAM && !control.stream)
            control.stream = event.stream;
        if (event.type == CN_EVENT_READABLE)
            hear(event.stream, event.stream == control.stream);
        say(&control);
        for (uint8_t i = 0; has_heard && i < data_count; i++)
            say(&data[i]);
        if (control.stream && cn_stream_state(control.stream) == CN_STREAM_ENDED)
            cn_call_finish(call);
        if (event.type == CN_EVENT_CLOSED)
            err = event.err;
    }
    cn_call_free(call);
    return err;
}

int main(int argc, char **argv)
{
    struct cn_home *home;
    enum cn_err err;

    if (argc < 4 || argc > 4 + DATA_COUNT_MAX || cn_home_open(&home, NULL) != CN_OK)
        return 2;
    refuses = strcmp(argv[3], "refuse") == 0;
    is_polite = strncmp(argv[3], "polite:", 7) == 0;
    control.size = refuses ? 0 : hex_read(argv[3] + (is_polite ? 7 : 0), control.bytes);
    for (; data_count < argc - 4; data_count++)
        data_read(argv[4 + data_count], &data[data_count]);
    err = lie(home, argv[1], argv[2]);
    cn_home_close(home);
    printf("\n");
    fprintf(stderr, "liar: %s\n", cn_err_text(err));
    return err != CN_OK;
}
