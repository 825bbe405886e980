/* echo.c - answers one call of NAME and sends back whatever comes: all of <cyphernet.h> in brief.
 *
 *   echo NAME                      here, in a home that has joined and exchanged cards
 *   cyphernet pipe NAME-OF-THIS    at the other end */
#include <cyphernet.h>

#include <stdio.h>

/* Send back what has arrived, as far as there is room; what is left comes again. */
static void echo(struct cn_stream *stream)
{
    const uint8_t *data;
    size_t size;

    while ((data = cn_stream_peek(stream, &size))) {
        size_t sent = cn_stream_write(stream, data, size);

        if (sent == 0)
            return; /* the window is full: WRITABLE will come */
        cn_stream_consume(stream, sent);
    }
    if (cn_stream_state(stream) == CN_STREAM_ENDED)
        cn_stream_finish(stream);
}

static enum cn_err answer(struct cn_home *home, const char *name)
{
    const struct cn_call_options options = { name, CN_CALL_PIPE, false, -1 };
    struct cn_event event = { CN_EVENT_NONE, NULL, CN_OK };
    struct cn_stream *stream = NULL;
    struct cn_call *call = NULL;
    enum cn_err err = cn_call_open(&call, home, &options);

    while (err == CN_OK && event.type != CN_EVENT_CLOSED) {
        err = cn_call_wait(call, -1, &event);
        if (err == CN_OK && event.type == CN_EVENT_OPEN && cn_call_is_caller(call))
            err = cn_stream_open(call, 1, NULL, 0, &stream);
        if (event.type == CN_EVENT_STREAM)
            stream = event.stream;
        if (stream && (event.type == CN_EVENT_READABLE || event.type == CN_EVENT_WRITABLE))
            echo(stream);
        if (stream && cn_stream_state(stream) == CN_STREAM_ENDED)
            cn_call_finish(call); /* closes once all of the echo is received */
        if (event.type == CN_EVENT_CLOSED)
            err = event.err;
    }
    cn_call_free(call);
    return err;
}

int main(int argc, char **argv)
{
    struct cn_home *home;
    enum cn_err err = argc == 2 ? cn_home_open(&home, NULL) : CN_E_USAGE;

    if (err == CN_OK) {
        err = answer(home, argv[1]);
        cn_home_close(home);
    }
    if (err != CN_OK)
        fprintf(stderr, "echo: %s\n", cn_err_text(err));
    return err != CN_OK;
}
