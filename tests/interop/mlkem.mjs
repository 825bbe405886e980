// `node tests/interop/mlkem.mjs`: what tests/support/mlkem_driver.c does, with the other ML-KEM-768. Which keys are refused
// says checkPq: the library's own check, as of 0.4.1, lets every coefficient pass.

import { readFileSync } from "node:fs";
import { ml_kem768 } from "@noble/post-quantum/ml-kem";
import { Malformed, concat, hex, zeros } from "./encoding.mjs";
import { checkPq } from "./kem.mjs";

const CASE_SIZE = 1184;
const CIPHERTEXT_SIZE = 1088;

const u16 = (octets, at) => (octets[at] << 8) | octets[at + 1];

function flipped(octets, bit) {
    const changed = octets.slice();
    changed[bit >> 3] ^= 1 << (bit & 7);
    return changed;
}

function withCoefficient(key, index, value) {
    const changed = key.slice();
    const at = (index >> 1) * 3;
    if (index % 2 === 0) {
        changed[at] = value & 255;
        changed[at + 1] = (changed[at + 1] & 0xf0) | (value >> 8);
    } else {
        changed[at + 1] = (changed[at + 1] & 0x0f) | ((value & 15) << 4);
        changed[at + 2] = value >> 4;
    }
    return changed;
}

function encapsulated(key, coins) {
    const { cipherText, sharedSecret } = ml_kem768.encapsulate(key, coins);
    return concat(cipherText, sharedSecret);
}

function encapsulatedOrRefused(key, coins) {
    try {
        checkPq(key);
    } catch (refusal) {
        if (refusal instanceof Malformed) {
            return zeros(0);
        }
        throw refusal;
    }
    return encapsulated(key, coins);
}

function answer(seed, coins, choice) {
    const { publicKey, secretKey } = ml_kem768.keygen(seed);
    const first = encapsulated(publicKey, coins);
    const ciphertext = first.subarray(0, CIPHERTEXT_SIZE);
    const bit = u16(choice, 0) % (8 * CIPHERTEXT_SIZE);
    const other = withCoefficient(publicKey, u16(choice, 2) % 768, u16(choice, 4) & 0xfff);
    return concat(
        publicKey,
        first,
        ml_kem768.decapsulate(flipped(ciphertext, bit), secretKey),
        ml_kem768.decapsulate(choice, secretKey),
        encapsulatedOrRefused(other, coins),
    );
}

const cases = new Uint8Array(readFileSync(0));
for (let at = 0; at < cases.length; at += CASE_SIZE) {
    const one = cases.slice(at, at + CASE_SIZE);
    process.stdout.write(`${hex(answer(one.subarray(0, 64), one.subarray(64, 96), one.subarray(96)))}\n`);
}
