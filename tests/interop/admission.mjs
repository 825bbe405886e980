// Admission, messages to the server, and waiting: PROTOCOL.md 3 and 4.

import {
    LABEL, PUBLIC, Reader, ascii, chachaPoly, concat, equal, must, padded, random, sha256, u16, u8, zeros,
} from "./encoding.mjs";
import { tagsAt } from "./cards.mjs";
import { x25519, x25519Public } from "./kem.mjs";
import { sha256 as plainHash } from "@noble/hashes/sha2";
import { expand } from "@noble/hashes/hkdf";

const SIZE = 1024;
const [REGISTER, UPDATE, KEEP_ALIVE, READY, WAITING, JOINED, GOAWAY, REFUSED] = [1, 2, 3, 4, 5, 6, 7, 8];
const REASONS = ["admitted", "expired", "not yet valid", "revoked", "suspended", "over limit", "replaced"];
const ENTRIES_MAX = 30;

export class Refused extends Error {}
export class GoneAway extends Error {
    constructor(spread) {
        super("the server asks to come back");
        this.spread = spread;
    }
}

// --- Noise_IK_25519_ChaChaPoly_SHA256, as initiator

class Cipher {
    constructor(key) {
        this.key = key;
        this.count = 0n;
    }

    nonce() {
        const nonce = zeros(12);
        new DataView(nonce.buffer).setBigUint64(4, this.count++, true);
        return nonce;
    }

    seal(plain, data = zeros(0)) {
        return chachaPoly.seal(this.key, this.nonce(), data, plain);
    }

    open(sealed, data = zeros(0)) {
        return chachaPoly.open(this.key, this.nonce(), data, sealed);
    }
}

export class NoiseInitiator {
    constructor({ prologue, secret, serverKey, ephemeral = random(32) }) {
        this.hash = padded(ascii("Noise_IK_25519_ChaChaPoly_SHA256"), 32);
        this.chain = this.hash;
        this.secret = secret;
        this.serverKey = serverKey;
        this.ephemeral = ephemeral;
        this.mixHash(prologue);
        this.mixHash(serverKey);
    }

    mixHash(octets) {
        this.hash = plainHash(concat(this.hash, octets));
    }

    mixKey(input) {
        const both = this.hkdf(input);
        this.chain = both.slice(0, 32);
        this.cipher = new Cipher(both.slice(32));
    }

    hkdf(input) {
        return expand(plainHash, sha256.mac(this.chain, input), zeros(0), 64);
    }

    seal(plain) {
        const sealed = this.cipher.seal(plain, this.hash);
        this.mixHash(sealed);
        return sealed;
    }

    open(sealed) {
        const plain = this.cipher.open(sealed, this.hash);
        this.mixHash(sealed);
        return plain;
    }

    first(payload) {
        const ephemeral = x25519Public(this.ephemeral);
        this.mixHash(ephemeral);
        this.mixKey(x25519(this.ephemeral, this.serverKey));
        const identity = this.seal(x25519Public(this.secret));
        this.mixKey(x25519(this.secret, this.serverKey));
        return concat(ephemeral, identity, this.seal(payload));
    }

    second(message) {
        const ephemeral = message.slice(0, 32);
        this.mixHash(ephemeral);
        this.mixKey(x25519(this.ephemeral, ephemeral));
        this.mixKey(x25519(this.secret, ephemeral));
        return this.open(message.slice(32));
    }

    split() {
        const both = this.hkdf(zeros(0));
        return { send: new Cipher(both.slice(0, 32)), receive: new Cipher(both.slice(32)) };
    }
}

// --- 3.1, 3.2

export function makeHello(fingerprint, ephemeral = random(32)) {
    const noise = new NoiseInitiator({
        prologue: ascii("cyphernet/1 admission"), secret: fingerprint.secret, serverKey: fingerprint.serverKey, ephemeral,
    });
    const message = noise.first(padded(fingerprint.certificate, 912));
    const key = sha256.of(LABEL("mac1"), PUBLIC(fingerprint.serverKey));
    return { noise, hello: concat(message, sha256.mac(key, message).slice(0, 16)) };
}

export function readVerdict(payload) {
    const reader = new Reader(payload);
    const code = reader.u8();
    must(code < REASONS.length - 1, "a code that is not known");
    const verdict = {
        code, time: reader.u64(), tags: reader.u16(), waiting: reader.u32(), keepAlive: reader.u32(), spread: reader.u32(),
    };
    must(code !== 0 || (verdict.tags >= 1 && verdict.keepAlive >= 1), "a verdict that makes no sense");
    const notices = reader.u16();
    must(notices <= 768, "notices that are too large");
    return { ...verdict, notices: reader.take(notices) };
}

