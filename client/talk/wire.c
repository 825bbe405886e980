#include "wire.h"

#include <errno.h>
#include <sys/socket.h>

/* --- a stream ------------------------------------------------------------------------------- */

static size_t stream_write(struct cn_wire *wire, const void *octets, size_t size)
{
    return cn_stream_write(wire->stream, octets, size);
}

static size_t stream_read(struct cn_wire *wire, void *octets, size_t size)
{
    return cn_stream_read(wire->stream, octets, size);
}

static enum cn_stream_state stream_state(const struct cn_wire *wire)
{
    return cn_stream_state(wire->stream);
}

static void stream_finish(struct cn_wire *wire)
{
    cn_stream_finish(wire->stream);
}

void cn_wire_of_call(struct cn_wire *wire, struct cn_call *call)
{
    static const struct cn_wire_functions functions = { stream_write, stream_read, stream_state,
                                                        stream_finish };

    *wire = (struct cn_wire) { .functions = &functions, .call = call, .fd = -1 };
}

/* --- a descriptor --------------------------------------------------------------------------- */

static bool is_for_later(int error)
{
    return error == EAGAIN || error == EINTR || error == ENOBUFS;
}

static size_t descriptor_write(struct cn_wire *wire, const void *octets, size_t size)
{
    ssize_t sent;

    if (wire->is_deaf || size == 0)
        return 0;
    sent = send(wire->fd, octets, size, MSG_DONTWAIT | MSG_NOSIGNAL);
    wire->is_deaf = sent < 0 && !is_for_later(errno);
    wire->is_full = !wire->is_deaf && (sent < 0 || (size_t)sent < size);
    return sent > 0 ? (size_t)sent : 0;
}

static size_t descriptor_read(struct cn_wire *wire, void *octets, size_t size)
{
    ssize_t got;

    if (wire->has_ended || wire->is_cut || size == 0)
        return 0;
    got = recv(wire->fd, octets, size, MSG_DONTWAIT);
    if (got == 0)
        wire->has_ended = true;
    else if (got < 0 && !is_for_later(errno))
        wire->is_cut = true;
    return got > 0 ? (size_t)got : 0;
}

static enum cn_stream_state descriptor_state(const struct cn_wire *wire)
{
    if (wire->is_cut || (wire->has_ended && wire->is_deaf))
        return CN_STREAM_RESET;
    return wire->has_ended ? CN_STREAM_ENDED : CN_STREAM_OPEN;
}

static void descriptor_finish(struct cn_wire *wire)
{
    (void)shutdown(wire->fd, SHUT_WR);
}

void cn_wire_of_descriptor(struct cn_wire *wire, int fd)
{
    static const struct cn_wire_functions functions = { descriptor_write, descriptor_read,
                                                        descriptor_state, descriptor_finish };

    *wire = (struct cn_wire) { .functions = &functions, .fd = fd };
}

bool cn_wire_is_there(const struct cn_wire *wire)
{
    return wire->fd >= 0 || wire->stream;
}
