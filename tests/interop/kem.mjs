// Key encapsulation: PROTOCOL.md 2.7.

import { constants, createPrivateKey, createPublicKey, generateKeyPairSync, privateDecrypt, publicEncrypt } from "node:crypto";
import { x25519 as curve } from "@noble/curves/ed25519";
import { sha256 } from "@noble/hashes/sha2";
import { ml_kem768 } from "@noble/post-quantum/ml-kem";
import { Malformed, concat, must, random, u32, u8, zeros } from "./encoding.mjs";

export const X25519 = 1;
export const PQ_PUBLIC_SIZE = 1184;
export const PQ_CIPHERTEXT_SIZE = 1088;
const RSA_BITS = new Map([[2, 2048], [3, 3072], [4, 4096], [5, 8192]]);
const Q = 3329;

export const isKind = (kind) => kind === X25519 || RSA_BITS.has(kind);
export const publicSize = (kind) => (kind === X25519 ? 32 : RSA_BITS.get(kind) / 8);
export const ciphertextSize = (kind) => (kind === X25519 ? 0 : publicSize(kind));

// --- X25519

export const x25519Public = (secret) => curve.getPublicKey(secret);

export function x25519(secret, point) {
    try {
        return curve.getSharedSecret(secret, point);
    } catch {
        throw new Malformed("a public key of low order");
    }
}

// The library's multiplication refuses a result of zeros, which every scalar makes of these.
export const checkX25519 = (point) => x25519(random(32), point);

// --- RSA

const OAEP = { padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: "sha256" };
const base64url = (octets) => Buffer.from(octets).toString("base64url");

function checkRsa(modulus) {
    must(modulus[0] & 0x80 && modulus[modulus.length - 1] & 1, "not a modulus");
}

const xor = (one, other) => one.map((octet, at) => octet ^ other[at]);

function mgf1(seed, size) {
    const blocks = Array.from({ length: Math.ceil(size / 32) }, (_, at) => sha256(concat(seed, u32(at))));
    return concat(...blocks).slice(0, size);
}

// RFC 8017 7.1.1, here for the sake of vectors, which need its seed.
function oaepEncoded(size, label, message, seed) {
    const data = concat(sha256(label), zeros(size - message.length - 66), u8(1), message);
    const maskedData = xor(data, mgf1(seed, data.length));
    return concat(u8(0), xor(seed, mgf1(maskedData, 32)), maskedData);
}

export function rsaEncapsulate(modulus, label, shared = random(32), seed = random(32)) {
    const key = createPublicKey({ key: { kty: "RSA", n: base64url(modulus), e: "AQAB" }, format: "jwk" });
    const padding = constants.RSA_NO_PADDING;
    const ciphertext = publicEncrypt({ key, padding }, oaepEncoded(modulus.length, label, shared, seed));
    return { ciphertext: Uint8Array.from(ciphertext), shared };
}

export function rsaDecapsulate(pkcs8, label, ciphertext) {
    const key = createPrivateKey({ key: Buffer.from(pkcs8), format: "der", type: "pkcs8" });
    try {
        const shared = privateDecrypt({ key, ...OAEP, oaepLabel: Buffer.from(label) }, ciphertext);
        return shared.length === 32 ? Uint8Array.from(shared) : random(32);
    } catch {
        return random(32);
    }
}

export function rsaModulus(pkcs8) {
    const key = createPrivateKey({ key: Buffer.from(pkcs8), format: "der", type: "pkcs8" });
    return Uint8Array.from(Buffer.from(key.export({ format: "jwk" }).n, "base64url"));
}

// --- ML-KEM-768

export const pqKeys = (seed) => ml_kem768.keygen(seed);

export function pqEncapsulate(publicKey, message = random(32)) {
    const { cipherText, sharedSecret } = ml_kem768.encapsulate(publicKey, message);
    return { ciphertext: cipherText, shared: sharedSecret };
}

export const pqDecapsulate = (secretKey, ciphertext) => ml_kem768.decapsulate(ciphertext, secretKey);

export function checkPq(publicKey) {
    for (let at = 0; at < 1152; at += 3) {
        const [a, b, c] = publicKey.subarray(at, at + 3);
        must((a | ((b & 15) << 8)) < Q && ((b >> 4) | (c << 4)) < Q, "a coefficient is not below q");
    }
}

// --- static keys

export function checkStatic(kind, publicKey) {
    if (kind === X25519) {
        checkX25519(publicKey);
    } else {
        checkRsa(publicKey);
    }
}

export function makeStatic(kind) {
    if (kind === X25519) {
        return random(32);
    }
    const options = { modulusLength: RSA_BITS.get(kind), publicExponent: 65537 };
    const { privateKey } = generateKeyPairSync("rsa", options);
    return Uint8Array.from(privateKey.export({ format: "der", type: "pkcs8" }));
}

export const staticPublic = (kind, secret) => (kind === X25519 ? x25519Public(secret) : rsaModulus(secret));
