// Fresh keys within a connection: PROTOCOL.md 6.7.

import { must, zeros } from "./encoding.mjs";
import { REHANDSHAKE, SWITCH, frame } from "./frames.mjs";
import { F1_SIZE, F2_SIZE, Handshake } from "./handshake.mjs";
import { followingPair } from "./cards.mjs";
import { Direction } from "./records.mjs";

const OCTETS = 2 ** 30;
const SECONDS = 120;
const OCTETS_WITH_SECONDS = 65536;
const ANSWER_MS = 100; // after the partner's F1, with RSA

export class Rehandshake {
    // say: sends a record of just this frame; after, the first time, and notBefore: other times than 120 s and 60 s, in tests.
    constructor({ pair, callerRole, secrets, limits, say, after = SECONDS, notBefore = SECONDS / 2 }) {
        Object.assign(this, { pair, callerRole, secrets, limits, say, after, notBefore });
        this.restart();
    }

    restart() {
        this.handshake = null;
        this.next = null;
        this.answered = false;
        this.answer = null;
        this.switchedHere = false;
        this.switchedThere = false;
        this.octets = 0;
        this.since = Date.now();
    }

    get seconds() {
        return (Date.now() - this.since) / 1000;
    }

    count(octets) {
        this.octets += octets;
    }

    havePassed(octets, seconds) {
        return this.octets >= octets || (this.seconds >= seconds && this.octets >= OCTETS_WITH_SECONDS);
    }

    get isDue() {
        return !this.handshake && this.havePassed(OCTETS, this.after);
    }

    get isLate() {
        return this.handshake && this.havePassed(2 * OCTETS, 2 * SECONDS);
    }

    begin() {
        this.after = SECONDS;
        this.handshake = new Handshake({
            pair: followingPair(this.pair, this.secrets.chain), callerRole: this.callerRole, service: "rehandshake",
            tag: this.secrets.callId, limits: this.limits,
        });
        this.say(frame(REHANDSHAKE, 0, this.handshake.makeF1()));
    }

    take(body) {
        if (body.length === F1_SIZE) {
            this.takeF1(body);
        } else {
            must(body.length === F2_SIZE && this.answered && !this.next, "a REHANDSHAKE of another size, or not now");
            this.next = this.handshake.takeF2(body);
        }
    }

    takeF1(f1) {
        if (!this.handshake) {
            must(this.havePassed(OCTETS / 2, this.notBefore), "fresh keys too early");
            this.begin();
        }
        must(!this.answered, "F1 twice");
        this.handshake.takeF1(f1);
        this.answered = true;
        this.answer = { f2: this.handshake.makeF2(), due: Date.now() + (this.handshake.hasRsa ? ANSWER_MS : 0) };
    }

    sayAnswer() {
        if (this.answer && Date.now() >= this.answer.due) {
            this.say(frame(REHANDSHAKE, 0, this.answer.f2));
            this.answer = null;
        }
    }

    // The direction that follows ours, once: after SWITCH has been said.
    switchHere() {
        if (!this.next || this.answer || this.switchedHere) {
            return null;
        }
        this.say(frame(SWITCH, 0, zeros(0)));
        this.switchedHere = true;
        return this.following(this.pair.role);
    }

    switchThere() {
        must(this.next && !this.switchedThere, "SWITCH, but to what");
        this.switchedThere = true;
        return this.following(this.pair.role === "A" ? "B" : "A");
    }

    following(role) {
        const { traffic, finish } = this.next[role];
        const direction = new Direction(this.pair.suite, role, traffic);
        if (this.switchedHere && this.switchedThere) {
            this.secrets = { ...this.secrets, chain: this.next.chain, callId: this.next.callId };
            this.restart();
        }
        return { direction, finish };
    }
}
