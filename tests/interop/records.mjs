// Records: PROTOCOL.md 6.1.

import { LABEL, SUITES, ascii, concat, must, padded, u16, u32, u64 } from "./encoding.mjs";

export const RECORD_SIZES = [256, 1024, 4096, 16384, 65536];
export const OVERHEAD = 2 + 16;
const RECORDS_PER_GENERATION = 65536;

// One direction. perGeneration is less in tests only.
export class Direction {
    constructor(suiteCode, role, secret, perGeneration = RECORDS_PER_GENERATION) {
        const { hash, aead } = SUITES.get(suiteCode);
        Object.assign(this, { hash, aead, role: ascii(role), perGeneration });
        this.generation = 0;
        this.take(secret);
    }

    take(secret) {
        this.secret = secret;
        this.key = this.hash.expand(secret, [LABEL("key")], 32);
        this.iv = this.hash.expand(secret, [LABEL("iv")], 12);
        this.counter = 0;
    }

    // Nonce and additional data of the next record.
    next(length) {
        if (this.counter === this.perGeneration) {
            this.take(this.hash.expand(this.secret, [LABEL("next")], this.hash.size));
            this.generation++;
        }
        const counter = u64(this.counter++);
        const nonce = this.iv.map((octet, at) => (at < 4 ? octet : octet ^ counter[at - 4]));
        return { nonce, data: concat(u16(length), u32(this.generation), this.role) };
    }

    seal(plain, size = sizeFor(plain.length)) {
        const { nonce, data } = this.next(size - 2);
        return concat(u16(size - 2), this.aead.seal(this.key, nonce, data, padded(plain, size - OVERHEAD)));
    }

    open(sealed) {
        must(sealed.length >= 17, "a record that is too short");
        const { nonce, data } = this.next(sealed.length);
        return this.aead.open(this.key, nonce, data, sealed);
    }
}

export const sizeFor = (length) => RECORD_SIZES.find((size) => size - OVERHEAD >= length);
