// Octets, items and what is made of them: PROTOCOL.md 1.

import { randomBytes } from "node:crypto";
import { gcm } from "@noble/ciphers/aes";
import { chacha20poly1305 } from "@noble/ciphers/chacha";
import { blake2b } from "@noble/hashes/blake2";
import { expand, extract } from "@noble/hashes/hkdf";
import { hmac } from "@noble/hashes/hmac";
import { sha256 as SHA256, sha512 as SHA512 } from "@noble/hashes/sha2";

// What a partner, a server or a file got wrong.
export class Malformed extends Error {}

export const random = (size) => new Uint8Array(randomBytes(size));
export const zeros = (size) => new Uint8Array(size);
export const ascii = (text) => Uint8Array.from(Buffer.from(text, "latin1"));
export const text = (octets) => Buffer.from(octets).toString("latin1");
export const hex = (octets) => Buffer.from(octets).toString("hex");
export const unhex = (digits) => Uint8Array.from(Buffer.from(digits, "hex"));
export const equal = (one, other) => Buffer.compare(one, other) === 0;
export const isZeros = (octets) => octets.every((octet) => octet === 0);

export function concat(...parts) {
    const whole = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
    let at = 0;
    for (const part of parts) {
        whole.set(part, at);
        at += part.length;
    }
    return whole;
}

export function padded(octets, size) {
    const whole = zeros(size);
    whole.set(octets);
    return whole;
}

function integer(size) {
    return (value) => {
        const octets = zeros(size);
        let rest = BigInt(value);
        for (let at = size - 1; at >= 0; at--) {
            octets[at] = Number(rest & 255n);
            rest >>= 8n;
        }
        return octets;
    };
}

export const u8 = integer(1);
export const u16 = integer(2);
export const u32 = integer(4);
export const u64 = integer(8);

// Takes a body apart. Numbers of 64 bits come as BigInt.
export class Reader {
    constructor(octets) {
        this.octets = octets;
        this.at = 0;
    }

    get left() {
        return this.octets.length - this.at;
    }

    take(size) {
        if (size > this.left) {
            throw new Malformed("too short");
        }
        this.at += size;
        return this.octets.slice(this.at - size, this.at);
    }

    number(size) {
        return this.take(size).reduce((value, octet) => value * 256 + octet, 0);
    }

    u8() {
        return this.number(1);
    }

    u16() {
        return this.number(2);
    }

    u32() {
        return this.number(4);
    }

    u64() {
        return this.take(8).reduce((value, octet) => value * 256n + BigInt(octet), 0n);
    }

    end() {
        must(this.left === 0, "something follows");
    }
}

export function must(condition, what) {
    if (!condition) {
        throw new Malformed(what);
    }
}

// --- 1.2

const item = (type) => (octets) => ({ type, octets: typeof octets === "string" ? ascii(octets) : octets });
const label = item(1);
export const LABEL = (name) => label(`cyphernet/1 ${name}`);
export const HASH = item(2);
export const PUBLIC = item(3);
export const SECRET = item(4);
export const NONCE = item(5);
export const CARD = item(6);
export const ROLE = item(7);
export const NAME = item(8);
export const TAG = item(9);
export const NUMBER = item(10);
export const MESSAGE = item(11);
export const ABSENT = zeros(0);

export function encoded(items) {
    return concat(...items.flatMap(({ type, octets }) => [u8(type), u32(octets.length), octets]));
}

export class Hash {
    constructor(hash) {
        this.hash = hash;
        this.size = hash.outputLen;
    }

    of(...items) {
        return this.hash(encoded(items));
    }

    mac(key, octets) {
        return hmac(this.hash, key, octets);
    }

    extract(salt, ...items) {
        return extract(this.hash, encoded(items), salt);
    }

    expand(key, items, size) {
        return expand(this.hash, key, encoded(items), size);
    }
}

const wrongTag = (open) => {
    try {
        return open();
    } catch {
        throw new Malformed("forged");
    }
};

const aead = (cipher) => ({
    seal: (key, nonce, data, plain) => cipher(key, nonce, data).encrypt(plain),
    open: (key, nonce, data, sealed) => wrongTag(() => cipher(key, nonce, data).decrypt(sealed)),
});

export const sha256 = new Hash(SHA256);
export const chachaPoly = aead(chacha20poly1305);
const aesGcm = aead(gcm);

// --- 2.6

export const SUITES = new Map([
    [1, { name: "SHA256-AES256GCM", hash: sha256, aead: aesGcm }],
    [2, { name: "SHA256-CHACHA20POLY1305", hash: sha256, aead: chachaPoly }],
    [3, { name: "SHA512-AES256GCM", hash: new Hash(SHA512), aead: aesGcm }],
    [4, { name: "BLAKE2B-CHACHA20POLY1305", hash: new Hash(blake2b), aead: chachaPoly }],
]);
