// Runs handler.mjs for leat: one event a line, one response a line, until standard input ends.
import { createInterface } from "node:readline";
import { handler } from "./handler.mjs";

console.log = console.info = console.debug = console.error; // what the handler prints is for the log
for await (const line of createInterface({ input: process.stdin })) {
  const response = await Promise.resolve(JSON.parse(line))
    .then((event) => handler(event, {}))
    .catch((e) => ({ errorMessage: e.message, errorType: e.name })); // as Lambda tells of it; leat finds the record that causes it
  process.stdout.write(JSON.stringify(response) + "\n");
}
