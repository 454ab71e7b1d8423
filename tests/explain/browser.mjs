// The page of `explain` in a real browser: at three widths, light and dark, by keyboard only, and with script off.
//
//   npm install puppeteer-core axe-core     (anywhere above this file, or beside it)
//   node tests/explain/browser.mjs CHROMIUM PAGE FOLDER
//
// FOLDER gets a screenshot of each case. Fails at a console error, a request to the network, a finding of axe that is
// serious or critical, a page that scrolls sideways, or a cell whose sum is not shown.
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

const require = createRequire(join(process.cwd(), "x.js"));
const puppeteer = require("puppeteer-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const [, , chromium, page_, folder] = process.argv;
const url = pathToFileURL(resolve(page_)).href;
const WIDTHS = [360, 800, 1440];
const problems = [];
mkdirSync(folder, { recursive: true });

const browser = await puppeteer.launch({ executablePath: chromium, args: ["--no-sandbox"] });

async function open({ width, scheme, script }) {
  const page = await browser.newPage();
  await page.setViewport({ width, height: 900 });
  await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
  await page.setJavaScriptEnabled(script);
  const name = `${width}-${scheme}${script ? "" : "-no-script"}`;
  page.on("console", (message) => {
    if (["error", "warn"].includes(message.type())) problems.push(`${name}: console: ${message.text()}`);
  });
  page.on("pageerror", (error) => problems.push(`${name}: ${error.message}`));
  page.on("request", (request) => {
    if (request.url() !== url) problems.push(`${name}: asks for ${request.url()}`);
  });
  const begin = performance.now();
  await page.goto(url, { waitUntil: "load" });
  console.log(`${name}: opened in ${Math.round(performance.now() - begin)} ms`);
  return { page, name };
}

// No part of the page may make it wider than the window.
async function sideways(page, name) {
  const pixels = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  if (pixels > 0) problems.push(`${name}: ${pixels} pixels wider than the window`);
}

// Tab until an element matches; at most so many times.
async function tabTo(page, selector, most = 60) {
  for (let presses = 0; presses < most; presses++) {
    await page.keyboard.press("Tab");
    if (await page.evaluate((s) => document.activeElement.matches(s), selector)) return true;
  }
  return false;
}

async function byKeyboard(page, name) {
  const panel = () => page.$eval("#panel", (p) => (p.hidden ? "" : p.innerText));
  if (!(await tabTo(page, "main td"))) return problems.push(`${name}: no cell can be reached with Tab`);
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("ArrowDown");
  if (!(await panel()).includes("=")) problems.push(`${name}: the panel shows no sum`);
  await page.keyboard.press("Escape");
  if ((await panel()) !== "") problems.push(`${name}: Escape does not close the panel`);
  await page.evaluate(() => window.scrollTo(0, 0));
  await page.focus("input[name=grain]");
  await page.keyboard.press("ArrowRight");
  const fused = await page.$$eval("section.grain:not([hidden])", (all) => all.map((s) => s.dataset.grain));
  if (fused.includes("atomic")) problems.push(`${name}: the grain does not change by keyboard`);
  await accessible(page, `${name}, fused`);
  await sideways(page, `${name}, fused`);
  await page.focus("#operation");
  for (let i = 0; i < 6; i++) await page.keyboard.press("ArrowRight");
  const title = await page.$eval("#operation-title", (o) => o.textContent);
  if (!title) problems.push(`${name}: no operation's name beside the slider`);
  const step = await page.$("#step");
  if (step) {
    await page.focus("#step");
    await page.keyboard.press("ArrowRight");
    const shown = await page.$$eval("section.step:not([hidden])", (all) => all.map((s) => s.dataset.step));
    if (shown.length !== 1) problems.push(`${name}: ${shown.length} steps are shown`);
  }
  await page.focus("input[name=grain][value=fused]");
  await page.keyboard.press("ArrowLeft");
}

// Every cell's formula, computed in the browser, gives the cell.
async function sums(page, name) {
  const wrong = await page.evaluate(() => {
    const wrong = [];
    let count = 0;
    const cells = "section.step:not([hidden]) section.grain:not([hidden]) figure:not([data-blank]) td";
    for (const td of document.querySelectorAll(cells)) {
      td.focus();
      const line = document.querySelector("#panel .sum").textContent;
      count += 1;
      if (!line.includes("=") || /undefined|NaN|Infinity/.test(line)) wrong.push(line);
    }
    return { wrong: wrong.slice(0, 5), count };
  });
  for (const line of wrong.wrong) problems.push(`${name}: sum: ${line}`);
  console.log(`${name}: ${wrong.count} cells show their sums`);
}

// Every candidate of a quiz is typed in, and its mistake must be among those that are named.
async function quiz(page, name) {
  const found = await page.evaluate(() => {
    const quiz = JSON.parse(document.getElementById("quiz").textContent);
    if (!quiz) return { wrong: [], count: 0 };
    const wrong = [];
    let count = 0;
    for (const figure of document.querySelectorAll("section.grain:not([hidden]) [data-blank]")) {
      const inputs = [...figure.querySelectorAll("input")], table = figure.querySelector("table");
      const shape = [table.rows.length, table.rows[0].cells.length].join();
      for (const { mistake, shape: its, values } of quiz.blanks[figure.dataset.blank]) {
        if (its.join() !== shape) continue;
        inputs.forEach((input, at) => { input.value = values[at].toPrecision(4); });
        figure.querySelector(".check").click();
        const verdict = figure.querySelector(".verdict").textContent;
        if (!verdict.includes(mistake ?? "Right")) wrong.push(`${mistake}: ${verdict}`);
        count += 1;
      }
    }
    return { wrong, count };
  });
  for (const line of found.wrong) problems.push(`${name}: quiz: ${line}`);
  if (found.count > 0) console.log(`${name}: ${found.count} answers of the quiz were marked`);
}

async function accessible(page, name) {
  await page.evaluate(axe);
  const found = await page.evaluate(async () => (await window.axe.run()).violations);
  for (const { id, impact, nodes } of found) {
    const text = `${name}: axe: ${impact}: ${id}, ${nodes.length} times, as ${nodes[0].html.slice(0, 120)}`;
    if (["serious", "critical"].includes(impact)) problems.push(text);
    else console.log(text);
  }
}

for (const width of WIDTHS) {
  for (const scheme of ["light", "dark"]) {
    for (const script of [true, false]) {
      const { page, name } = await open({ width, scheme, script });
      await sideways(page, name);
      await page.screenshot({ path: join(folder, `${name}-top.png`) });
      if (script) {
        await accessible(page, name);
        await byKeyboard(page, name);
        if (width === 1440 && scheme === "light") await quiz(page, name);
        if (width === 1440 && scheme === "light") await sums(page, name);
        const cell = await page.$$("section.step:not([hidden]) section.grain:not([hidden]) td");
        await cell[Math.floor(cell.length / 2)].focus();
        await accessible(page, name);
      }
      await page.screenshot({ path: join(folder, `${name}.png`) });
      await page.close();
    }
  }
}
const { page } = await open({ width: 800, scheme: "light", script: true });
await page.pdf({ path: join(folder, "print.pdf"), format: "A4" });
await browser.close();
for (const problem of problems) console.error(problem);
console.log(`${problems.length} problems`);
process.exit(problems.length === 0 ? 0 : 1);
