// Runs the ten steps in Node. They must give the same bits as the test `features`, which wrote its numbers to a file.
//
//   cargo test --test features
//   cargo build --manifest-path tests/wasm/Cargo.toml --release --target wasm32-unknown-unknown
//   node tests/wasm/run.mjs tests/wasm/target/wasm32-unknown-unknown/release/ten_steps.wasm target/tmp/ten-steps.txt

import { readFileSync } from "node:fs";


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
found.forEach((x, index) => {
  check(Number.isFinite(x), `number ${index} is ${x}`);
  check(x === expected[index], `number ${index} is ${x}, expected ${expected[index]}`);
});
const [first, last] = [found[0], found[steps() - 1]];
check(last < first, `expected a loss that falls, found ${first} and then ${last}`);

console.log(
  `ten steps in Node: loss ${first} to ${last}, ${found.length} numbers with the same bits; ` +
    `${bytes.length} bytes, ${milliseconds.toFixed(1)} ms`,
);
