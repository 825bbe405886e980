// Armoured text: PROTOCOL.md 2.1.

import { LABEL, MESSAGE, NAME, concat, equal, must, sha256 } from "./encoding.mjs";

const SIZE_MAX = 16384;

const checksum = (kind, body) => sha256.of(LABEL("armor"), NAME(kind), MESSAGE(body)).slice(0, 8);

export function armored(kind, body) {
    const base64 = Buffer.from(concat(body, checksum(kind, body))).toString("base64");
    const lines = base64.match(/.{1,64}/g);
    return [`-----BEGIN CYPHERNET ${kind}-----`, ...lines, `-----END CYPHERNET ${kind}-----`, ""].join("\n");
}

export function unarmored(kind, given) {
    const lines = given.split("\n").map((line) => line.replace(/\r$/, ""));
    while (lines.length && /^[ \t]*$/.test(lines[0])) {
        lines.shift();
    }
    while (lines.length && /^[ \t]*$/.test(lines[lines.length - 1])) {
        lines.pop();
    }
    must(lines.shift() === `-----BEGIN CYPHERNET ${kind}-----`, `not a ${kind}`);
    must(lines.pop() === `-----END CYPHERNET ${kind}-----`, `the end of a ${kind} is missing`);
    const last = lines.pop();
    must(lines.every((line) => line.length === 64) && last && last.length <= 64, "lines of a wrong length");
    const base64 = lines.join("") + last;
    const whole = Uint8Array.from(Buffer.from(base64, "base64"));
    must(Buffer.from(whole).toString("base64") === base64, "not base64");
    must(whole.length >= 8 && whole.length <= SIZE_MAX + 8, "a wrong size");
    const body = whole.slice(0, -8);
    must(equal(whole.slice(-8), checksum(kind, body)), "damaged");
    return body;
}
