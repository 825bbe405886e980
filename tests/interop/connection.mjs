// What two ends say on one connection after F2: PROTOCOL.md 5.5 and 6.

import { Malformed, Reader, concat, equal, must, random, u32 } from "./encoding.mjs";
import {
    CLOSE, DATA, DURABLE, FIN, OPEN, PING, PONG, RECEIVED, REHANDSHAKE, RESET, RESUME, SWITCH, WINDOW, frame, readFrames,
} from "./frames.mjs";
import { LineLost } from "./line.mjs";
import { Direction, OVERHEAD, RECORD_SIZES, sizeFor } from "./records.mjs";
import { Rehandshake } from "./rehandshake.mjs";
import { Stream } from "./streams.mjs";

const BULK = 49152;
const [BULK_SIZE, PLAIN_SIZE] = [65536, 16384];
const FINISH_SIZE = 256;
const TICK_MS = 10;
const PING_MS = 15000;
const CLOSING_MS = 5000;

// The call is over, and not well.
export class CallEnded extends Error {}

const other = (role) => (role === "A" ? "B" : "A");

export class Connection {
    constructor({ call, line, pair, secrets, resumed, spoil = {} }) {
        Object.assign(this, { call, line, pair, secrets, resumed, spoil });
        this.sender = new Direction(pair.suite, pair.role, secrets[pair.role].traffic);
        this.receiver = new Direction(pair.suite, other(pair.role), secrets[other(pair.role)].traffic);
        this.expectedFinish = secrets[other(pair.role)].finish;
        this.isOpen = false;
        this.first = []; // frames that go before all else
        this.theyAreBack = !resumed;
        this.named = new Set();
        this.closeSent = false;
        this.closeCame = false;
        this.pingOut = false;
        this.lastPing = 0;
        this.lastHeard = Date.now();
        this.patienceMs = call.patience();
        this.heardOfStream = false;
        this.pingsLeft = call.pings; // in tests: before anything of a stream
        this.fresh = new Rehandshake({
            pair, callerRole: call.callerRole, secrets, limits: call.limits, say: (one) => this.alone(one), ...call.fresh,
        });
    }

    // Until the call has ended well; LineLost where it is to go on on another line.
    async run() {
        const finish = this.secrets[this.pair.role].finish;
        this.record(this.spoil.finish ? finish.map((octet, at) => (at ? octet : octet ^ 1)) : finish, FINISH_SIZE);
        if (this.resumed) {
            this.sayResume();
        }
        this.ping();
        this.line.onDrain = () => this.pump();
        const timer = setInterval(() => this.tick(), TICK_MS);
        try {
            for (;;) {
                await this.hear();
                this.pump();
            }
        } catch (error) {
            if (error instanceof LineLost && this.closeSent && this.closeCame && this.line.endedWell) {
                this.call.said(`generations: ${this.sender.generation} sent, ${this.receiver.generation} received`);
                return;
            }
            this.line.reset();
            throw error;
        } finally {
            this.call.patienceMs = this.heardOfStream ? 0 : 2 * this.patienceMs;
            clearInterval(timer);
            this.line.onDrain = () => {};
            this.line.destroy();
        }
    }

    tick() {
        if (this.closeSent && this.closeCame) {
            this.closingSince ??= Date.now();
            if (Date.now() - this.closingSince > CLOSING_MS) {
                this.line.lose("the partner does not end");
            }
            return;
        }
        const silent = Date.now() - this.lastHeard;
        if (!this.closeCame && silent > this.patienceMs + (this.closeSent ? PING_MS : 0)) {
            this.line.lose("nothing has come");
        }
        const late = silent > this.patienceMs / 2 && this.lastPing < this.lastHeard + this.patienceMs / 2;
        if (Date.now() - this.lastPing >= PING_MS ? !this.pingOut || this.closeCame : late) {
            this.ping();
        }
        this.pump();
    }

