// Which service calls which on the dashboard, in Chromium, before services that really call each
// other: what is drawn is what the API says.
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { LOOKS, Stage, assertAccessible, assertNotWider, root } from "./stage.mjs";

const stage = new Stage({ patienceMs: 120000, ready: "#calls-panel:not([hidden])" });
const api = stage.api.bind(stage), until = stage.until.bind(stage), open = stage.open.bind(stage);
const lib = join(root, "tests/system/lib");

before(async () => {
  const process = (name, command, ...more) => [`  ${name}:`, "    fleet: process", `    command: [node, ${command}]`,
    "    instances: { min: 1, max: 1 }", "    health: { path: /healthz, interval: 1s }", ...more];
  const head = await stage.head();
  const url = `http://127.0.0.1:${stage.ports.front}/back`;
  stage.write("shop.yaml", [...head, "services:",
    ...process("front", `${lib}/calling.js, --port, "$PORT", --to, "${url}", --times, "2"`, "    calls: { mail: 0.25 }"),
    ...process("back", `${lib}/app.js, --port, "$PORT"`), ...process("mail", `${lib}/app.js, --port, "$PORT"`),
    "routes:", "  - { path: /back, service: back }", "  - { path: /mail, service: mail }", "  - { path: /, service: front }",
    "demand: { step: 1s, seasons: [1m] }"]);
  await stage.begin(["/"], 50);
});

after(() => stage.end());

const rowsOf = (page) => page.locator("#calls tr").evaluateAll((rows) => rows.map((row) =>
  [...row.querySelectorAll("th, td")].map((cell) => cell.textContent)));
const callsOf = async () => (await api("/api/v1/status")).services.find((one) => one.name === "front").calls;

test("who calls whom is drawn as the API says, learned or configured", async () => {
  await until("it is learned", async () => (await callsOf()).some((one) => one.service === "back" && one.planned));
  const page = await open();
  const two = (value) => value.toFixed(2);
  // More is learned every few seconds: they must agree at some moment.
  const rows = await until("page and API say the same", async () => {
    const back = (await callsOf()).find((one) => one.service === "back"), drawn = await rowsOf(page);
    const seen = `${two(back.learned_low)} to ${two(back.learned_high)}, from ${back.requests.toLocaleString("en")} requests`;
    return drawn.some((row) => row[4] === seen) ? drawn : undefined;
  });
  assert.equal(rows.length, 2);
  assert.deepEqual(rows.find((row) => row[1] === "back").slice(0, 4), ["front", "back", "2.00", "learned from traces"]);
  assert.deepEqual(rows.find((row) => row[1] === "mail"), ["front", "mail", "0.25", "configured", "nothing seen"]);
  assert.deepEqual(page.problems, []);
  await page.close();
});

for (const [name, look] of LOOKS) {
  test(`the calls are accessible and not wider than the screen: ${name}`, async () => {
    const page = await open(look);
    await assertAccessible(page);
    await assertNotWider(page);
    await page.close();
  });
}
