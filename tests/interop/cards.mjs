// Identities, cards, pairs, safety numbers and tags: PROTOCOL.md 2.8 to 2.10, 4.

import {
    ABSENT, CARD, LABEL, NAME, NONCE, NUMBER, PUBLIC, Reader, SECRET, SUITES,
    ascii, concat, equal, isZeros, must, random, sha256, text, u16, u64, u8, zeros,
} from "./encoding.mjs";
import {
    PQ_PUBLIC_SIZE, X25519, checkPq, checkStatic, isKind, makeStatic, pqKeys, publicSize, staticPublic, x25519,
} from "./kem.mjs";

const VERSION = 1;
const NAME_FORM = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

export const isName = (name) => NAME_FORM.test(name);

// --- 2.8

export function makeIdentity(kind = X25519, seed = random(64), secret = makeStatic(kind)) {
    return withKeys({ kind, secret, seed });
}

export function identityBody({ kind, secret, seed }) {
    return concat(u8(VERSION), u8(kind), u16(secret.length), secret, seed);
}

export function readIdentity(body) {
    const reader = new Reader(body);
    must(reader.u8() === VERSION, "an identity of another version");
    const kind = reader.u8();
    must(isKind(kind), "an identity of another kind");
    const secret = reader.take(reader.u16());
    must(kind !== X25519 || secret.length === 32, "a private key of a wrong size");
    const seed = reader.take(64);
    reader.end();
    return withKeys({ kind, secret, seed });
}

function withKeys(identity) {
    const { publicKey, secretKey } = pqKeys(identity.seed);
    const whole = { ...identity, public: staticPublic(identity.kind, identity.secret), pqPublic: publicKey, pqSecret: secretKey };
    return { ...whole, id: idOf(whole) };
}

function idOf({ kind, public: publicKey, pqPublic }) {
    return sha256.of(LABEL("id"), NUMBER(u8(kind)), PUBLIC(publicKey), PUBLIC(pqPublic));
}

// --- 2.9

export function makeCard({ identity, madeFor, server, suites = [...SUITES.keys()], answers = zeros(8), nonce = random(32), cardId = random(8) }) {
    return concat(
        u8(VERSION), u8(1), u8(1), u8(suites.length), ...suites.map(u16), u8(identity.kind), identity.public,
        identity.pqPublic, nonce, u8(madeFor.length), ascii(madeFor), cardId, answers, server,
    );
}

function list(reader, read) {
    const count = reader.u8();
    must(count >= 1 && count <= 16, "a list of a wrong length");
    return Array.from({ length: count }, () => read(reader));
}

export function readCard(body) {
    must(body.length <= 4096, "a card that is too large");
    const reader = new Reader(body);
    must(reader.u8() === VERSION, "a card of another version");
    const versions = list(reader, (r) => r.u8());
    const suites = list(reader, (r) => r.u16());
    const kind = reader.u8();
    must(isKind(kind), "a card of another kind");
    const card = {
        body, versions, suites, kind, public: reader.take(publicSize(kind)), pqPublic: reader.take(PQ_PUBLIC_SIZE),
        nonce: reader.take(32), madeFor: text(reader.take(reader.u8())), cardId: reader.take(8),
        answers: reader.take(8), server: reader.take(32),
    };
    reader.end();
    must(isName(card.madeFor), "a name that is none");
    checkStatic(kind, card.public);
    checkPq(card.pqPublic);
    return { ...card, id: idOf(card), hash: sha256.of(LABEL("card"), CARD(body)) };
}

// What 2.9 refuses that does not depend on other contacts.
export function checkAcceptable(theirs, { identity, server, mine, held }) {
    must(!equal(theirs.id, identity.id), "a card of my own");
    must(equal(theirs.server, server), "a card for another server");
    must(isZeros(theirs.answers) || (mine && equal(theirs.answers, mine.cardId)), "it answers another card");
    must(!held || equal(held.body, theirs.body), "another card of this contact is held");
}

// --- 2.10

export function makePair(identity, mineBody, theirsBody) {
    const mine = readCard(mineBody);
    const theirs = readCard(theirsBody);
    must(!equal(mine.id, theirs.id), "a card of my own");
    must(equal(mine.server, theirs.server), "another server");
    const role = Buffer.compare(mine.id, theirs.id) < 0 ? "A" : "B";
    const [a, b] = role === "A" ? [mine, theirs] : [theirs, mine];
    must(a.versions.includes(VERSION) && b.versions.includes(VERSION), "no version in common");
    const suite = a.suites.find((code) => SUITES.has(code) && b.suites.includes(code));
    must(suite, "no suite in common");
    const shared = a.kind === X25519 && b.kind === X25519 ? x25519(identity.secret, theirs.public) : ABSENT;
    const nonces = sha256.extract(ascii("cyphernet/1 pair"), NONCE(a.nonce), NONCE(b.nonce));
    const secret = sha256.extract(nonces, CARD(a.hash), CARD(b.hash), SECRET(shared));
    return { identity, mine, theirs, a, b, role, suite, ...pairKeys(secret) };
}

function pairKeys(secret) {
    const key = (name) => sha256.expand(secret, [LABEL(name)], 32);
    return { secret, tagKey: key("tag key"), prologueKey: key("prologue key"), chainKey: key("chain key") };
}

// S' in place of S: 6.5 with the resume secret, 6.7 with the chain secret.
export function followingPair(pair, secret) {
    return { ...pair, ...pairKeys(sha256.extract(pair.secret, SECRET(secret))) };
}

export function safetyNumber({ a, b }) {
    const salt = sha256.extract(ascii("cyphernet/1 safety"), CARD(a.hash), CARD(b.hash));
    const reader = new Reader(sha256.expand(salt, [], 60));
    const groups = Array.from({ length: 12 }, () => reader.number(5) % 100000);
    return groups.map((group) => String(group).padStart(5, "0")).join(" ");
}

// --- 4

export const epochOf = (seconds) => Math.floor(seconds / 3600);

export function tagOf(tagKey, service, epoch) {
    return sha256.expand(tagKey, [LABEL("tag"), NAME(service), NUMBER(u64(epoch))], 32);
}

// The tags to wait under now, and for how many seconds these are the ones.
export function tagsAt(tagKey, service, seconds) {
    const epoch = epochOf(seconds);
    const into = seconds - epoch * 3600;
    const epochs = into < 600 ? [epoch, epoch - 1] : into >= 3000 ? [epoch, epoch + 1] : [epoch];
    const until = into < 600 ? 600 : into < 3000 ? 3000 : 3600;
    return { tags: epochs.map((each) => tagOf(tagKey, service, each)), holds: until - into };
}