    ping() {
        this.first.push(frame(PING, 0, random(8)));
        this.pingOut = true;
        this.lastPing = Date.now();
    }

    // As many as the line takes, in records of their own.
    pingMore() {
        while (this.isOpen && this.pingsLeft > 0 && this.line.takesMore) {
            this.pingsLeft--;
            this.alone(frame(PING, 0, random(8)));
        }
    }

    // --- out

    record(plain, size = sizeFor(plain.length)) {
        this.line.write(this.sender.seal(plain, size));
        this.fresh.count(size);
    }

    alone(one) {
        this.record(one);
    }

    pump() {
        this.renew();
        if (this.pingsLeft > 0) {
            this.pingMore();
            return;
        }
        while (!this.closeSent && this.line.takesMore && this.sayMore()) {
            // as long as there is something
        }
    }

    renew() {
        if (this.closeSent || this.expectedFinish) {
            return;
        }
        if (this.fresh.isDue) {
            this.fresh.begin();
        }
        if (this.fresh.isLate) {
            this.line.lose("fresh keys take too long");
        }
        this.fresh.sayAnswer();
        const next = this.fresh.switchHere();
        if (next) {
            this.sender = next.direction;
            this.record(next.finish, FINISH_SIZE);
        }
    }

    // One record; whether there was anything for it.
    sayMore() {
        const frames = this.first.splice(0);
        let least = 0;
        if (this.theyAreBack) {
            const streams = [...this.call.streams.values()].filter((stream) => !stream.isQuiet);
            frames.push(...streams.flatMap((stream) => stream.news()));
            const waiting = streams.reduce((sum, stream) => sum + stream.waiting, 0);
            const most = waiting >= BULK ? BULK_SIZE : PLAIN_SIZE;
            for (const stream of streams) {
                least = Math.max(least, this.fill(stream, frames, most));
            }
            if (this.call.mayClose()) {
                frames.push(frame(CLOSE, 0, u32(0)));
                this.closeSent = true;
            }
        }
        if (frames.length === 0) {
            return false;
        }
        const plain = concat(...frames);
        this.record(plain, Math.max(sizeFor(plain.length), least));
        this.endIfClosed();
        return true;
    }

    // DATA and FIN of a stream; the least size that the record must have.
    fill(stream, frames, most) {
        const size = stream.ended ? Math.max(most, stream.filled) : most;
        const room = () => size - OVERHEAD - frames.reduce((sum, one) => sum + one.length, 0);
        const data = stream.data(room());
        frames.push(...data);
        const used = size - room();
        const below = RECORD_SIZES[RECORD_SIZES.indexOf(size) - 1];
        if (data.length && used > below) {
            stream.filled = Math.max(stream.filled, size);
        }
        const fin = stream.fin(room());
        frames.push(...fin);
        return stream.ended && (data.length || fin.length) ? stream.filled : 0;
    }

    endIfClosed() {
        if (this.closeSent && this.closeCame) {
            this.call.endedWell = true;
            this.line.end();
        }
    }

    sayResume() {
        for (const stream of this.call.streams.values()) {
            if (stream.isReset || !stream.isOver) {
                this.first.push(stream.resume());
            }
        }
        this.first.push(frame(RESUME, 0, u32(this.call.theirNext)));
    }

    // --- in

    async hear() {
        const size = new Reader(await this.line.read(2)).u16();
        const sealed = await this.line.read(size);
        let plain;
        try {
            plain = this.receiver.open(sealed);
        } catch (error) {
            throw new LineLost(`a record that is ${error.message}`);
        }
        this.lastHeard = Date.now();
        this.fresh.count(size + 2);
        if (this.expectedFinish) {
            this.takeFinish(plain);
            return;
        }
        this.takeFrames(plain);
    }

    takeFinish(plain) {
        if (plain.length < 32 || !equal(plain.slice(0, 32), this.expectedFinish)) {
            throw new LineLost("another Finish");
        }
        this.expectedFinish = null;
        if (this.isOpen) {
            this.call.said("fresh keys");
        } else {
            this.isOpen = true;
            this.call.opened(this);
        }
    }