// --- 3.3

export function serverMessage(type, entries = [], more = 0) {
    const body = entries.map(({ output, tag }) => concat(u8(output ? 1 : 2), tag));
    return padded(concat(u8(type), u8(more), u16(entries.length), ...body), SIZE - 16);
}

export const readyMessage = () => serverMessage(READY);

function readServerMessage(plain) {
    const reader = new Reader(plain);
    const message = { type: reader.u8() };
    must(reader.u8() === 0, "more from a server");
    const count = reader.u16();
    must(count === (message.type === JOINED ? 1 : 0), "a wrong number of entries");
    if (message.type === JOINED) {
        const mode = reader.u8();
        must(mode === 1 || mode === 2, "a mode that is none");
        message.entry = { output: mode === 1, tag: reader.take(32) };
    } else if (message.type === GOAWAY) {
        message.spread = reader.u32();
    } else if (message.type === REFUSED) {
        message.reason = reader.u8();
        must(message.reason >= 1 && message.reason < REASONS.length, "a reason that is not known");
    }
    return message;
}

// A line that the server admits, until READY.
export class Admission {
    static async of(line, fingerprint) {
        const { noise, hello } = makeHello(fingerprint);
        line.write(hello);
        const verdict = readVerdict(noise.second(await line.read(SIZE, 30)));
        if (verdict.code) {
            throw new Refused(REASONS[verdict.code]);
        }
        return new Admission(line, verdict, noise.split());
    }

    constructor(line, verdict, ciphers) {
        this.line = line;
        this.verdict = verdict;
        this.ciphers = ciphers;
    }

    say(message) {
        this.line.write(this.ciphers.send.seal(message));
    }

    sayEntries(type, entries) {
        for (let at = 0; at < entries.length; at += ENTRIES_MAX) {
            const more = at + ENTRIES_MAX < entries.length ? 1 : 0;
            this.say(serverMessage(type, entries.slice(at, at + ENTRIES_MAX), more));
        }
    }

    async hear(seconds) {
        const message = readServerMessage(this.ciphers.receive.open(await this.line.read(SIZE, seconds)));
        if (message.type === REFUSED) {
            throw new Refused(REASONS[message.reason]);
        }
        if (message.type === GOAWAY) {
            throw new GoneAway(message.spread);
        }
        return message;
    }

    // Wait for one of these calls until JOINED: which, and the tag. waiting is told when nobody is there yet.
    async join(wants, waiting = () => {}, now = () => Date.now() / 1000) {
        const entries = () => wants.flatMap((want) =>
            tagsAt(want.tagKey, want.service, now()).tags.map((tag) => ({ want, output: want.output, tag })));
        let said = entries();
        const known = [...said];
        const update = () => {
            const next = entries();
            if (next.length !== said.length || next.some(({ tag }, at) => !equal(tag, said[at].tag))) {
                said = next;
                known.push(...next);
                this.sayEntries(UPDATE, next);
            }
        };
        this.sayEntries(REGISTER, said);
        const first = await this.hear(30);
        must(first.type === WAITING || first.type === JOINED, "not an answer to REGISTER");
        const { output, tag } = first.type === JOINED ? first.entry : await this.wait(waiting, update);
        const found = known.find((entry) => entry.output === output && equal(entry.tag, tag));
        must(found, "joined under what was not asked for");
        return { want: found.want, tag };
    }

    async wait(waiting, update) {
        waiting();
        const stop = this.keepAlive(update);
        try {
            for (;;) {
                const { type, entry } = await this.hear(3 * this.verdict.keepAlive);
                must(type === KEEP_ALIVE || type === JOINED, "not a message for who waits");
                if (type === JOINED) {
                    return entry;
                }
            }
        } finally {
            stop();
        }
    }

    keepAlive(update) {
        let timer = null;
        const next = () => {
            timer = setTimeout(() => {
                this.say(serverMessage(KEEP_ALIVE));
                update();
                next();
            }, this.verdict.keepAlive * (750 + 250 * Math.random()));
        };
        next();
        return () => clearTimeout(timer);
    }

    ready() {
        this.say(readyMessage());
    }
}
