"""Cypher Net for Python: a home, its contacts, calls, and streams of octets, over libcyphernet.

    with Home() as home, home.call("bob") as call:
        stream = call.stream()
        stream.write(b"hello\\n")
        stream.finish()
        answer = b"".join(stream)

Every failure is an Error, whose name is that of <cyphernet.h>. A home and its calls belong to one thread. Nothing that
is read was cut: a call that is lost raises, and reading ends at the partner's authenticated end alone.

Needs python3-cffi and libcyphernet."""

import os

from cffi import FFI

ffi = FFI()
ffi.cdef("""
    struct cn_home; struct cn_call; struct cn_stream;
    struct cn_detail { int system_error; char about[512]; };
    struct cn_contact_info {
        char name[65]; bool offered; bool accepted; bool verified; char made_for[65]; char kind[16]; char suite[32];
        char safety[72]; char words[176]; int err; int moving;
    };
    struct cn_call_options { const char *contact; int service; bool caller; int64_t wait_ms; };
    struct cn_event { int type; struct cn_stream *stream; int err; };

    const char *cn_version(void);
    const char *cn_err_text(int err);
    int cn_home_open(struct cn_home **home, const char *dir);
    void cn_home_close(struct cn_home *home);
    const struct cn_detail *cn_home_detail(const struct cn_home *home);
    int cn_contact_list(struct cn_home *home, struct cn_contact_info **list, size_t *count);
    int cn_call_open(struct cn_call **call, struct cn_home *home, const struct cn_call_options *options);
    void cn_call_free(struct cn_call *call);
    int cn_call_wait(struct cn_call *call, int timeout_ms, struct cn_event *event);
    void cn_call_finish(struct cn_call *call);
    bool cn_call_is_caller(const struct cn_call *call);
    bool cn_call_verified(const struct cn_call *call);
    int cn_stream_open(struct cn_call *call, uint8_t kind, const void *parameters, size_t parameters_size,
                       struct cn_stream **stream);
    size_t cn_stream_write(struct cn_stream *stream, const void *data, size_t size);
    void cn_stream_finish(struct cn_stream *stream);
    const uint8_t *cn_stream_peek(struct cn_stream *stream, size_t *size);
    void cn_stream_consume(struct cn_stream *stream, size_t size);
    int cn_stream_state(const struct cn_stream *stream);
    void free(void *memory);
""")
library = ffi.dlopen(os.environ.get("LIBCYPHERNET", "libcyphernet.so.0"))

PIPE = 2
OPEN, STREAM, CLOSED = 5, 6, 10  # of enum cn_event_type
ENDED, RESET = 1, 2  # of enum cn_stream_state
OK, TIMEOUT, INTERRUPTED, CANCELLED = 0, 24, 25, 27  # of enum cn_err


class Error(Exception):
    """What libcyphernet calls enum cn_err: its number is `code`, what it was about `about`."""

    def __init__(self, code, about=""):
        text = ffi.string(library.cn_err_text(code)).decode()
        super().__init__(f"{about}: {text}" if about else text)
        self.code = code
        self.about = about


class Home:
    """One subscriber's files: those of `directory`, or where `cyphernet` keeps them."""

    def __init__(self, directory=None):
        place = ffi.new("struct cn_home **")
        code = library.cn_home_open(place, ffi.NULL if directory is None else os.fsencode(directory))
        if code != OK:
            raise Error(code, str(directory or ""))
        self.home = place[0]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """All of its calls must have been closed."""
        library.cn_home_close(self.home)
        self.home = ffi.NULL

    def check(self, code):
        if code != OK:
            about = ffi.string(library.cn_home_detail(self.home).about).decode(errors="backslashreplace")
            raise Error(code, about)

    def contacts(self):
        """A dictionary for each contact: name, offered, accepted, verified, safety number. One whose file cannot be
        used has an error in place of the rest."""
        place, count = ffi.new("struct cn_contact_info **"), ffi.new("size_t *")
        self.check(library.cn_contact_list(self.home, place, count))
        contacts = [contact_of(place[0][index]) for index in range(count[0])]
        library.free(place[0])
        return contacts

    def call(self, name, wait_s=None):
        """Call that contact, who runs `cyphernet pipe`, or this; wait for wait_s seconds, or without limit."""
        return Call(self, name, wait_s)


