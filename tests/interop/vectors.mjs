// Files of tests/vectors: blocks of `name = octets in hex`.

import { readFileSync } from "node:fs";
import { unhex } from "./encoding.mjs";

export const VECTORS = new URL("../vectors/", import.meta.url);

export function readVectors(name) {
    const blocks = readFileSync(new URL(name, VECTORS), "latin1").split("\n\n");
    return blocks.map(readBlock).filter((block) => Object.keys(block).length);
}

function readBlock(block) {
    const lines = block.split("\n").filter((line) => line && !line.startsWith("#"));
    return Object.fromEntries(lines.map((line) => line.split(" =")).map(([name, octets]) => [name, unhex(octets.trim())]));
}
