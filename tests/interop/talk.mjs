// The service `talk`, of who keeps nothing and takes no files: PROTOCOL.md 7.3.

import { createInterface } from "node:readline";
import { Interrupted } from "./call.mjs";
import { CallEnded } from "./connection.mjs";
import { Malformed, Reader, concat, must, u32, u64, u8 } from "./encoding.mjs";

const KIND = 1;
const FILES = [2, 3];
const NOT_WANTED = 5;
const [LINE, DELIVERED, READ, LEFT, SERIES] = [1, 2, 3, 4, 5];
const HEAD = 5;
const LINE_MAX = 65536;
const SIZES = new Map([[DELIVERED, 8], [READ, 8], [LEFT, 1], [SERIES, 24]]);

const malformed = (error) => (error instanceof Malformed ? new CallEnded(error.message) : error);

// Lines of input to the partner, and the partner's to output, until the call has ended well.
export async function talk(call, input, output) {
    const one = new Talk(call, input, output);
    call.onOpen = () => {
        if (call.isCaller) {
            one.begin(call.open(KIND));
        }
    };
    call.onStream = (stream) => {
        if (!one.stream && stream.kind === KIND) {
            one.begin(stream);
        } else {
            stream.reset(FILES.includes(stream.kind) ? NOT_WANTED : 0);
        }
    };
    await call.run();
    if (!one.isOver) {
        throw new Interrupted("not all was delivered");
    }
}

class Talk {
    constructor(call, input, output) {
        Object.assign(this, { call, input, output });
        this.stream = null;
        this.text = new TextDecoder("utf-8", { fatal: true });
        this.came = Buffer.alloc(0);
        this.lines = { mine: 0, theirs: 0 };
        this.told = { delivered: 0, read: 0 }; // by the partner, of mine
        this.left = { mine: null, theirs: null };
        this.finCame = false;
    }

    get isOver() {
        return this.stream !== null && this.stream.ended && this.finCame;
    }

    begin(stream) {
        this.stream = stream;
        stream.onData = (octets) => {
            stream.consume(octets.length);
            try {
                this.take(octets);
            } catch (error) {
                throw malformed(error);
            }
            call.pump();
        };
        stream.onEnd = () => {
            this.finCame = !stream.isReset;
            must(stream.isReset || (this.left.mine !== null && this.told.delivered === this.lines.mine), "FIN too early");
            this.finishIfOver();
        };
        const { call } = this;
        this.read();
    }

    read() {
        const lines = createInterface({ input: this.input, crlfDelay: Infinity });
        lines.on("line", (line) => this.sayLine(Buffer.from(line)));
        lines.on("close", () => this.leave(0));
    }

    // --- out

    say(type, ...body) {
        const whole = concat(...body);
        this.stream.write(concat(u8(type), u32(whole.length), whole));
        this.call.pump();
    }

    sayLine(octets) {
        if (this.left.mine === null) {
            must(octets.length <= LINE_MAX, "a line that is too long");
            this.lines.mine++;
            this.say(LINE, octets);
        }
    }

    leave(how) {
        if (this.left.mine === null) {
            this.left.mine = how;
            this.say(LEFT, u8(how));
            this.endIfLeft();
        }
    }

    // What came is delivered at once, so nothing of the partner's is left to be told.
    endIfLeft() {
        if (this.left.mine !== null && this.left.theirs !== null && !this.stream.ended) {
            this.stream.end();
            this.finishIfOver();
            this.call.pump();
        }
    }

    finishIfOver() {
        if (this.isOver) {
            this.call.finish();
        }
    }

    // --- in

    take(octets) {
        this.came = Buffer.concat([this.came, octets]);
        const before = this.lines.theirs;
        while (this.came.length >= HEAD) {
            const head = new Reader(Uint8Array.from(this.came.subarray(0, HEAD)));
            const [type, size] = [head.u8(), head.u32()];
            must(type >= LINE && type <= SERIES, "a message of another type");
            must(type === LINE ? size <= LINE_MAX : size === SIZES.get(type), "a body of another size");
            if (this.came.length < HEAD + size) {
                break;
            }
            this.takeOne(type, new Reader(Uint8Array.from(this.came.subarray(HEAD, HEAD + size))));
            this.came = this.came.subarray(HEAD + size);
        }
        if (this.lines.theirs > before) {
            this.say(DELIVERED, u64(this.lines.theirs));
        }
        this.endIfLeft();
    }

    takeOne(type, body) {
        if (type === LINE) {
            must(this.left.theirs === null, "LINE after LEFT");
            this.lines.theirs++;
            this.output.write(`${this.text.decode(body.take(body.left))}\n`);
        } else if (type === SERIES) {
            must(this.left.theirs === null, "SERIES after LEFT");
            body.take(16);
            const number = body.u64();
            must(number >= 1n && number < 2n ** 62n, "SERIES from a number that is none");
        } else if (type === LEFT) {
            this.takeLeft(body.u8());
        } else {
            const [what, most] = type === DELIVERED ? ["delivered", this.lines.mine] : ["read", this.told.delivered];
            const number = Number(body.u64());
            must(number > this.told[what] && number <= most, `more or less than before is ${what}`);
            this.told[what] = number;
        }
    }

    takeLeft(how) {
        must(how <= 1 && (this.left.theirs === null || (this.left.theirs === 0 && how === 1)), "LEFT that is not right");
        this.left.theirs = how;
        if (how === 1) {
            this.leave(0);
        }
    }
}
