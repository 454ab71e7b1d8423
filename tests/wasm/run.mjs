// Runs the ten steps in Node, and compares their numbers with those that the test `features` wrote on this machine.
//
//   cargo test --test features
//   cargo build --manifest-path tests/wasm/Cargo.toml --release --target wasm32-unknown-unknown
//   node tests/wasm/run.mjs tests/wasm/target/wasm32-unknown-unknown/release/ten_steps.wasm target/tmp/ten-steps.txt

import { readFileSync } from "node:fs";

const TOLERANCE = 1e-5;

const [wasm, native] = process.argv.slice(2);
const bytes = readFileSync(wasm);
const { instance } = await WebAssembly.instantiate(bytes, {});
const { steps, count, number } = instance.exports;

const began = performance.now();
const found = Array.from({ length: count() }, (_, index) => number(index));
const milliseconds = performance.now() - began;
const expected = readFileSync(native, "utf8").trim().split("\n").map(Number);

function check(holds, message) {
  if (!holds) {
    console.error(`ten steps in Node: ${message}`);
    process.exit(1);
  }
}

check(found.length === expected.length, `expected ${expected.length} numbers, found ${found.length}`);
let largest = 0;
found.forEach((x, index) => {
  check(Number.isFinite(x), `number ${index} is ${x}`);
  const difference = Math.abs(x - expected[index]) / Math.abs(expected[index]);
  check(difference <= TOLERANCE, `number ${index} is ${x}, expected ${expected[index]}`);
  largest = Math.max(largest, difference);
});
const [first, last] = [found[0], found[steps() - 1]];
check(last < first, `expected a loss that falls, found ${first} and then ${last}`);

const equal = found.filter((x, index) => x === expected[index]).length;
console.log(
  `ten steps in Node: loss ${first} to ${last}, ${equal} of ${found.length} numbers with the same bits, ` +
    `the others within ${largest.toExponential(1)}; ${bytes.length} bytes, ${milliseconds.toFixed(1)} ms`,
);
