// The dashboard in Chromium, against a running Tidegate (TIDEGATE names the binary). Run it with
//   node --test tests/web/*.test.mjs        (after npm ci in web/)
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { createServer, request as ask } from "node:http";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { AxeBuilder, BINARY, LOOKS, Stage, assertAccessible, assertNotWider, listening, root, sleep } from "./stage.mjs";

const PATIENCE_MS = 60000;
const stage = new Stage({ patienceMs: PATIENCE_MS, ready: 'main[data-phase="ready"]' });
const { folder, ports } = stage;
const api = stage.api.bind(stage), until = stage.until.bind(stage), open = stage.open.bind(stage);
const services = [];
let failing = false;

// On a port of its own until the end, however a test ends: what listens keeps the process alive.
function serve(answer) {
  services.push(createServer(answer));
  return listening(services.at(-1));
}

before(async () => {
  ports.backend = await serve((request, answer) => { setTimeout(() => answer.end("fine"), 5); });
  const found = await Promise.all([false, true].map((mayFail) => serve((request, answer) => {
    answer.statusCode = mayFail && failing ? 500 : 200;
    setTimeout(() => answer.end("found"), 2);
  })));
  const campaign = (minutes) => new Date(Date.now() + minutes * 60000).toISOString().replace(/\.\d+/, "");
  stage.write("campaigns.csv", ["start,end,name,kind,multiplier", `${campaign(30)},${campaign(60)},Spring sale,campaign,3`]);
  stage.write("shop.yaml", [...await stage.head(), "services:",
    "  storefront:", "    fleet: static", `    endpoints: ["127.0.0.1:${ports.backend}"]`,
    "    objective: { latency: 250ms, share: 99% }",
    "  search:", "    fleet: static", `    endpoints: [${found.map((port) => `"127.0.0.1:${port}"`).join(", ")}]`,
    "rate_limits: { login: { rate: 1/h, burst: 2 } }",
    "routes:", "  - { path: /search, service: search }", "  - { path: /checkout, service: storefront, stage: checkout }",
    "  - { path: /login, service: storefront, rate_limit: login }",
    "  - { path: /, service: storefront, stage: browse }",
    "demand: { campaigns: campaigns.csv }"]);
  await stage.begin(["/", "/", "/checkout"], 50);
});

after(async () => {
  await stage.end();
  for (const server of services) {
    server.closeAllConnections();
    server.close();
  }
});

test("draws what the API says", async () => {
  const page = await open();
  await page.waitForFunction(() => /[1-9]/.test(document.querySelector(".tile .value").textContent), null, { timeout: PATIENCE_MS });
  // Both change once a second: they must agree at some moment.
  const status = await until("page and API say the same", async () => {
    const said = await api("/api/v1/status");
    return await page.locator("#verdict-text").textContent() === said.verdict.text ? said : undefined;
  });
  assert.equal(await page.locator("#link").getAttribute("data-link"), "live");
  const ids = status.services[0].instances.map((instance) => instance.id);
  assert.deepEqual((await page.locator("#instances h3").allTextContents()).sort(), ids.sort());
  assert.ok(await page.locator('#instances [data-state="serving"] .state', { hasText: "serving" }).count() > 0);
  assert.match(await page.locator("#demand-chart").getAttribute("aria-label"), /requests per second offered/);
  assert.match(await page.locator("#coming").textContent(), /Spring sale/);
  assert.deepEqual(page.problems, [], "no error, nothing refused by the content security policy");
  await page.close();
});

test("shows what rate limits refuse", async () => {
  for (let i = 0; i < 5; i++) await stage.visit("/login");
  const page = await open();
  await page.waitForFunction(() => document.querySelector("#rates tr")?.textContent.startsWith("loginclient") &&
    document.querySelector("#rates td:last-child").textContent === "3", null, { timeout: PATIENCE_MS });
  assert.match(await page.locator("#rates-table").textContent(), /of 65,536 places/);
  assert.deepEqual(page.problems, []);
  await page.close();
});

// Counts pixels that are not the panel's: the lines are really there.
const painted = (page, id) => page.locator(`#${id} canvas`).evaluate((canvas) => {
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  let count = 0;
  for (let i = 3; i < data.length; i += 4) count += data[i] > 0 ? 1 : 0;
  return count;
});

