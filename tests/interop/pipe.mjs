// The service `pipe`: PROTOCOL.md 7.2.

import { Interrupted } from "./call.mjs";

const KIND = 1;
const HELD_MAX = 4 << 20;

// Until the call has ended well: input to the partner, and what comes to output.
export async function pipe(call, input, output) {
    const ends = { input: false, output: false };
    let stream = null;
    const done = (which) => {
        ends[which] = true;
        if (ends.input && ends.output) {
            call.finish();
        }
    };
    const begin = (one) => {
        stream = one;
        stream.onData = (octets) => output.write(octets, () => {
            stream.consume(octets.length);
            call.pump();
        });
        stream.onEnd = () => output.write("", () => done("output"));
        feed(call, stream, input).then(() => done("input"), () => give(call, stream));
    };
    call.onOpen = () => {
        if (call.isCaller) {
            begin(call.open(KIND));
        }
    };
    call.onStream = (one) => {
        if (stream || one.kind !== KIND) {
            one.reset(0);
        } else {
            begin(one);
        }
    };
    await call.run();
    if (!stream || stream.isReset) {
        throw new Interrupted("the partner gave up: what has arrived is not complete");
    }
}

async function feed(call, stream, input) {
    for await (const chunk of input) {
        stream.write(Uint8Array.from(chunk));
        call.pump();
        await roomIn(stream);
    }
    stream.end();
    call.pump();
}

function roomIn(stream) {
    return new Promise((room) => {
        stream.onRoom = () => {
            if (stream.held < HELD_MAX || stream.isReset) {
                room();
            }
        };
        stream.onRoom();
    });
}

function give(call, stream) {
    stream.reset(3);
    call.pump();
}
