// The ledger and the forecast's accuracy on the dashboard, in Chromium, over a fleet that is really
// scaled: what is drawn is what the API says.
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { LOOKS, Stage, assertAccessible, assertNotWider, root } from "./stage.mjs";

const PATIENCE_MS = 90000; // a start-up and the next writing of the store must have passed
const stage = new Stage({ patienceMs: PATIENCE_MS, ready: "#ledger-panel:not([hidden])" });
const api = stage.api.bind(stage), until = stage.until.bind(stage), open = stage.open.bind(stage);

before(async () => {
  stage.write("shop.yaml", [...await stage.head(), "services:", "  storefront:", "    fleet: process",
    `    command: [node, ${join(root, "tests/system/lib/app.js")}, --port, "$PORT"]`,
    "    instances: { min: 1, max: 2, capacity: 50/s }", "    health: { path: /healthz, interval: 1s }",
    "    unit: { price: 0.36 EUR }", "routes:", "  - { path: /, service: storefront }",
    "demand: { step: 1s, seasons: [10s] }"]);
  await stage.begin(["/"], 100);
});

after(() => stage.end());

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

for (const [name, look] of LOOKS) {
  test(`the ledger is accessible and not wider than the screen: ${name}`, async () => {
    const page = await open(look);
    await assertAccessible(page);
    await assertNotWider(page);
    await page.close();
  });
}
