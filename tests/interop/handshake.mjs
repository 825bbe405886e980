// The handshake, without its transport: PROTOCOL.md 5.

import {
    ABSENT, CARD, HASH, LABEL, MESSAGE, NAME, NONCE, NUMBER, ROLE, Reader, SECRET, SUITES, TAG,
    ascii, concat, must, padded, random, u16, u32, u64, u8, zeros,
} from "./encoding.mjs";
import {
    PQ_CIPHERTEXT_SIZE, PQ_PUBLIC_SIZE, X25519, checkPq, checkX25519, ciphertextSize, pqDecapsulate, pqEncapsulate,
    pqKeys, rsaDecapsulate, rsaEncapsulate, x25519, x25519Public,
} from "./kem.mjs";

export const F1_SIZE = 4096;
export const F2_SIZE = 1280;

const other = (role) => (role === "A" ? "B" : "A");

export class Handshake {
    // made: the random octets, by name; what is not given is drawn.
    constructor({ pair, callerRole, service, tag, limits, made = {} }) {
        const suite = SUITES.get(pair.suite);
        this.hash = suite.hash;
        this.aead = suite.aead;
        this.pair = pair;
        this.me = pair.role;
        this.peer = other(pair.role);
        this.limits = limits;
        this.draw = (name, size) => made[name] ?? random(size);
        this.ephemeral = this.draw("ephemeral", 32);
        this.pqEphemeral = pqKeys(this.draw("pqEphemeral", 64));
        this.f1 = {};
        this.f2 = {};
        this.t = {};
        this.q = {};
        this.m = {};
        this.h0 = this.hash.of(
            LABEL("call"), NUMBER(u16(pair.suite)), CARD(pair.a.hash), CARD(pair.b.hash), ROLE(callerRole), NAME(service), TAG(tag),
        );
    }

    get hasRsa() {
        return this.pair.a.kind !== X25519 || this.pair.b.kind !== X25519;
    }

    oaepLabel(role) {
        return this.hash.of(LABEL("oaep"), HASH(this.h0), ROLE(role));
    }

    prologueKey(role, nonce) {
        return this.hash.expand(this.pair.prologueKey, [LABEL("prologue"), ROLE(role), NONCE(nonce), HASH(this.h0)], 32);
    }

    // --- 5.2

    makeF1() {
        const { theirs } = this.pair;
        const { me } = this;
        let keyData = ABSENT;
        if (theirs.kind === X25519) {
            this.t[me] = x25519(this.ephemeral, theirs.public);
        } else {
            const made = rsaEncapsulate(theirs.public, this.oaepLabel(me), this.draw("t", 32), this.draw("oaepSeed", 32));
            keyData = made.ciphertext;
            this.t[me] = made.shared;
        }
        const pq = pqEncapsulate(theirs.pqPublic, this.draw("q", 32));
        this.q[me] = pq.shared;
        const plain = concat(
            u8(1), u32(0), x25519Public(this.ephemeral), this.pqEphemeral.publicKey, u16(keyData.length), keyData, pq.ciphertext,
        );
        const nonce = this.draw("nonce", 32);
        const sealed = this.aead.seal(this.prologueKey(me, nonce), zeros(12), concat(this.h0, ascii(me)), padded(plain, 4048));
        this.f1[me] = concat(nonce, sealed);
        return this.f1[me];
    }

    takeF1(f1) {
        const { peer } = this;
        must(f1.length === F1_SIZE, "F1 of another length");
        const key = this.prologueKey(peer, f1.slice(0, 32));
        const reader = new Reader(this.aead.open(key, zeros(12), concat(this.h0, ascii(peer)), f1.slice(32)));
        must(reader.u8() === 1, "F1 of another version");
        reader.u32();
        this.theirEphemeral = reader.take(32);
        this.theirPqEphemeral = reader.take(PQ_PUBLIC_SIZE);
        checkX25519(this.theirEphemeral);
        checkPq(this.theirPqEphemeral);
        const size = reader.u16();
        must(size === ciphertextSize(this.pair.mine.kind), "key data of another size");
        const keyData = reader.take(size);
        this.f1[peer] = f1;
        this.t[peer] = this.decapsulated(keyData);
        this.q[peer] = pqDecapsulate(this.pair.identity.pqSecret, reader.take(PQ_CIPHERTEXT_SIZE));
        this.meet();
    }

    decapsulated(keyData) {
        const { identity } = this.pair;
        if (identity.kind === X25519) {
            return x25519(identity.secret, this.theirEphemeral);
        }
        return rsaDecapsulate(identity.secret, this.oaepLabel(this.peer), keyData);
    }

    // --- 5.4, as far as F1 goes

    meet() {
        this.h1 = this.hash.of(HASH(this.h0), MESSAGE(this.f1.A), MESSAGE(this.f1.B));
        this.ck1 = this.hash.extract(
            this.pair.chainKey, SECRET(x25519(this.ephemeral, this.theirEphemeral)),
            SECRET(this.t.A), SECRET(this.t.B), SECRET(this.q.A), SECRET(this.q.B),
        );
    }

    answerKey(role) {
        return this.hash.expand(this.ck1, [LABEL("answer"), ROLE(role), HASH(this.h1)], 32);
    }

    // --- 5.3

    makeF2() {
        const { streams, window, resume } = this.limits;
        const { ciphertext, shared } = pqEncapsulate(this.theirPqEphemeral, this.draw("m", 32));
        this.m[this.me] = shared;
        const plain = padded(concat(ciphertext, u32(streams), u64(window), u32(resume)), F2_SIZE - 16);
        this.f2[this.me] = this.aead.seal(this.answerKey(this.me), zeros(12), this.h1, plain);
        return this.f2[this.me];
    }

    // What both ends come to.
    takeF2(f2) {
        must(f2.length === F2_SIZE, "F2 of another length");
        const reader = new Reader(this.aead.open(this.answerKey(this.peer), zeros(12), this.h1, f2));
        this.f2[this.peer] = f2;
        this.m[this.peer] = pqDecapsulate(this.pqEphemeral.secretKey, reader.take(PQ_CIPHERTEXT_SIZE));
        const theirs = { streams: reader.u32(), window: Number(reader.u64()), resume: reader.u32() };
        return { ...this.secrets(), theirs };
    }

    secrets() {
        this.h2 = this.hash.of(HASH(this.h1), MESSAGE(this.f2.A), MESSAGE(this.f2.B));
        const ck2 = this.hash.extract(this.ck1, SECRET(this.m.A), SECRET(this.m.B));
        const size = this.hash.size;
        const key = (name, role, length = size) =>
            this.hash.expand(ck2, [LABEL(name), ROLE(role), HASH(this.h2)], length);
        const of = (role) => ({
            traffic: key("traffic", role),
            finishKey: key("finish", role),
            finish: this.hash.mac(key("finish", role), this.h2).slice(0, 32),
        });
        return {
            A: of("A"), B: of("B"), chain: key("chain", ABSENT), resume: key("resume", ABSENT),
            exporter: key("exporter", ABSENT), callId: key("call id", ABSENT, 32),
        };
    }
}
