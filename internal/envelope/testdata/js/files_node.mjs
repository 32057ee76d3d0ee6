// node files_node.mjs <files.js> <in.json> <out.json>: opens, seals and refuses what the Go test asks for.
import { readFile, writeFile } from "node:fs/promises";
import { pathToFileURL } from "node:url";

const [library, input, output] = process.argv.slice(2);
const { openFile, sealFile } = await import(pathToFileURL(library));
const bytes = (hex) => Uint8Array.from(Buffer.from(hex, "hex"));
const hex = (data) => Buffer.from(data).toString("hex");

const result = { opened: [], sealed: [] };
for (const { key, conversationId, guid, index, sealed, plain, refuse } of JSON.parse(await readFile(input))) {
  try {
    result.opened.push(hex(await openFile(bytes(key), conversationId, guid, index, bytes(sealed))));
  } catch {
    result.opened.push("refused");
  }
  result.sealed.push(refuse ? "" : hex(await sealFile(bytes(key), conversationId, guid, index, bytes(plain))));
}
await writeFile(output, JSON.stringify(result));
