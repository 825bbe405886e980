// `node tests/interop/subscriber.mjs --home DIRECTORY COMMAND`: a subscriber written from PROTOCOL.md alone.
//
//   join FILE            be admitted with this fingerprint
//   offer NAME           print my card for NAME [--suites 1,2]
//   accept NAME          NAME's card, from standard input; print the safety number once there is one
//   safety NAME          print it again
//   pipe NAME            standard input to NAME, and what comes to standard output
//   talk NAME            the same of lines
//   connect NAME PLACE   the same of HOST:PORT at NAME, who serves it
//   serve NAME PLACE     let NAME connect to HOST:PORT here, and no other
//
// These take --wait SECONDS, --resume-for SECONDS, --window OCTETS, and for tests --fresh-after and --fresh-not-before SECONDS
// (6.7), --pings COUNT (first, in records of their own, 6.1), --keep FILE (the prologue that is sent)
// and --spoil f1|f2|finish|prologue-key|chain-key|replay=FILE.
// It ends with 0, with 1 where something is wrong, 2 if nobody came, 3 if the partner is not authentic, 4 if interrupted.

import { readFileSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { Call, Interrupted, NotAuthentic } from "./call.mjs";
import { safetyNumber } from "./cards.mjs";
import { CallEnded } from "./connection.mjs";
import { random } from "./encoding.mjs";
import { LineLost } from "./line.mjs";
import { pipe } from "./pipe.mjs";
import { State } from "./state.mjs";
import { talk } from "./talk.mjs";
import { connect, serve } from "./tunnel.mjs";

const option = (value) => ({ type: "string", default: value });
const OPTIONS = {
    home: option("."), suites: option("1,2,3,4"), wait: option("30"), "resume-for": option("0"),
    window: option(String(1 << 20)), "fresh-after": option("120"), "fresh-not-before": option("60"), pings: option("0"),
    keep: option(""), spoil: option(""),
};

function spoilOf({ spoil, keep }) {
    const [what, file] = spoil.split("=");
    if (what === "replay") {
        return { prologue: () => Uint8Array.from(readFileSync(file)) };
    }
    return keep ? { prologue: (f1) => (writeFileSync(keep, f1), f1) } : { [what]: true };
}

function spoiledPair(pair, spoil) {
    const keys = { "prologue-key": "prologueKey", "chain-key": "chainKey" };
    return spoil in keys ? { ...pair, [keys[spoil]]: random(32) } : pair;
}

const say = (what) => process.stderr.write(`${what}\n`);

function callOf(state, name, values, service, callerRole) {
    return new Call({
        fingerprint: state.fingerprint, pair: spoiledPair(state.pair(name), values.spoil), service, callerRole,
        wait: Number(values.wait), resume: Number(values["resume-for"]), window: Number(values.window),
        fresh: { after: Number(values["fresh-after"]), notBefore: Number(values["fresh-not-before"]) },
        pings: Number(values.pings), spoil: spoilOf(values), said: say,
    });
}

async function runPipe(state, name, values) {
    await pipe(callOf(state, name, values, "pipe", "A"), process.stdin, process.stdout);
    say("ended well");
}

async function runTalk(state, name, values) {
    await talk(callOf(state, name, values, "talk", "A"), process.stdin, process.stdout);
    say("ended well");
}

async function runConnect(state, name, values, place) {
    const { role } = state.pair(name);
    await connect(callOf(state, name, values, "forward", role), place, process.stdin, process.stdout);
    say("ended well");
}

async function runServe(state, name, values, place) {
    const { role } = state.pair(name);
    await serve(callOf(state, name, values, "forward", role === "A" ? "B" : "A"), place);
    say("ended well");
}

const COMMANDS = {
    join: (state, file) => state.join(readFileSync(file, "latin1")),
    offer: (state, name, values) => process.stdout.write(state.offer(name, values.suites.split(",").map(Number))),
    accept: (state, name) => {
        state.accept(name, readFileSync(0, "latin1"));
        if (state.card(name, "mine")) {
            process.stdout.write(`${safetyNumber(state.pair(name))}\n`);
        }
    },
    safety: (state, name) => process.stdout.write(`${safetyNumber(state.pair(name))}\n`),
    pipe: runPipe,
    talk: runTalk,
    connect: runConnect,
    serve: runServe,
};

const WITH_PLACE = ["connect", "serve"];

const CODES = [[NotAuthentic, 3], [Interrupted, 4], [CallEnded, 4], [LineLost, 2]];

async function main() {
    const { values, positionals } = parseArgs({ options: OPTIONS, allowPositionals: true });
    const [command, argument, place] = positionals;
    if (!(command in COMMANDS) || positionals.length !== (WITH_PLACE.includes(command) ? 3 : 2)) {
        throw new Error(`one of ${Object.keys(COMMANDS).join(", ")}, and what of`);
    }
    await COMMANDS[command](new State(values.home), argument, values, place);
}

try {
    await main();
} catch (error) {
    say(`error: ${process.env.DEBUG ? error.stack : error.message}`);
    process.exitCode = CODES.find(([kind]) => error instanceof kind)?.[1] ?? 1;
}
process.stdin.destroy();
