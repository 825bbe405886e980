/* send.c - sends files and directories to NAME: all of <cyphernet/files.h> that a sender needs.
 *
 *   send NAME PATH...                 here, in a home that has joined and exchanged cards
 *   cyphernet receive NAME-OF-THIS    at the other end */
#include <cyphernet.h>

#include <poll.h>
#include <stdio.h>

/* What has become of what was sent. False: something is not there. */
static bool tell(struct cn_sending *sending)
{
    struct cn_transfer_event event;
    bool good = true;

    while (cn_sending_next_event(sending, &event)) {
        bool is_there =
            event.outcome == CN_TRANSFER_STORED || event.outcome == CN_TRANSFER_UNCHANGED;

        if (event.type == CN_TRANSFER_EVENT_OVER && event.kind == CN_TRANSFER_FILE)
            printf("%s: %s\n", event.path, cn_transfer_outcome_text(event.outcome));
        if (event.type == CN_TRANSFER_EVENT_PROBLEM)
            fprintf(stderr, "send: %s is left out\n", event.path);
        good &= event.type != CN_TRANSFER_EVENT_PROBLEM &&
                (event.type != CN_TRANSFER_EVENT_OVER || is_there);
    }
    return good;
}

/* Until the call or the sending has something to do. */
static void rest(struct cn_call *call, struct cn_sending *sending)
{
    struct pollfd polled[CN_CALL_DESCRIPTORS_MAX + 1];
    size_t count = cn_call_descriptors(call, polled, CN_CALL_DESCRIPTORS_MAX);
    int timeout_ms = cn_call_timeout_ms(call);
    int sending_ms = cn_sending_timeout_ms(sending);

    count += cn_sending_descriptors(sending, polled + count, 1);
    if (timeout_ms < 0 || (sending_ms >= 0 && sending_ms < timeout_ms))
        timeout_ms = sending_ms;
    (void)poll(polled, count, timeout_ms); /* interrupted: it is looked at a little early */
}

static enum cn_err carry(struct cn_call *call, struct cn_sending *sending, bool *good)
{
    struct cn_event event = { CN_EVENT_NONE, NULL, CN_OK };
    enum cn_err err = CN_OK;
    bool begun = false;

    while (err == CN_OK && event.type != CN_EVENT_CLOSED) {
        cn_call_process(call);
        while (err == CN_OK && event.type != CN_EVENT_CLOSED && cn_call_next_event(call, &event)) {
            if (event.type == CN_EVENT_OPEN) {
                err = cn_sending_begin(sending, call);
                begun = err == CN_OK;
            } else if (begun) {
                (void)cn_sending_take(sending, &event);
            }
        }
        if (begun) {
            cn_sending_process(sending);
            *good &= tell(sending);
        }
        if (err == CN_OK && event.type != CN_EVENT_CLOSED)
            rest(call, sending);
    }
    return err == CN_OK ? event.err : err;
}

static enum cn_err send(struct cn_home *home, const char *name, const char *const *paths,
                        size_t path_count, bool *good)
{
    const struct cn_sending_options what = { .paths = paths, .path_count = path_count };
    const struct cn_call_options options = { name, CN_CALL_FILE, true, -1 };
    struct cn_sending *sending = NULL;
    struct cn_call *call = NULL;
    enum cn_err err = cn_sending_open(&sending, home, &what);

    if (err == CN_OK)
        err = cn_call_open(&call, home, &options);
    if (err == CN_OK)
        err = carry(call, sending, good);
    if (err != CN_OK && cn_home_detail(home)->about[0])
        fprintf(stderr, "send: %s\n", cn_home_detail(home)->about);
    cn_sending_free(sending); /* before its call */
    cn_call_free(call);
    return err;
}

int main(int argc, char **argv)
{
    struct cn_home *home;
    enum cn_err err = argc > 2 ? cn_home_open(&home, NULL) : CN_E_USAGE;
    bool good = true;

    if (err == CN_OK) {
        err = send(home, argv[1], (const char *const *)argv + 2, (size_t)argc - 2, &good);
        cn_home_close(home);
    }
    if (err != CN_OK)
        fprintf(stderr, "send: %s\n", cn_err_text(err));
    return err != CN_OK || !good;
}
