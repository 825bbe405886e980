// `node tests/interop/make_vectors.mjs >tests/vectors/javascript.txt`: calls from seeds, for every suite and kind of identity,
// each with what follows on another connection and with fresh keys.

import { readFileSync } from "node:fs";
import { unarmored } from "./armor.mjs";
import { followingPair, identityBody, makeCard, makeIdentity, makePair, readIdentity, safetyNumber, tagOf } from "./cards.mjs";
import { LABEL, NAME, ascii, hex, sha256, u16, u64 } from "./encoding.mjs";
import { PING, frame } from "./frames.mjs";
import { Handshake } from "./handshake.mjs";
import { Direction } from "./records.mjs";

const EPOCH = 490000;
const PER_GENERATION = 65536;
const CASES = [
    [1, "x25519", "made"],
    [2, "rsa2048", "x25519"],
    [3, "rsa3072", "rsa4096"],
    [4, "rsa8192", "x25519"],
];

// Octets that depend on nothing but their name.
const drawn = (name, size) => sha256.expand(sha256.of(LABEL("vectors")), [NAME(name)], size);

function identityNamed(name) {
    if (name === "made") {
        return makeIdentity(1, drawn("identity seed", 64), drawn("identity secret", 32));
    }
    return readIdentity(unarmored("IDENTITY", readFileSync(new URL(`../keys/${name}.identity`, import.meta.url), "latin1")));
}

const tell = (name, octets) => console.log(`${name} =${octets.length ? " " : ""}${hex(octets)}`);

function cardOf(identity, suite, name) {
    return makeCard({
        identity, madeFor: "partner", server: drawn("server", 32), suites: [suite], nonce: drawn(`${name} nonce`, 32),
        cardId: drawn(`${name} card id`, 8),
    });
}

function pairsOf(suite, names) {
    const identities = names.map(identityNamed).sort((one, other) => Buffer.compare(one.id, other.id));
    const cards = identities.map((identity, at) => cardOf(identity, suite, `${suite} ${"ab"[at]}`));
    return identities.map((identity, at) => makePair(identity, cards[at], cards[1 - at]));
}

function madeFor(what, role) {
    const sizes = { ephemeral: 32, pqEphemeral: 64, nonce: 32, t: 32, q: 32, m: 32, oaepSeed: 32 };
    return Object.fromEntries(Object.entries(sizes).map(([name, size]) => [name, drawn(`${what} ${role} ${name}`, size)]));
}

function handshake(what, suite, pairs, service, tag) {
    const ends = pairs.map((pair) => new Handshake({
        pair, callerRole: "A", service, tag, limits: { streams: 17, window: 1 << 18, resume: 1200 }, made: madeFor(`${what} ${suite}`, pair.role),
    }));
    ends.forEach((end) => end.makeF1());
    ends.forEach((end, at) => end.takeF1(ends[1 - at].f1[end.peer]));
    ends.forEach((end) => end.makeF2());
    const secrets = ends.map((end, at) => end.takeF2(ends[1 - at].f2[end.peer]));
    tellHandshake(what, ends[0], ends);
    tellSecrets(what, suite, secrets[0]);
    return secrets[0];
}

function tellHandshake(what, one, ends) {
    tell(`${what}_h0`, one.h0);
    for (const end of ends) {
        const name = `${what}_${end.me.toLowerCase()}`;
        tell(`${name}_ephemeral_secret`, end.ephemeral);
        tell(`${name}_pq_ephemeral_seed`, end.draw("pqEphemeral", 64));
        tell(`${name}_t`, end.t[end.me]);
        tell(`${name}_q`, end.q[end.me]);
        tell(`${name}_f1`, end.f1[end.me]);
        tell(`${name}_m`, end.m[end.me]);
        tell(`${name}_f2`, end.f2[end.me]);
    }
    tell(`${what}_h1`, one.h1);
    tell(`${what}_ck1`, one.ck1);
}

function tellSecrets(what, suite, secrets) {
    for (const role of ["A", "B"]) {
        const name = `${what}_${role.toLowerCase()}`;
        tell(`${name}_traffic`, secrets[role].traffic);
        tell(`${name}_finish`, secrets[role].finish);
    }
    for (const name of ["chain", "resume", "exporter"]) {
        tell(`${what}_${name}`, secrets[name]);
    }
    tell(`${what}_call_id`, secrets.callId);
}

// Record 0 of A, and the first of generation 1.
function tellRecords(suite, secrets) {
    const direction = new Direction(suite, "A", secrets.A.traffic);
    tell("record_0", direction.seal(secrets.A.finish));
    direction.counter = PER_GENERATION;
    tell(`record_${PER_GENERATION}`, direction.seal(frame(PING, 0, u64(0x0102030405060708n))));
}

function tellCall([suite, ...names]) {
    const pairs = pairsOf(suite, names);
    console.log("");
    tell("suite", u16(suite));
    pairs.forEach((pair) => {
        const name = pair.role.toLowerCase();
        tell(`${name}_identity`, identityBody(pair.identity));
        tell(`${name}_id`, pair.identity.id);
        tell(`${name}_card`, pair.mine.body);
    });
    tell("safety", ascii(safetyNumber(pairs[0])));
    const tag = tagOf(pairs[0].tagKey, "pipe", EPOCH);
    tell("tag", tag);
    const secrets = handshake("call", suite, pairs, "pipe", tag);
    tellRecords(suite, secrets);
    const resumed = pairs.map((pair) => followingPair(pair, secrets.resume));
    const resumedTag = tagOf(resumed[0].tagKey, "resume", EPOCH);
    tell("resumed_tag", resumedTag);
    const again = handshake("resumed", suite, resumed, "resume", resumedTag);
    handshake("fresh", suite, resumed.map((pair) => followingPair(pair, again.chain)), "rehandshake", again.callId);
}

console.log(`# Calls of another implementation, by suite, made by tests/interop/make_vectors.mjs: a call of service pipe; "resumed", what
# it is on another connection, PROTOCOL.md 6.5; and "fresh", with fresh keys within that, 6.7. identity: the body of 2.8.`);
CASES.forEach(tellCall);