test("the charts move", async () => {
  const page = await open();
  for (const id of ["demand-chart", "latency-chart"]) assert.ok(await painted(page, id) > 2000, id);
  const copy = () => page.locator("#demand-chart canvas").evaluate((canvas) => canvas.toDataURL());
  const first = await copy();
  await until("they move", async () => await copy() !== first);
  await page.close();
});

test("the stage of the latency chart is chosen by keyboard", async () => {
  const page = await open();
  const checkout = page.locator("#stages button", { hasText: "checkout" });
  await checkout.focus();
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.activeElement?.getAttribute("aria-pressed") === "true");
  assert.match(await page.locator("#latency-chart").getAttribute("aria-label"), /checkout/);
  await page.waitForTimeout(1500); // a tick later the focus is where it was
  assert.match(await page.evaluate(() => document.activeElement.textContent), /checkout/);
  await page.close();
});

test("decisions carry reasons, and are filtered", async () => {
  stage.tidegate.kill("SIGHUP"); // a static fleet is never scaled: the reload is what is decided
  const { decisions } = await until("a decision", async () => {
    const found = await api("/api/v1/decisions");
    return found.decisions.length > 0 ? found : undefined;
  });
  const page = await open();
  await page.waitForSelector("#log .decision");
  assert.equal(await page.locator("#log .reason").first().textContent(), decisions[0].reason);
  await page.fill("#filter-text", "no decision has these words");
  assert.equal(await page.locator("#log .decision").count(), 0);
  assert.equal(await page.locator("#log-empty").textContent(), "No decision fits the filter.");
  await page.fill("#filter-text", "");
  assert.ok(await page.locator("#log .decision").count() > 0);
  await page.close();
});

test("what the workers decide by themselves is among the decisions, with its evidence", async () => {
  const search = setInterval(() => {
    for (let i = 0; i < 5; i++) stage.visit("/search");
  }, 20);
  await sleep(500);
  failing = true;
  const eject = await until("an endpoint is left alone for its failures", async () => {
    const { decisions } = await api("/api/v1/decisions?kind=balance");
    // A pause of this process, which is the service too, may look like a hang before.
    return decisions.find((one) => one.action === "eject" && ["failures", "errors"].includes(one.evidence.cause));
  });
  failing = false;
  clearInterval(search);
  const page = await open();
  await page.selectOption("#filter-kind", "balance");
  await page.waitForSelector('#log .decision .kind[data-kind="balance"]');
  assert.ok((await page.locator("#log .reason").allTextContents()).includes(eject.reason));
  await page.close();
});

for (const [name, look] of LOOKS) {
  test(`accessible and not wider than the screen: ${name}`, async () => {
    const page = await open(look);
    await page.waitForTimeout(1200);
    await assertAccessible(page);
    await assertNotWider(page);
    await page.context().close();
  });
}

test("who may only read is told how maintenance is started", async () => {
  const page = await open();
  await page.locator("#instances .maintain").first().click();
  await page.waitForSelector("dialog[open]");
  await page.selectOption("#maintenance-for", "30m");
  await page.click("#maintenance-yes");
  await page.waitForSelector("#maintenance-answer code");
  assert.equal(await page.locator("#maintenance-answer code").textContent(),
    `tidegate maintenance start storefront/127.0.0.1:${ports.backend} --for 30m`);
  await assertAccessible(page);
  await page.keyboard.press("Escape");
  assert.equal(await page.locator("dialog[open]").count(), 0);
  await page.close();
});

// As `ssh -L PORT:var/tidegate.sock` does: a browser with the rights of the control socket. Its port.
function forward() {
  return serve((request, answer) => {
    const there = ask({ socketPath: join(folder, "var/tidegate.sock"), path: request.url, method: request.method, headers: request.headers },
      (back) => { answer.writeHead(back.statusCode, back.headers); back.pipe(answer); });
    there.on("error", () => answer.destroy());
    answer.on("close", () => there.destroy());
    request.pipe(there);
  });
}

