// What the tests in Chromium share: the browser, and for those of the dashboard a running Tidegate
// in a folder of its own. TIDEGATE names the binary, CHROMIUM the browser.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

export const root = resolve(fileURLToPath(new URL(".", import.meta.url)), "../..");
const require = createRequire(join(root, "web/package.json"));
const { chromium } = require("playwright-core");
export const { AxeBuilder } = require("@axe-core/playwright");

export const BINARY = resolve(process.env.TIDEGATE ?? join(root, "build/tidegate"));
const CHROMIUM = process.env.CHROMIUM ?? "/usr/bin/chromium";
const FLAGS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-background-networking",
  "--disable-component-update", "--disable-sync", "--no-first-run"];
const RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
const DESKTOP = { width: 1440, height: 1000 }, PHONE = { width: 360, height: 780 };

export const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
export const listening = (server) => new Promise((done) => server.listen(0, "127.0.0.1", () => done(server.address().port)));

export const launch = () => chromium.launch({ executablePath: CHROMIUM, args: FLAGS });

async function freePort() {
  const server = createServer();
  const port = await listening(server);
  await new Promise((done) => server.close(done));
  return port;
}

// Every way in which the dashboard has to be good to look at.
export const LOOKS = ["dark", "light"].flatMap((colorScheme) => [["desktop", DESKTOP], ["phone", PHONE]]
  .map(([name, viewport]) => [`${colorScheme}, ${name}`, { colorScheme, viewport }]));

export async function assertAccessible(page) {
  const { violations } = await new AxeBuilder({ page }).withTags(RULES).analyze();
  assert.deepEqual(violations.map((one) => `${one.id}: ${one.nodes.map((node) => node.target).join(" ")}`), []);
}

export async function assertNotWider(page) {
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "no sideways scrolling");
}

export class Stage {
  // patienceMs: for what `until` waits, and a page until `ready`, a selector, is there.
  constructor({ patienceMs, ready }) {
    Object.assign(this, { patienceMs, ready, folder: mkdtempSync(join(tmpdir(), "tidegate-web-")), ports: {}, log: "" });
  }

  write(name, lines) {
    writeFileSync(join(this.folder, name), `${lines.join("\n")}\n`);
  }

  // What every shop.yaml here begins with.
  async head() {
    this.ports.front = await freePort();
    this.ports.admin = await freePort();
    return ["listen:", `  - { address: "127.0.0.1:${this.ports.front}" }`,
      `admin: { address: "127.0.0.1:${this.ports.admin}" }`, "workers: 1"];
  }

  // Begins with shop.yaml; `paths` are asked for again and again.
  async begin(paths, everyMs) {
    this.tidegate = spawn(BINARY, ["run", "shop.yaml"], { cwd: this.folder, stdio: ["ignore", "pipe", "pipe"] });
    for (const stream of [this.tidegate.stdout, this.tidegate.stderr]) stream.on("data", (text) => { this.log += text; });
    await this.until("an instance serves", async () => (await this.api("/api/v1/status")).services[0].instances
      .some((instance) => instance.state === "serving"));
    this.load = setInterval(() => paths.forEach((path) => this.visit(path)), everyMs);
    this.browser = await launch();
  }

  async end() {
    clearInterval(this.load);
    await this.browser?.close();
    if (this.tidegate !== undefined && this.tidegate.exitCode === null) {
      this.tidegate.kill("SIGTERM");
      await Promise.race([new Promise((done) => this.tidegate.once("exit", done)),
        sleep(10000).then(() => this.tidegate.kill("SIGKILL"))]);
    }
    rmSync(this.folder, { recursive: true, force: true });
  }

  async visit(path) {
    await fetch(`http://127.0.0.1:${this.ports.front}${path}`).then((answer) => answer.text(), () => undefined);
  }

  async api(path) {
    return (await fetch(`http://127.0.0.1:${this.ports.admin}${path}`)).json();
  }

  async until(what, condition) {
    for (const end = Date.now() + this.patienceMs; Date.now() < end; await sleep(100)) {
      const value = await condition().catch(() => undefined);
      if (value) return value;
    }
    throw new Error(`not within ${this.patienceMs} ms: ${what}\n${this.log}`);
  }

  // The dashboard in a context of its own; page.problems has what went wrong in it.
  async open(options = {}, port = this.ports.admin) {
    const context = await this.browser.newContext({ viewport: DESKTOP, ...options });
    const page = await context.newPage();
    page.setDefaultTimeout(Math.max(this.patienceMs, 30000));
    page.problems = [];
    page.on("pageerror", (error) => page.problems.push(error.message));
    page.on("console", (message) => { if (message.type() === "error") page.problems.push(message.text()); });
    await page.goto(`http://127.0.0.1:${port}/`);
    await page.waitForSelector(this.ready, { timeout: this.patienceMs });
    return page;
  }
}
