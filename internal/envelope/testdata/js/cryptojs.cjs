// Usage: node cryptojs.cjs NODE_MODULES IN OUT
// IN holds {read: [{stored, passphrase}], write: [{text, passphrase}]}; OUT gets {read: [text], written: [stored]}.
const fs = require("node:fs");
const path = require("node:path");

const [modules, input, output] = process.argv.slice(2);
const CryptoJS = require(path.resolve(modules, "crypto-js"));

const { read, write } = JSON.parse(fs.readFileSync(input, "utf8"));
fs.writeFileSync(output, JSON.stringify({
  read: read.map((c) => CryptoJS.AES.decrypt(c.stored, c.passphrase).toString(CryptoJS.enc.Utf8)),
  written: write.map((c) => CryptoJS.AES.encrypt(c.text, c.passphrase).toString()),
}));
