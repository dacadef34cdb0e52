// Runs handler.mjs for leat: one event a line, one response a line, until standard input ends.
import { createInterface } from "node:readline";
import { handler } from "./handler.mjs";

console.log = console.info = console.debug = console.error; // what the handler prints is for the log
for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(JSON.stringify(await handler(JSON.parse(line), {})) + "\n");
}
