// One stream: PROTOCOL.md 6.3, and what 6.5 says of it again.

import { concat, must, u32, u64, u8, zeros } from "./encoding.mjs";
import { DATA, FIN, HEAD, OPEN, RECEIVED, RESET, RESUME, WINDOW, frame } from "./frames.mjs";

const NEWS_MAX = 64 << 10;
const OFFSET = 8;
export const FRAME_ROOM = HEAD + OFFSET;

// Octets of one direction that may have to be sent again.
class Tape {
    constructor() {
        this.chunks = [];
        this.from = 0;
        this.to = 0;
    }

    add(octets) {
        this.chunks.push(octets);
        this.to += octets.length;
    }

    drop(below) {
        while (this.chunks.length && this.from + this.chunks[0].length <= below) {
            this.from += this.chunks.shift().length;
        }
    }

    part(offset, size) {
        const parts = [];
        let at = this.from;
        for (const chunk of this.chunks) {
            const begin = Math.max(0, offset - at);
            if (begin < chunk.length && at < offset + size) {
                parts.push(chunk.subarray(begin, Math.min(chunk.length, offset + size - at)));
            }
            at += chunk.length;
        }
        return concat(...parts);
    }
}

export class Stream {
    constructor({ number, mine, kind, parameters = zeros(0), sendLimit, window }) {
        Object.assign(this, { number, mine, kind, parameters, window });
        this.tape = new Tape();
        this.opened = !mine; // OPEN has been said
        this.sent = 0;
        this.acknowledged = 0;
        this.sendLimit = sendLimit;
        this.ended = false; // by the program
        this.finSent = false;
        this.finAcknowledged = false;
        this.filled = 0; // the greatest size of record that its DATA filled
        this.expected = 0;
        this.consumed = 0;
        this.limit = window;
        this.finCame = false;
        this.told = 0; // by RECEIVED
        this.newsSince = 0;
        this.resetCode = null;
        this.resetTold = false;
        this.onData = () => {};
        this.onEnd = () => {};
        this.onRoom = () => {};
    }

    // --- the program

    write(octets) {
        this.tape.add(octets);
    }

    end() {
        this.ended = true;
    }

    reset(code) {
        this.resetCode ??= code;
    }

    consume(size) {
        this.consumed += size;
    }

    get held() {
        return this.tape.to - this.acknowledged;
    }

    get isReset() {
        return this.resetCode !== null;
    }

    // RECEIVED as it is now: the end counts as one when all before it was read.
    get received() {
        return this.expected + (this.finCame && this.consumed === this.expected ? 1 : 0);
    }

    get endTold() {
        return this.finCame && this.told === this.expected + 1;
    }

    // Both directions are finished and acknowledged.
    get isOver() {
        return this.isReset || (this.finAcknowledged && this.endTold);
    }

    // Nothing has come of it from the partner.
    get isUnheard() {
        return this.acknowledged === 0 && this.expected === 0 && !this.finCame && !this.finAcknowledged;
    }

    get isQuiet() {
        return this.isReset ? this.resetTold : this.isOver;
    }

    get waiting() {
        return this.isReset ? 0 : Math.min(this.tape.to, this.sendLimit) - this.sent;
    }

    // --- what the partner says

    takeData(offset, octets) {
        must(octets.length >= 1 && offset === BigInt(this.expected) && !this.finCame, "DATA that does not follow");
        must(this.expected + octets.length <= this.limit, "DATA beyond the window");
        this.newsSince ||= Date.now();
        this.expected += octets.length;
        this.onData(octets);
    }

    takeFin(offset) {
        must(!this.finCame && offset === BigInt(this.expected), "FIN at another place");
        this.finCame = true;
        this.onEnd();
    }

    takeReceived(offset) {
        const end = this.finSent && offset === BigInt(this.tape.to) + 1n;
        must(end || offset <= BigInt(this.sent), "RECEIVED of what was not sent");
        const now = end ? this.tape.to : Number(offset);
        must(now >= this.acknowledged && (end || !this.finAcknowledged), "RECEIVED goes back");
        this.acknowledged = now;
        this.finAcknowledged ||= end;
        this.tape.drop(now);
        this.onRoom();
    }

    takeWindow(offset) {
        must(Number(offset) >= this.sendLimit, "WINDOW goes back");
        this.sendLimit = Number(offset);
    }

    takeReset(code) {
        this.resetCode ??= code;
        this.resetTold = true;
        this.onEnd();
    }

    // --- what is to be said

    // Without DATA and FIN.
    news() {
        const frames = [];
        if (!this.opened) {
            frames.push(frame(OPEN, this.number, u8(this.kind), this.parameters));
            this.opened = true;
        }
        if (this.isReset) {
            if (!this.resetTold) {
                frames.push(frame(RESET, this.number, u32(this.resetCode)));
                this.resetTold = true;
            }
            return frames;
        }
        const windowDue = this.consumed + this.window - this.limit >= this.window / 4 && !this.finCame;
        if (windowDue) {
            this.limit = this.consumed + this.window;
            frames.push(frame(WINDOW, this.number, u64(this.limit)));
        }
        if (this.received > this.told && (windowDue || this.isDue())) {
            this.told = this.received;
            this.newsSince = 0;
            frames.push(frame(RECEIVED, this.number, u64(this.told)));
        }
        return frames;
    }

    isDue() {
        const old = this.newsSince && Date.now() - this.newsSince >= 10;
        return this.received > this.expected || this.received - this.told >= NEWS_MAX || old;
    }

    // DATA that fits into so much room.
    data(room) {
        const size = Math.min(this.waiting, room - FRAME_ROOM);
        if (size <= 0) {
            return [];
        }
        const offset = this.sent;
        this.sent += size;
        return [frame(DATA, this.number, u64(offset), this.tape.part(offset, size))];
    }

    fin(room) {
        if (this.isReset || !this.ended || this.finSent || this.sent < this.tape.to || room < FRAME_ROOM) {
            return [];
        }
        this.finSent = true;
        return [frame(FIN, this.number, u64(this.tape.to))];
    }

    // --- 6.5

    resume() {
        this.told = this.isReset ? this.told : this.received;
        this.newsSince = 0;
        const flags = (this.finCame ? 1 : 0) | (this.isReset ? 2 : 0);
        return frame(RESUME, this.number, u8(flags), u64(this.received), u64(this.limit), u64(0), u32(this.resetCode ?? 0));
    }

    takeResume({ flags, expected, limit, code }) {
        must(flags <= 3, "flags that are none");
        if (this.isReset) {
            return;
        }
        if (flags & 2) {
            this.takeReset(code);
            return;
        }
        must(!(flags & 1) || this.finSent, "an end that was not sent");
        this.takeReceived(expected);
        this.takeWindow(limit);
        this.sent = this.acknowledged;
        this.finSent = Boolean(flags & 1);
        must(!this.finSent || this.sent === this.tape.to, "an end without what is before it");
    }

    // The partner does not name it, though it has had it.
    takeOver() {
        if (this.isReset) {
            return;
        }
        must(this.finSent && this.finCame && this.consumed === this.expected, "a stream that cannot be over");
        this.finAcknowledged = true;
        this.acknowledged = this.tape.to;
        this.told = this.received;
    }

    // The partner has not had its OPEN.
    again() {
        this.opened = false;
        this.sent = 0;
        this.finSent = false;
        this.resetTold = false;
    }
}