def contact_of(info):
    name = ffi.string(info.name).decode()
    if info.err != OK:
        return {"name": name, "error": Error(info.err, name)}
    return {"name": name, "offered": info.offered, "accepted": info.accepted, "verified": info.verified,
            "safety": ffi.string(info.safety).decode()}


class Call:
    """A call, open from the beginning: the partner is there and authentic. It ends well only by `close`, or at the end of
    `with`, and both raise if the partner has not confirmed everything."""

    def __init__(self, home, name, wait_s):
        self.home = home
        self.event = ffi.new("struct cn_event *")
        self.partners = None  # the stream that the partner has opened
        self.is_open = self.is_closed = False
        place = ffi.new("struct cn_call **")
        contact = ffi.new("char[]", name.encode())
        wait_ms = -1 if wait_s is None else int(wait_s * 1000)
        home.check(library.cn_call_open(place, home.home, ffi.new("struct cn_call_options *", {
            "contact": contact, "service": PIPE, "caller": False, "wait_ms": wait_ms})))
        self.call = place[0]
        try:
            self.until(lambda: self.is_open)
        except BaseException:
            self.free()
            raise

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            self.close()
        else:
            self.free()

    def step(self):
        """Wait for one event, and deal with it. Ctrl-C is seen within a second."""
        if self.is_closed:
            raise Error(INTERRUPTED)
        code = library.cn_call_wait(self.call, 1000, self.event)
        if code == TIMEOUT:
            return
        self.home.check(code)
        if self.event.type == OPEN:
            self.is_open = True
        elif self.event.type == STREAM:
            self.partners = self.event.stream
        elif self.event.type == CLOSED:
            self.is_closed = True
            if self.event.err != OK:
                raise Error(self.event.err)

    def until(self, condition):
        while not condition():
            self.step()

    @property
    def verified(self):
        """Whether the safety number of this contact was compared."""
        return library.cn_call_verified(self.call)

    def stream(self):
        """The stream that goes both ways, of a pipe: the caller opens it."""
        if library.cn_call_is_caller(self.call):
            place = ffi.new("struct cn_stream **")
            self.home.check(library.cn_stream_open(self.call, 1, ffi.NULL, 0, place))
            return Stream(self, place[0])
        self.until(lambda: self.partners is not None)
        return Stream(self, self.partners)

    def close(self):
        """Say that all is done, and wait until the partner has said so, and has all that was written."""
        try:
            library.cn_call_finish(self.call)
            self.until(lambda: self.is_closed)
        finally:
            self.free()

    def free(self):
        """Without a word to the partner, if it is not closed."""
        library.cn_call_free(self.call)
        self.call = ffi.NULL


class Stream:
    """Octets both ways. Iterate over it for what arrives, as it does, until the partner's end."""

    def __init__(self, call, stream):
        self.call = call
        self.stream = stream

    def write_some(self, data):
        """As much as there is room for; how much that was."""
        return library.cn_stream_write(self.stream, ffi.from_buffer(data), len(data))

    def write(self, data):
        """All of it; waits while the partner reads too slowly. What arrives meanwhile is kept."""
        rest = memoryview(data)
        while rest:
            written = self.write_some(rest)
            rest = rest[written:]
            if rest:
                self.call.step()

    def finish(self):
        """No more will be written."""
        library.cn_stream_finish(self.stream)

    def read_some(self):
        """What has arrived, b"" if nothing has."""
        size = ffi.new("size_t *")
        data = library.cn_stream_peek(self.stream, size)
        got = ffi.buffer(data, size[0])[:] if size[0] else b""
        library.cn_stream_consume(self.stream, size[0])
        return got

    def ended(self):
        """Whether everything has been read, up to the partner's end."""
        state = library.cn_stream_state(self.stream)
        if state == RESET:
            raise Error(CANCELLED)
        return state == ENDED

    def __iter__(self):
        while True:
            if got := self.read_some():
                yield got
            elif self.ended():
                return
            else:
                self.call.step()
