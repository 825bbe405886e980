// `node tests/interop/check_vectors.mjs`: what is in tests/vectors, made again. Ends with 1 where anything differs.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { unarmored } from "./armor.mjs";
import { NoiseInitiator, makeHello, readVerdict, readyMessage, serverMessage } from "./admission.mjs";
import { epochOf, followingPair, makeIdentity, makePair, readCard, readIdentity, safetyNumber, tagOf, tagsAt } from "./cards.mjs";
import { Reader, concat, hex, isZeros, text, u64, u8 } from "./encoding.mjs";
import { readFingerprint } from "./fingerprint.mjs";
import { Handshake } from "./handshake.mjs";
import { X25519, rsaDecapsulate, x25519Public } from "./kem.mjs";
import { Direction } from "./records.mjs";
import { readVectors } from "./vectors.mjs";

const KINDS = new Map([[1, "x25519"], [2, "rsa2048"], [3, "rsa3072"], [4, "rsa4096"], [5, "rsa8192"]]);
const EPOCH = 490000;

function kept(kind) {
    const file = new URL(`../keys/${KINDS.get(kind)}.identity`, import.meta.url);
    return readIdentity(unarmored("IDENTITY", readFileSync(file, "latin1")));
}

function same(v, name, octets) {
    assert.ok(name in v, `${name} is missing`);
    assert.equal(hex(octets), hex(v[name]), name);
}

function checkTag(v) {
    same(v, "tag", tagOf(v.key, text(v.service), new Reader(v.epoch).u64()));
}

function checkPair(v) {
    const identity = kept(v.kind[0]);
    const pair = makePair(identity, v.mine, v.theirs);
    same(v, "my_id", identity.id);
    same(v, "their_id", pair.theirs.id);
    assert.equal(pair.role, text(v.role));
    assert.equal(pair.suite, v.suite[1]);
    same(v, "tag_key", pair.tagKey);
    same(v, "prologue_key", pair.prologueKey);
    same(v, "chain_key", pair.chainKey);
    assert.equal(safetyNumber(pair), text(v.safety));
}

function checkOaep(v) {
    const kind = { 2048: 2, 3072: 3, 4096: 4, 8192: 5 }[new Reader(v.bits).u16()];
    const opened = rsaDecapsulate(kept(kind).secret, v.label, v.ciphertext);
    if (v.shared) {
        same(v, "shared", opened);
    } else {
        assert.notDeepEqual(opened, rsaDecapsulate(kept(kind).secret, v.label, v.ciphertext));
    }
}

function checkNoise(v) {
    const noise = new NoiseInitiator({
        prologue: v.prologue, secret: v.init_static, serverKey: x25519Public(v.resp_static), ephemeral: v.init_ephemeral,
    });
    same(v, "ciphertext_0", noise.first(v.payload_0));
    same(v, "payload_1", noise.second(v.ciphertext_1));
    if (v.handshake_hash) {
        same(v, "handshake_hash", noise.hash);
    }
    const { send, receive } = noise.split();
    for (let at = 2; `payload_${at}` in v; at++) {
        if (at % 2) {
            same(v, `payload_${at}`, receive.open(v[`ciphertext_${at}`]));
        } else {
            same(v, `ciphertext_${at}`, send.seal(v[`payload_${at}`]));
        }
    }
}

function checkAdmission(v) {
    const fingerprint = readFingerprint(v.fingerprint);
    same(v, "certificate", fingerprint.certificate);
    same(v, "admission_secret", fingerprint.secret);
    same(v, "server_public", fingerprint.server);
    const { noise, hello } = makeHello(fingerprint, v.init_ephemeral);
    same(v, "hello", hello);
    same(v, "verdict_plain", noise.second(v.verdict));
    assert.equal(readVerdict(v.verdict_plain).code, 0);
    const { send, receive } = noise.split();
    const messages = Object.keys(v).filter((name) => name.endsWith("_plain") && name !== "verdict_plain");
    const fromServer = ["waiting", "joined", "goaway", "refused"];
    for (const name of messages.map((plain) => plain.slice(0, -6))) {
        if (fromServer.includes(name)) {
            same(v, `${name}_plain`, receive.open(v[name]));
        } else {
            same(v, name, send.seal(v[`${name}_plain`]));
        }
    }
    same(v, "ready_plain", readyMessage());
    const entries = [{ output: true, tag: v.register_plain.slice(5, 37) }, { output: false, tag: v.register_plain.slice(38, 70) }];
    same(v, "register_plain", serverMessage(1, entries));
}

// --- calls

const ENDS = [["a", "b"], ["b", "a"]];

function identityOf(v, end) {
    const seed = v[`${end}_pq_static_seed`];
    return seed ? makeIdentity(v[`${end}_kind`][0], seed, v[`${end}_static_secret`]) : null;
}

function checkCards(v) {
    for (const end of ["a", "b"]) {
        const card = readCard(v[`${end}_card`]);
        assert.equal(card.kind, v[`${end}_kind`][0]);
        same(v, `${end}_id`, card.id);
        same(v, `${end}_card_hash`, card.hash);
    }
}

function checkPairOfCall(v, pair) {
    same(v, "prologue_key", pair.prologueKey);
    same(v, "chain_key", pair.chainKey);
    assert.equal(safetyNumber(pair), text(v.safety));
    for (const service of ["talk", "pipe", "file", "forward"]) {
        same(v, `tag_${service}_${EPOCH}`, tagOf(pair.tagKey, service, EPOCH));
    }
}

