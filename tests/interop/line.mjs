// One TCP connection: exact reads, and writes that say when it is enough.

import { connect } from "node:net";
import { concat } from "./encoding.mjs";

const HELD_MAX = 1 << 20;

export class LineLost extends Error {}

export function parseAddress(address) {
    const found = /^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+)):([0-9]{1,5})$/.exec(address);
    if (!found) {
        throw new Error(`not an address that is understood here: ${address}`);
    }
    return { host: found[1] ?? found[2], port: Number(found[3]) };
}

export class Line {
    static async connect(address) {
        const socket = connect({ ...parseAddress(address), allowHalfOpen: true });
        const line = new Line(socket);
        await new Promise((connected) => {
            socket.once("connect", connected);
            socket.once("close", connected);
        });
        line.check();
        return line;
    }

    constructor(socket) {
        this.socket = socket;
        this.chunks = [];
        this.have = 0;
        this.over = null;
        this.wake = () => {};
        this.onDrain = () => {};
        socket.setNoDelay(true);
        socket.on("data", (chunk) => {
            this.chunks.push(chunk);
            this.have += chunk.length;
            this.wake();
        });
        socket.on("end", () => this.lose("the line ended"));
        socket.on("error", (error) => this.lose(error.message));
        socket.on("close", () => this.lose("the line is closed"));
        socket.on("drain", () => this.onDrain());
    }

    lose(why) {
        this.over ??= new LineLost(why);
        this.wake();
    }

    // The partner has ended its direction, and nothing broke.
    get endedWell() {
        return this.over?.message === "the line ended";
    }

    check() {
        if (this.over) {
            throw this.over;
        }
    }

    // So many octets, within so many seconds if said.
    async read(size, seconds = 0) {
        const timer = seconds ? setTimeout(() => this.lose(`nothing within ${seconds} s`), seconds * 1000) : null;
        try {
            while (this.have < size) {
                this.check();
                await new Promise((wake) => {
                    this.wake = wake;
                });
            }
        } finally {
            clearTimeout(timer);
        }
        return this.cut(size);
    }

    cut(size) {
        const parts = [];
        this.have -= size;
        for (let left = size; left > 0; ) {
            const chunk = this.chunks.shift();
            parts.push(chunk.subarray(0, left));
            if (chunk.length > left) {
                this.chunks.unshift(chunk.subarray(left));
            }
            left -= Math.min(left, chunk.length);
        }
        return concat(...parts);
    }

    write(octets) {
        if (!this.socket.destroyed && this.socket.writable) {
            this.socket.write(octets);
        }
    }

    get takesMore() {
        return !this.socket.destroyed && this.socket.writableLength < HELD_MAX;
    }

    end() {
        this.socket.end();
    }

    reset() {
        this.socket.resetAndDestroy();
    }

    destroy() {
        this.socket.destroy();
    }
}