test("maintenance is begun and ended by keyboard, and asks before", async () => {
  const port = await forward();
  const page = await open({}, port);
  const state = () => page.locator("#instances .state").first().textContent();
  const button = page.locator("#instances .maintain").first();
  await button.focus();
  await page.keyboard.press("Enter");
  await page.waitForSelector("dialog[open]");
  await page.keyboard.press("Escape"); // asked, and not wanted
  assert.match(await state(), /serving/);
  await page.keyboard.press("Enter"); // the focus is back on the button
  await page.waitForSelector("dialog[open]");
  await page.fill("#maintenance-reason", "a <b>new</b> disk");
  await page.keyboard.press("Enter");
  await page.waitForSelector("#maintenance-force-row:not([hidden])"); // it is the only one
  assert.match(await page.locator("#maintenance-answer").textContent(), /last that serves storefront/);
  assert.match(await state(), /serving/);
  await page.check("#maintenance-force");
  await page.locator("#maintenance-yes").focus();
  await page.keyboard.press("Enter");
  await page.waitForSelector("dialog", { state: "hidden" });
  await page.waitForFunction(() => /in maintenance/.test(document.querySelector("#instances .state").textContent), null, { timeout: PATIENCE_MS });
  assert.match(await page.locator("#instances .note").first().textContent(), /maintenance: a <b>new<\/b> disk/);
  assert.match(await page.locator("#instances-summary").textContent(), /1 of them in maintenance/);
  await assertAccessible(page);
  await button.focus();
  await page.keyboard.press("Enter");
  await page.waitForSelector("dialog[open]");
  assert.match(await page.locator("#maintenance-title").textContent(), /Bring .* back/);
  await assertAccessible(page);
  await page.locator("#maintenance-yes").focus();
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => /serving/.test(document.querySelector("#instances .state").textContent), null, { timeout: PATIENCE_MS });
  await page.close();
});

test("campaigns are announced, moved and removed by keyboard", async () => {
  const port = await forward();
  const page = await open({}, port);
  const listed = page.locator("#campaigns li");
  const row = listed.filter({ hasText: "Autumn <b>mail</b>" });
  await page.waitForSelector("#campaigns li");
  assert.match(await listed.first().textContent(), /Spring sale.*peak ×3\.0, ×\d.* to ×\d/s);
  await page.locator("#campaign-add").focus();
  await page.keyboard.press("Enter");
  await page.waitForSelector("#campaign[open]");
  await assertAccessible(page);
  await page.fill("#campaign-name", "Autumn <b>mail</b>");
  await page.fill("#campaign-kind", "mail");
  await page.fill("#campaign-multiplier", "4");
  await page.keyboard.press("Enter");
  await page.waitForSelector("#campaign", { state: "hidden" });
  await row.waitFor({ timeout: PATIENCE_MS });
  const before = (await api("/api/v1/campaigns")).campaigns.find((one) => one.name === "Autumn <b>mail</b>");
  assert.equal(before.multiplier, 4);
  await row.locator("button").focus();
  await page.keyboard.press("Enter");
  await page.waitForSelector("#campaign[open]");
  const later = async (id) => page.locator(id).evaluate((field) => {
    const moved = new Date(new Date(field.value).getTime() + 7200000);
    field.value = new Date(moved.getTime() - moved.getTimezoneOffset() * 60000).toISOString().slice(0, 16);
  });
  await later("#campaign-start");
  await later("#campaign-end");
  await page.locator("#campaign-yes").focus();
  await page.keyboard.press("Enter");
  await page.waitForSelector("#campaign", { state: "hidden" });
  await until("it is moved, not doubled", async () => {
    const same = (await api("/api/v1/campaigns")).campaigns.filter((one) => one.name === before.name);
    return same.length === 1 && same[0].id === before.id && Date.parse(same[0].start) === Date.parse(before.start) + 7200000;
  });
  await assertAccessible(page);
  await row.locator("button").focus();
  await page.keyboard.press("Enter");
  await page.locator("#campaign-remove").focus();
  await page.keyboard.press("Enter");
  await page.waitForSelector("#campaign", { state: "hidden" });
  await row.waitFor({ state: "detached", timeout: PATIENCE_MS });
  assert.deepEqual(page.problems, []);
  await page.close();
});