function endOfCall(v, [me, peer]) {
    const pair = makePair(identityOf(v, me), v[`${me}_card`], v[`${peer}_card`]);
    assert.equal(pair.role, me.toUpperCase());
    const made = { ephemeral: v[`${me}_ephemeral_secret`], pqEphemeral: v[`${me}_pq_ephemeral_seed`] };
    const tag = tagOf(pair.tagKey, "file", EPOCH);
    const limits = { streams: 4096, window: 1 << 20, resume: 3600 };
    return new Handshake({ pair, callerRole: "A", service: "file", tag, limits, made });
}

// F1 and F2 of the file are opened by the end that they are for.
function checkCall(v) {
    const ends = ENDS.map((names) => endOfCall(v, names));
    for (const [[me, peer], end, partner] of [[ENDS[0], ends[0], ends[1]], [ENDS[1], ends[1], ends[0]]]) {
        checkPairOfCall(v, end.pair);
        same(v, "h0", end.h0);
        end.f1[end.me] = v[`${me}_f1`];
        end.t[end.me] = v[`${me}_t`];
        end.q[end.me] = v[`${me}_q`];
        end.takeF1(v[`${peer}_f1`]);
        same(v, `${peer}_t`, end.t[partner.me]);
        same(v, `${peer}_q`, end.q[partner.me]);
        same(v, "h1", end.h1);
        same(v, "ck1", end.ck1);
        end.f2[end.me] = v[`${me}_f2`];
        end.m[end.me] = v[`${me}_m`];
        const secrets = end.takeF2(v[`${peer}_f2`]);
        same(v, `${peer}_m`, end.m[partner.me]);
        assert.deepEqual(secrets.theirs, { streams: 4096, window: 1 << 20, resume: 3600 });
        checkSecrets(v, end, secrets);
    }
}

function checkSecrets(v, end, secrets) {
    for (const [end, role] of [["a", "A"], ["b", "B"]]) {
        same(v, `${end}_traffic`, secrets[role].traffic);
        same(v, `${end}_finish`, secrets[role].finish);
        const direction = new Direction(v.suite[1], role, secrets[role].traffic);
        const ping = concat(u8(8), u8(0), Uint8Array.of(0, 8), new Uint8Array(4), u64(0x0102030405060708n));
        same(v, `${end}_record_0`, direction.seal(secrets[role].finish));
        same(v, `${end}_record_1`, direction.seal(ping));
    }
    same(v, "chain", secrets.chain);
    same(v, "resume", secrets.resume);
    same(v, "exporter", secrets.exporter);
    same(v, "call_id", secrets.callId);
    for (const [name, secret] of [["resumed", secrets.resume], ["rehandshake", secrets.chain]]) {
        const following = followingPair(end.pair, secret);
        same(v, `${name}_prologue_key`, following.prologueKey);
        same(v, `${name}_chain_key`, following.chainKey);
        same(v, `${name}_tag_${EPOCH}`, tagOf(following.tagKey, "resume", EPOCH));
    }
}

// An identity of tests/keys is one end where the file has no call.
function checkCardsOnly(v) {
    for (const [me, peer] of ENDS) {
        const kind = v[`${me}_kind`][0];
        const identity = kept(kind);
        if (hex(identity.id) === hex(v[`${me}_id`])) {
            checkPairOfCall(v, makePair(identity, v[`${me}_card`], v[`${peer}_card`]));
            return;
        }
    }
    assert.fail("neither card is of an identity of tests/keys");
}

function checkCallFile(v) {
    checkCards(v);
    if ("h0" in v) {
        checkCall(v);
    } else {
        checkCardsOnly(v);
    }
}

// --- what no file says

function checkTagTimes() {
    const at = (seconds) => tagsAt(new Uint8Array(32), "pipe", EPOCH * 3600 + seconds);
    const tag = (epoch) => hex(tagOf(new Uint8Array(32), "pipe", epoch));
    for (const [seconds, others, holds] of [[0, [-1], 600], [599, [-1], 1], [600, [], 2400], [2999, [], 1], [3000, [1], 600], [3599, [1], 1]]) {
        assert.deepEqual(at(seconds).tags.map(hex), [0, ...others].map((other) => tag(EPOCH + other)));
        assert.equal(at(seconds).holds, holds);
    }
    assert.equal(epochOf(EPOCH * 3600 + 3599), EPOCH);
    assert.ok(!isZeros(tagOf(new Uint8Array(32), "pipe", EPOCH)));
}

const FILES = [
    ["tag.txt", checkTag], ["pair.txt", checkPair], ["rsa_oaep.txt", checkOaep], ["noise_ik.txt", checkNoise],
    ["admission.txt", checkAdmission], ["call.txt", checkCallFile],
];

for (const [file, check] of FILES) {
    const blocks = readVectors(file);
    assert.ok(blocks.length > 0, file);
    blocks.forEach((block, at) => {
        try {
            check(block);
        } catch (error) {
            error.message = `${file}, block ${at + 1}: ${error.message}`;
            throw error;
        }
    });
    console.log(`${file}: ${blocks.length} as they should be`);
}
checkTagTimes();
assert.equal(X25519, 1);
