// The ledger and the forecast's accuracy on the dashboard, in Chromium, over a fleet that is really
// scaled: what is drawn is what the API says.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createServer as listenTcp } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { after, before, test } from "node:test";

const root = resolve(fileURLToPath(new URL(".", import.meta.url)), "../..");
const require = createRequire(join(root, "web/package.json"));
const { chromium } = require("playwright-core");
const { AxeBuilder } = require("@axe-core/playwright");

const BINARY = resolve(process.env.TIDEGATE ?? join(root, "build/tidegate"));
const CHROMIUM = process.env.CHROMIUM ?? "/usr/bin/chromium";
const FLAGS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-background-networking",
  "--disable-component-update", "--disable-sync", "--no-first-run"];
const PATIENCE_MS = 90000; // a start-up and the next writing of the store must have passed
const RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];

let folder, tidegate, browser, load, log = "";
const ports = {};
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

async function freePort() {
  const server = listenTcp();
  const port = await new Promise((done) => server.listen(0, "127.0.0.1", () => done(server.address().port)));
  await new Promise((done) => server.close(done));
  return port;
}

const api = async (path) => (await fetch(`http://127.0.0.1:${ports.admin}${path}`)).json();

async function until(what, condition) {
  for (const end = Date.now() + PATIENCE_MS; Date.now() < end; await sleep(200)) {
    const value = await condition().catch(() => undefined);
    if (value) return value;
  }
  throw new Error(`not within ${PATIENCE_MS} ms: ${what}\n${log}`);
}

before(async () => {
  folder = mkdtempSync(join(tmpdir(), "tidegate-ledger-"));
  ports.front = await freePort();
  ports.admin = await freePort();
  writeFileSync(join(folder, "shop.yaml"), [
    "listen:", `  - { address: "127.0.0.1:${ports.front}" }`,
    `admin: { address: "127.0.0.1:${ports.admin}" }`, "workers: 1", "services:", "  storefront:", "    fleet: process",
    `    command: [node, ${join(root, "tests/system/lib/app.js")}, --port, "$PORT"]`,
    "    instances: { min: 1, max: 2, capacity: 50/s }", "    health: { path: /healthz, interval: 1s }",
    "    unit: { price: 0.36 EUR }", "routes:", "  - { path: /, service: storefront }",
    "demand: { step: 1s, seasons: [10s] }", ""].join("\n"));
  tidegate = spawn(BINARY, ["run", "shop.yaml"], { cwd: folder, stdio: ["ignore", "pipe", "pipe"] });
  for (const stream of [tidegate.stdout, tidegate.stderr]) stream.on("data", (text) => { log += text; });
  await until("an instance serves", async () => (await api("/api/v1/status")).services[0].instances
    .some((instance) => instance.state === "serving"));
  load = setInterval(() => {
    fetch(`http://127.0.0.1:${ports.front}/`).then((answer) => answer.text(), () => undefined);
  }, 100);
  browser = await chromium.launch({ executablePath: CHROMIUM, args: FLAGS });
});

after(async () => {
  clearInterval(load);
  await browser?.close();
  if (tidegate !== undefined && tidegate.exitCode === null) {
    tidegate.kill("SIGTERM");
    await Promise.race([new Promise((done) => tidegate.once("exit", done)), sleep(10000).then(() => tidegate.kill("SIGKILL"))]);
  }
  if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
});

async function open(options = {}) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 1000 }, ...options });
  const page = await context.newPage();
  page.problems = [];
  page.on("pageerror", (error) => page.problems.push(error.message));
  page.on("console", (message) => { if (message.type() === "error") page.problems.push(message.text()); });
  await page.goto(`http://127.0.0.1:${ports.admin}/`);
  await page.waitForSelector("#ledger-panel:not([hidden])", { timeout: PATIENCE_MS });
  return page;
}

const rowsOf = (page) => page.locator("#ledger tr").evaluateAll((rows) => rows.map((row) =>
  [row.querySelector("th").textContent, ...[...row.querySelectorAll("td")].map((cell) => cell.textContent)]));

test("each policy's cost and what it dropped are drawn as the API says, for a day and a week", async () => {
  await until("something is judged", async () => (await api("/api/v1/ledger")).seconds > 0);
  const page = await open();
  // The store gets a new word every few seconds: they must agree at some moment.
  const rows = await until("page and API say the same", async () => {
    const said = await api("/api/v1/ledger?service=storefront"), drawn = await rowsOf(page);
    const oracle = said.policies.find((one) => one.policy === "oracle");
    return drawn.at(-1)?.[2] === oracle.instance_hours.toFixed(2) && drawn.at(-1)[1].endsWith(" EUR") &&
      await page.locator("#ledger-verdict").textContent() === said.prediction.text ? drawn : undefined;
  });
  assert.deepEqual(rows.map(([name]) => name), ["Tidegate, as it was", "Tidegate without forecast", "A stock Kubernetes HPA",
    "As many as the peak needs, always", "A perfect oracle"]);
  assert.equal(rows[4][4], "0 requests");
  assert.match(await page.locator("#ledger-verdict").textContent(), /Too early to say whether prediction pays/);
  assert.match(await page.locator("#ledger-since").textContent(), /judged, [\d,]+ requests?; none really turned away/);
  const asked = page.waitForRequest((request) => {
    const from = new URL(request.url()).searchParams.get("from");
    return request.url().includes("/api/v1/ledger?") && from !== null && Date.now() / 1000 - Number(from) > 6.9 * 86400;
  });
  await page.locator('#ledger-ranges button[data-hours="168"]').focus();
  await page.keyboard.press("Enter");
  await asked;
  assert.equal(await page.locator('#ledger-ranges button[aria-pressed="true"]').textContent(), "7 days");
  await page.waitForTimeout(500);
  assert.equal((await rowsOf(page)).length, 5);
  assert.deepEqual(page.problems, []);
  await page.close();
});

test("the accuracy of the past week is beside the forecast", async () => {
  await until("steps that were forecast have come", async () =>
    (await api("/api/v1/forecast?service=storefront")).accuracy.steps > 0);
  const page = await open();
  await page.waitForFunction(() => /^Forecast of the past week, .* before: off by [\d.]+ % of demand, .*within the band \(80 % is right\), .* below the 95 % quantile; \d+ steps?\.$/
    .test(document.querySelector("#accuracy").textContent), null, { timeout: PATIENCE_MS });
  await page.close();
});

for (const colorScheme of ["dark", "light"]) {
  for (const [name, viewport] of [["desktop", { width: 1440, height: 1000 }], ["phone", { width: 360, height: 780 }]]) {
    test(`the ledger is accessible and not wider than the screen: ${colorScheme}, ${name}`, async () => {
      const page = await open({ colorScheme, viewport });
      const { violations } = await new AxeBuilder({ page }).withTags(RULES).analyze();
      assert.deepEqual(violations.map((one) => `${one.id}: ${one.nodes.map((node) => node.target).join(" ")}`), []);
      assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "no sideways scrolling");
      await page.close();
    });
  }
}
