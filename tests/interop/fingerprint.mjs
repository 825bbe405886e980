// What the operator gives: PROTOCOL.md 2.3, 2.4.

import { ed25519 } from "@noble/curves/ed25519";
import { LABEL, MESSAGE, Reader, encoded, equal, must, text } from "./encoding.mjs";
import { x25519Public } from "./kem.mjs";

const CERTIFICATE_SIZE = 122;

export function checkCertificate(body, operatorKey) {
    const signed = encoded([LABEL("certificate"), MESSAGE(body.slice(0, 58))]);
    must(ed25519.verify(body.slice(58), signed, operatorKey, { zip215: false }), "a certificate that is not the operator's");
    const reader = new Reader(body);
    must(reader.u8() === 1, "a certificate of another version");
    const certificate = { serial: reader.u64(), admissionKey: reader.take(32), notBefore: reader.u64(), notAfter: reader.u64() };
    must(certificate.notAfter > certificate.notBefore, "a certificate of no time");
    return certificate;
}

const optional = (reader) => {
    const has = reader.u8();
    must(has <= 1, "neither 0 nor 1");
    return has ? reader.take(32) : null;
};

export function readFingerprint(body) {
    must(body.length <= 4096, "a fingerprint that is too large");
    const reader = new Reader(body);
    const version = reader.u8();
    must(version === 1 || version === 2, "a fingerprint of another version");
    const certificate = reader.take(CERTIFICATE_SIZE);
    const secret = optional(reader);
    const serverKey = reader.take(32);
    const operatorKey = reader.take(32);
    const label = text(reader.take(reader.u8()));
    const count = reader.u8();
    must(count >= 1 && count <= 8, "a wrong number of addresses");
    const addresses = Array.from({ length: count }, () => text(reader.take(reader.u8())));
    const noticeNumber = version === 2 ? reader.u64() : 0n;
    const firstKey = version === 2 ? optional(reader) : null;
    reader.end();
    const { admissionKey } = checkCertificate(certificate, operatorKey);
    must(!secret || equal(x25519Public(secret), admissionKey), "another admission key");
    return { certificate, secret, serverKey, operatorKey, label, addresses, noticeNumber, server: firstKey ?? serverKey };
}
