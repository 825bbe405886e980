// What a subscriber keeps: a directory of armoured files, `identity`, `fingerprint`, `contacts/NAME.mine` and `NAME.theirs`.

import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { armored, unarmored } from "./armor.mjs";
import { checkAcceptable, identityBody, isName, makeCard, makeIdentity, makePair, readCard, readIdentity } from "./cards.mjs";
import { must } from "./encoding.mjs";
import { readFingerprint } from "./fingerprint.mjs";

export class State {
    constructor(directory) {
        this.directory = directory;
        mkdirSync(join(directory, "contacts"), { recursive: true, mode: 0o700 });
    }

    path(...names) {
        return join(this.directory, ...names);
    }

    read(kind, ...names) {
        return existsSync(this.path(...names)) ? unarmored(kind, readFileSync(this.path(...names), "latin1")) : null;
    }

    write(kind, body, ...names) {
        writeFileSync(this.path(...names), armored(kind, body), { mode: 0o600 });
    }

    join(fingerprint) {
        const body = unarmored("FINGERPRINT", fingerprint);
        must(readFingerprint(body).secret, "a fingerprint without its key");
        this.write("FINGERPRINT", body, "fingerprint");
        if (!existsSync(this.path("identity"))) {
            this.write("IDENTITY", identityBody(makeIdentity()), "identity");
        }
    }

    get identity() {
        return readIdentity(this.read("IDENTITY", "identity"));
    }

    get fingerprint() {
        return readFingerprint(this.read("FINGERPRINT", "fingerprint"));
    }

    card(name, whose) {
        must(isName(name), "not a name");
        const body = this.read("CARD", "contacts", `${name}.${whose}`);
        return body ? readCard(body) : null;
    }

    offer(name, suites) {
        const held = this.card(name, "mine");
        if (held) {
            return armored("CARD", held.body);
        }
        const { identity, fingerprint } = this;
        const answers = this.card(name, "theirs")?.cardId;
        const body = makeCard({ identity, madeFor: name, server: fingerprint.server, suites, answers });
        this.write("CARD", body, "contacts", `${name}.mine`);
        return armored("CARD", body);
    }

    accept(name, text) {
        const theirs = readCard(unarmored("CARD", text));
        const { identity, fingerprint } = this;
        const mine = this.card(name, "mine");
        checkAcceptable(theirs, { identity, server: fingerprint.server, mine, held: this.card(name, "theirs") });
        if (mine) {
            makePair(identity, mine.body, theirs.body);
        }
        this.write("CARD", theirs.body, "contacts", `${name}.theirs`);
    }

    pair(name) {
        const mine = this.card(name, "mine");
        const theirs = this.card(name, "theirs");
        must(mine && theirs, "the cards are not exchanged");
        return makePair(this.identity, mine.body, theirs.body);
    }
}