    takeFrames(plain) {
        try {
            const frames = readFrames(plain);
            for (const one of frames) {
                must(!this.closeCame, "a frame behind CLOSE");
                must((one.type !== REHANDSHAKE && one.type !== SWITCH) || frames.length === 1, "not alone in its record");
                this.take(one);
            }
        } catch (error) {
            throw error instanceof Malformed ? new CallEnded(error.message) : error;
        }
    }

    take({ type, stream, body }) {
        if (type === PING) {
            this.pong(body.take(8));
        } else if (type === PONG) {
            this.pingOut = false;
        } else if (type === REHANDSHAKE) {
            this.fresh.take(body.take(body.left));
        } else if (type === SWITCH) {
            this.takeSwitch();
        } else if (type === CLOSE) {
            this.takeClose(body.u32());
        } else if (type === RESUME && stream === 0) {
            must(body.left === 4, "a body that does not fit");
            this.takeBack(body.u32());
        } else if (type === RESUME) {
            this.takeResume(stream, body);
        } else {
            must(this.theyAreBack, "a frame of a stream before RESUME");
            this.takeOfStream(type, stream, body);
        }
    }

    pong(token) {
        this.first = this.first.filter((one) => one[0] !== PONG);
        this.first.push(frame(PONG, 0, token));
    }

    takeSwitch() {
        const { direction, finish } = this.fresh.switchThere();
        this.receiver = direction;
        this.expectedFinish = finish;
    }

    takeClose(code) {
        if (code !== 0) {
            throw new CallEnded(code === 5 ? "the partner refuses" : `given up by the partner, code ${code}`);
        }
        must(this.theyAreBack, "CLOSE before RESUME");
        this.call.closeCame();
        this.closeCame = true;
        this.endIfClosed();
    }

    takeResume(number, body) {
        must(this.resumed && !this.theyAreBack && body.left === 29 && !this.named.has(number), "RESUME that is not right");
        const said = { flags: body.u8(), expected: body.u64(), limit: body.u64(), durable: body.u64(), code: body.u32() };
        this.named.add(number);
        const stream = this.call.known(number);
        if (stream && (stream.isReset || !stream.isOver)) {
            stream.takeResume(said);
        }
    }

    takeBack(next) {
        must(this.resumed && !this.theyAreBack, "RESUME that is not right");
        this.theyAreBack = true;
        for (const stream of this.call.streams.values()) {
            if (stream.mine && stream.number >= next) {
                stream.again();
            } else if (!this.named.has(stream.number)) {
                stream.takeOver();
            }
        }
    }

    takeOfStream(type, number, body) {
        this.heardOfStream = true;
        if (type === OPEN) {
            this.takeOpen(number, body);
            return;
        }
        const stream = this.call.known(number);
        must(stream, "a stream that was never opened");
        if (stream.isOver) {
            return;
        }
        if (type === RESET) {
            stream.takeReset(body.u32());
            return;
        }
        must(body.left >= 8, "a body that does not fit");
        const offset = body.u64();
        if (type === DATA) {
            stream.takeData(offset, body.take(body.left));
        } else if (type === FIN) {
            stream.takeFin(offset);
        } else if (type === RECEIVED) {
            stream.takeReceived(offset);
        } else if (type === WINDOW) {
            stream.takeWindow(offset);
        } else {
            must(type === DURABLE, "a frame of another type");
        }
    }

    takeOpen(number, body) {
        must(body.left >= 1 && body.left <= 1025, "a body that does not fit");
        const kind = body.u8();
        must(kind !== 0 && number === this.call.theirNext, "OPEN out of order");
        this.call.openedThere(new Stream({
            number, mine: false, kind, parameters: body.take(body.left), sendLimit: this.call.theirs.window, window: this.call.limits.window,
        }));
    }
}
