// Usage: node envelope_node.mjs ENVELOPE_JS IN OUT
import fs from "node:fs";
import { pathToFileURL } from "node:url";
import { exchange } from "./exchange.mjs";

const [library, input, output] = process.argv.slice(2);
const envelope = await import(pathToFileURL(library));
const result = await exchange(envelope, JSON.parse(fs.readFileSync(input, "utf8")));
fs.writeFileSync(output, JSON.stringify(result));
