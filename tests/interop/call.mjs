// A call over as many lines as it takes: PROTOCOL.md 5.2, 5.3, 5.6, 6.4, 6.5.

import { setTimeout as sleep } from "node:timers/promises";
import { Admission, GoneAway, Refused } from "./admission.mjs";
import { followingPair } from "./cards.mjs";
import { CallEnded, Connection } from "./connection.mjs";
import { Malformed, Reader, concat, must, u16 } from "./encoding.mjs";
import { F2_SIZE, Handshake } from "./handshake.mjs";
import { Line, LineLost } from "./line.mjs";
import { Stream } from "./streams.mjs";

const DELAY_MS = 100;
const DELAY_MAX_MS = 30000;
const FAILURES_MAX = 5;
const TIMER_MAX_MS = 2 ** 31 - 1;
const END_SECONDS_MAX = 600;
const [PATIENCE_MS, PATIENCE_MAX_MS] = [8000, 120000];
const READY_MS = 10; // after JOINED, with RSA
const ANSWER_MS = 100; // after the partner's F1, with RSA

export class NotAuthentic extends Error {}
export class Interrupted extends Error {}

const until = (since, ms) => sleep(Math.max(0, since + ms - Date.now()));
const flipped = (octets) => octets.map((octet, at) => (at === octets.length >> 1 ? octet ^ 1 : octet));

export class Call {
    constructor({ fingerprint, pair, service, callerRole, wait, resume, window, fresh = {}, pings = 0, spoil = {}, said = () => {} }) {
        Object.assign(this, { fingerprint, pair, service, callerRole, wait, fresh, pings, spoil, said });
        this.limits = { streams: 16, window, resume };
        this.isCaller = pair.role === callerRole;
        this.streams = new Map();
        this.myNext = pair.role === "A" ? 1 : 2;
        this.theirNext = pair.role === "A" ? 2 : 1;
        this.following = null; // the pair of 6.5
        this.missed = null; // the same, and their limits, of a handshake of which we have not seen the end
        this.patienceMs = 0;
        this.done = false; // says the program
        this.wasOpened = false;
        this.endedWell = false;
        this.onOpen = () => {};
        this.onStream = (stream) => stream.reset(0);
        this.connection = null;
    }

    // --- the program

    open(kind, parameters) {
        const stream = new Stream({
            number: this.myNext, mine: true, kind, parameters, sendLimit: this.theirs.window, window: this.limits.window,
        });
        this.myNext += 2;
        this.streams.set(stream.number, stream);
        return stream;
    }

    finish() {
        this.done = true;
        this.pump();
    }

    pump() {
        this.connection?.pump();
    }

    // --- for the connection

    known(number) {
        return this.streams.get(number);
    }

    opened(connection) {
        this.connection = connection;
        this.connected = true;
        this.following ??= this.missed.pair;
        if (!this.wasOpened) {
            this.wasOpened = true;
            this.said(`opened, suite ${this.pair.suite}`);
            this.onOpen();
        } else {
            this.said("the call goes on");
        }
    }

    openedThere(stream) {
        this.theirNext += 2;
        this.streams.set(stream.number, stream);
        this.onStream(stream);
    }

    mayClose() {
        return this.done && [...this.streams.values()].every((stream) => stream.isQuiet);
    }

    // The partner has sent CLOSE 0. What it has not heard of counts as reset there.
    closeCame() {
        for (const stream of this.streams.values()) {
            if (!stream.isOver) {
                must(stream.mine && stream.isUnheard, "CLOSE while streams are open");
                stream.takeReset(0);
            }
        }
    }

    // --- lines

    // What a connection has; more after each on which nothing of a stream came.
    patience() {
        const first = Math.min(this.limits.resume, this.theirs.resume) ? PATIENCE_MS : PATIENCE_MAX_MS;
        this.patienceMs = Math.min(Math.max(first, this.patienceMs), PATIENCE_MAX_MS);
        return this.patienceMs;
    }

