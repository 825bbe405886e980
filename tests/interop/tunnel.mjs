// The service `forward`, of one connection of TCP: PROTOCOL.md 7.5.

import { createConnection } from "node:net";
import { Interrupted } from "./call.mjs";
import { CallEnded } from "./connection.mjs";
import { Malformed, Reader, ascii, concat, equal, must, text, u16, u8 } from "./encoding.mjs";

const [CONNECT, CONTROL, ASK] = [1, 5, 6];
const TCP = 1;
const YES = u8(0);
const [GIVEN_UP, REFUSED, NO_LISTENER, MALFORMED] = [0, 1, 3, 8];

const portOf = (place) => Number(place.slice(place.lastIndexOf(":") + 1));
const hostOf = (place) => place.slice(0, place.lastIndexOf(":"));

function encoded(place) {
    return concat(u8(TCP), u16(portOf(place)), ascii(hostOf(place)));
}

// Octets that come of a stream to a program, and its end.
function deliver(call, stream, output, begin = 0) {
    let skip = begin;
    stream.onData = (octets) => {
        const status = octets.subarray(0, skip);
        skip -= status.length;
        if (!equal(status, YES.subarray(0, status.length))) {
            throw new CallEnded("an answer that is none");
        }
        output.write(octets.subarray(status.length), () => {
            stream.consume(octets.length);
            call.pump();
        });
    };
    return new Promise((over) => {
        stream.onEnd = () => (stream.isReset ? over(stream.resetCode) : output.end(() => over(null)));
    });
}

async function feed(call, stream, input) {
    for await (const chunk of input) {
        stream.write(Uint8Array.from(chunk));
        call.pump();
    }
    stream.end();
    call.pump();
}

// --- who forwards

// Input to a place at the partner's, and what comes from there to output.
export async function connect(call, place, input, output) {
    let code = null;
    call.onOpen = async () => {
        const control = call.open(CONTROL);
        const stream = call.open(CONNECT, encoded(place));
        const over = deliver(call, stream, output, YES.length);
        const fed = feed(call, stream, input).catch(() => stream.reset(GIVEN_UP));
        control.onEnd = () => call.finish();
        code = await over;
        if (code === null) {
            await fed;
        }
        control.end();
        call.pump();
    };
    await call.run();
    if (code !== null) {
        throw new Interrupted(`reset, code ${code}`);
    }
}

// --- who serves

// One call in which the partner may connect to a place.
export async function serve(call, place) {
    const sockets = new Set();
    let control = null;
    call.onStream = (stream) => {
        if (stream.kind === CONTROL && !control && stream.parameters.length === 0) {
            control = stream;
            stream.onData = (octets) => stream.consume(octets.length);
            stream.onEnd = () => {
                stream.end();
                call.finish();
            };
        } else if (stream.kind !== CONNECT && stream.kind !== ASK) {
            stream.reset(GIVEN_UP);
        } else {
            answer(call, stream, place, sockets);
        }
    };
    await call.run();
    sockets.forEach((socket) => socket.destroy());
}

function answer(call, stream, place, sockets) {
    const wanted = wantedOf(stream);
    if (wanted === null) {
        stream.reset(MALFORMED);
    } else if (wanted.toLowerCase() !== place.toLowerCase()) {
        stream.reset(REFUSED);
    } else if (stream.kind === ASK) {
        stream.onData = (octets) => stream.consume(octets.length);
        stream.write(YES);
        stream.end();
    } else {
        const socket = createConnection({ host: hostOf(place), port: portOf(place), allowHalfOpen: true });
        sockets.add(socket);
        deliver(call, stream, socket).then((code) => code !== null && socket.destroy());
        socket.on("error", () => {
            stream.reset(NO_LISTENER);
            call.pump();
        });
        socket.on("connect", () => {
            stream.write(YES);
            feed(call, stream, socket).catch(() => stream.reset(GIVEN_UP));
            call.pump();
        });
    }
}

// HOST:PORT; null: not a place of TCP to connect to.
function wantedOf(stream) {
    const reader = new Reader(stream.parameters);
    try {
        const [form, port] = [reader.u8(), reader.u16()];
        must(reader.left >= 1 && reader.left <= 255 && port > 0, "a place that is none");
        return form === TCP ? `${text(reader.take(reader.left))}:${port}` : "";
    } catch (error) {
        if (error instanceof Malformed) {
            return null;
        }
        throw error;
    }
}