test("who may only read is told how a campaign is announced", async () => {
  const page = await open();
  await page.click("#campaign-add");
  await page.fill("#campaign-name", "it's on");
  await page.click("#campaign-yes");
  await page.waitForSelector("#campaign-answer code");
  assert.match(await page.locator("#campaign-answer code").textContent(), /^tidegate campaign add 'it'\\''s on' --start '.*' --end '.*'$/);
  await page.close();
});

test("says when the controller is silent, and comes back by itself", async () => {
  const page = await open();
  const { controller } = await api("/api/v1/status");
  process.kill(controller, "SIGSTOP");
  try {
    await page.waitForSelector('#link[data-link="lost"]', { timeout: PATIENCE_MS });
    assert.match(await page.locator("#verdict-text").textContent(), /silent/);
    assert.match(await page.locator("#link-text").textContent(), /no news for/);
  } finally {
    process.kill(controller, "SIGCONT");
  }
  await page.waitForSelector('#link[data-link="live"]', { timeout: PATIENCE_MS });
  await page.waitForFunction(() => document.querySelector("#verdict").dataset.state !== "lost", null, { timeout: PATIENCE_MS });
  process.kill((await api("/api/v1/status")).controller, "SIGKILL");
  await page.waitForTimeout(500);
  await until("the new controller is heard", async () => (await api("/api/v1/status")).controller !== controller);
  await page.waitForSelector('#link[data-link="live"]', { timeout: PATIENCE_MS });
  await page.close();
});

const makeToken = (role) => execFileSync(BINARY, ["token", "create", "--role", role], { cwd: folder, stdio: ["ignore", "pipe", "ignore"] })
  .toString().trim();

async function signIn(page, secret) {
  await page.click("#sign-in");
  await page.fill("#token", secret);
  await page.click("#login-go");
}

test("without a token it shows and changes nothing; with one it does what the role allows", async () => {
  const page = await open();
  await page.waitForFunction(() => document.querySelector("#role").textContent !== "…");
  assert.equal(await page.locator("#role").textContent(), "viewer");
  assert.equal(await page.locator("#reload").isVisible(), false);
  assert.equal(await page.locator(".drain").first().isVisible(), false);

  await signIn(page, "tg_00000000_wrong");
  await page.waitForFunction(() => /not known/.test(document.querySelector("#login-problem").textContent));
  assert.equal(await page.evaluate(() => sessionStorage.length), 0);
  const { violations } = await new AxeBuilder({ page }).include("#login").analyze();
  assert.deepEqual(violations.map((one) => one.id), []);
  await page.click("#login-cancel");

  await signIn(page, makeToken("viewer"));
  await page.waitForSelector("#sign-out", { state: "visible" });
  assert.equal(await page.locator("#role").textContent(), "viewer");
  assert.equal(await page.locator("#reload").isVisible(), false);
  await page.click("#sign-out");
  await page.waitForSelector("#sign-in", { state: "visible" });

  await signIn(page, makeToken("operator"));
  await page.waitForSelector("#reload", { state: "visible" });
  assert.equal(await page.locator("#role").textContent(), "operator");
  await page.waitForSelector('#link[data-link="live"]', { timeout: PATIENCE_MS });
  await page.waitForSelector(".drain", { state: "visible", timeout: PATIENCE_MS });
  await page.click("#reload");
  await page.waitForFunction(() => /was read again/.test(document.querySelector("#said").textContent));
  await until("it is written down", async () => (await api("/api/v1/decisions?kind=admin")).decisions
    .some((one) => one.action === "reload" && /^token .* \(operator\)/.test(one.reason)));

  await page.reload(); // the tab keeps it
  await page.waitForSelector("#reload", { state: "visible", timeout: PATIENCE_MS });
  assert.deepEqual(await page.context().cookies(), []);
  const { tokens } = JSON.parse(execFileSync(BINARY, ["token", "list", "--json"], { cwd: folder }));
  const mine = tokens.find((one) => one.role === "operator").id;
  execFileSync(BINARY, ["token", "revoke", mine], { cwd: folder });
  await page.waitForSelector("#sign-in", { state: "visible", timeout: PATIENCE_MS });
  assert.equal(await page.locator("#role").textContent(), "viewer");
  assert.equal(await page.evaluate(() => sessionStorage.length), 0);
  await page.context().close();
});

test("what happened is text, never markup", async () => {
  const page = await open();
  await page.fill("#filter-text", "<img src=x onerror=alert(1)>");
  assert.equal(await page.locator("img").count(), 0);
  assert.doesNotMatch(readFileSync(join(root, "web/src/dom.ts"), "utf8"), /innerHTML|insertAdjacentHTML/);
  await page.close();
});
