// Frames: PROTOCOL.md 6.2.

import { Reader, concat, must, u16, u32, u8 } from "./encoding.mjs";

export const [OPEN, DATA, RECEIVED, DURABLE, WINDOW, FIN, RESET, PING, PONG, REHANDSHAKE, SWITCH, RESUME, CLOSE] = [
    1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13,
];
export const HEAD = 8;

const OF_CALL = new Set([PING, PONG, REHANDSHAKE, SWITCH, CLOSE]);
const OF_STREAM = new Set([OPEN, DATA, RECEIVED, DURABLE, WINDOW, FIN, RESET]);
const SIZES = new Map([[RECEIVED, 8], [DURABLE, 8], [WINDOW, 8], [FIN, 8], [RESET, 4], [PING, 8], [PONG, 8], [SWITCH, 0], [CLOSE, 4]]);

export function frame(type, stream, ...body) {
    const whole = concat(...body);
    return concat(u8(type), u8(0), u16(whole.length), u32(stream), whole);
}

export function readFrames(plain) {
    const reader = new Reader(plain);
    const frames = [];
    while (reader.left) {
        const type = reader.u8();
        if (type === 0) {
            break;
        }
        must(reader.u8() === 0, "a second octet that is not zero");
        const size = reader.u16();
        const stream = reader.u32();
        must(OF_CALL.has(type) || OF_STREAM.has(type) || type === RESUME, "a frame of another type");
        must(!(OF_CALL.has(type) && stream) && !(OF_STREAM.has(type) && !stream), "a frame of the wrong kind of stream");
        must(!SIZES.has(type) || size === SIZES.get(type), "a body that does not fit");
        frames.push({ type, stream, body: new Reader(reader.take(size)) });
    }
    return frames;
}