    // Until the call has ended well.
    async run() {
        let deadline = Date.now() + this.wait * 1000;
        let delay = DELAY_MS;
        let failures = 0;
        for (;;) {
            const tried = Date.now();
            try {
                await this.once(deadline);
                return;
            } catch (error) {
                this.connection = null;
                if (error instanceof Refused || error instanceof CallEnded || !this.isPassing(error)) {
                    throw error;
                }
                if (this.connected) {
                    this.said(`the line was lost: ${error.message}`);
                    deadline = Date.now() + 1000 * this.seconds();
                    this.connected = false;
                    delay = DELAY_MS;
                    failures = 0;
                } else {
                    this.said(`not opened: ${error.message}`);
                    failures += error instanceof Malformed ? 1 : 0;
                }
                if (failures >= FAILURES_MAX) {
                    throw new NotAuthentic("the partner is not authentic");
                }
                if (Date.now() >= deadline && this.endedWell) {
                    return;
                }
                if (Date.now() >= deadline) {
                    throw this.wasOpened ? new Interrupted(`interrupted: ${error.message}`) : error;
                }
                delay = Date.now() - tried > 10000 ? DELAY_MS : delay;
                await sleep(delay * (1 + Math.random() / 2));
                delay = Math.min(2 * delay, DELAY_MAX_MS);
            }
        }
    }

    isPassing(error) {
        return error instanceof LineLost || error instanceof GoneAway || error instanceof Malformed;
    }

    // For how long to look for another line.
    seconds() {
        return Math.min(this.limits.resume, this.theirs.resume, this.endedWell ? END_SECONDS_MAX : Infinity);
    }

    async once(deadline) {
        const line = await this.dial();
        const patience = Math.min(TIMER_MAX_MS, Math.max(0, deadline - Date.now()));
        const timer = setTimeout(() => line.lose("nobody came in time"), patience);
        try {
            const admission = await Admission.of(line, this.fingerprint);
            const { want, tag } = await admission.join(this.wants(), () => this.said("waiting"));
            const secrets = await this.shake(admission, want.pair, want.service, tag);
            clearTimeout(timer);
            await this.talk(line, want, secrets);
        } finally {
            clearTimeout(timer);
            line.destroy();
        }
    }

    // The call, or its going on; before it has opened also that of one that the partner may have open.
    wants() {
        const resumed = this.following ?? this.missed?.pair;
        const want = (pair, service) => ({ pair, service, tagKey: pair.tagKey, output: this.isCaller });
        return [
            ...(this.following ? [] : [want(this.pair, this.service)]),
            ...(resumed ? [want(resumed, "resume")] : []),
        ];
    }

    async dial() {
        let lost = new LineLost("no address");
        for (const address of this.fingerprint.addresses) {
            try {
                return await Line.connect(address);
            } catch (error) {
                lost = error;
            }
        }
        throw lost;
    }

    async shake(admission, pair, service, tag) {
        const { line } = admission;
        const joined = Date.now();
        const handshake = new Handshake({ pair, callerRole: this.callerRole, service, tag, limits: this.limits });
        const f1 = this.spoiled("f1", handshake.makeF1());
        if (handshake.hasRsa) {
            await until(joined, READY_MS);
        }
        admission.ready();
        line.write(concat(u16(f1.length), this.spoil.prologue?.(f1) ?? f1));
        const size = new Reader(await line.read(2, 30)).u16();
        must(size === f1.length, "a prologue of another length");
        const theirs = await line.read(size, 30);
        const came = Date.now();
        handshake.takeF1(theirs);
        const f2 = this.spoiled("f2", handshake.makeF2());
        if (handshake.hasRsa) {
            await until(came, ANSWER_MS);
        }
        line.write(f2);
        return handshake.takeF2(await line.read(F2_SIZE, 30));
    }

    spoiled(name, octets) {
        return this.spoil[name] ? flipped(octets) : octets;
    }

    async talk(line, { pair, service }, secrets) {
        const resumed = service === "resume";
        if (!resumed) {
            this.theirs = secrets.theirs;
            this.missed = { pair: followingPair(pair, secrets.resume), theirs: secrets.theirs };
        } else if (!this.following) {
            this.theirs = this.missed.theirs;
        }
        await new Connection({ call: this, line, pair, secrets, resumed, spoil: this.spoil }).run();
    }
}
