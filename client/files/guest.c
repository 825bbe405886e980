#include "guest.h"

void cn_guest_reset(struct cn_guest_streams streams, enum cn_err why)
{
    const uint32_t code = cn_err_close_code(why);

    if (streams.control)
        cn_stream_reset(streams.control, code);
    if (streams.data)
        cn_stream_reset(streams.data, code);
}

static enum cn_err reset_err(const struct cn_stream *stream)
{
    if (!stream || cn_stream_state(stream) != CN_STREAM_RESET)
        return CN_OK;
    switch (cn_stream_reset_code(stream)) {
    case 0:
    case 6: /* CN_E_CANCELLED: of there, while that is of here */
        return CN_E_INTERRUPTED;
    case 4:
        return CN_E_LIMIT;
    case 5:
        return CN_E_REFUSED;
    case 7:
        return CN_E_SYSTEM;
    default:
        return CN_E_FORMAT;
    }
}

enum cn_err cn_guest_reset_err(struct cn_guest_streams streams)
{
    enum cn_err err = reset_err(streams.control);

    return err == CN_OK ? reset_err(streams.data) : err;
}

static bool is_read(const struct cn_stream *stream)
{
    struct cn_stream_progress progress;

    if (!stream)
        return false;
    cn_stream_progress(stream, &progress);
    return progress.end_received;
}

bool cn_guest_is_read(struct cn_guest_streams streams)
{
    return is_read(streams.control) && is_read(streams.data);
}

void cn_guest_leave(struct cn_guest_streams streams)
{
    if (streams.control)
        cn_stream_release(streams.control);
    if (streams.data)
        cn_stream_release(streams.data);
}
