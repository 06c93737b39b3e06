// An exported model in node: a line of numbers in, a line with the output of the step out.
//
//   printf '0.1 0.2 0.3\n0.4 0.5 0.6\n' | node stream.mjs model.wasm
//
// In a browser, fetch("model.wasm") takes the place of readFile.
import { readFile } from "node:fs/promises";
import { createInterface } from "node:readline";

const { instance } = await WebAssembly.instantiate(await readFile(process.argv[2]));
const { memory, start, step, input, output, inputs, outputs } = instance.exports;
start();
const x = new Float32Array(memory.buffer, input(), inputs());
const y = new Float32Array(memory.buffer, output(), outputs());
for await (const line of createInterface({ input: process.stdin })) {
  x.set(line.trim().split(/\s+/).map(Number));
  if (step() !== 0) process.exit(1);
  console.log([...y].join(" "));
}
