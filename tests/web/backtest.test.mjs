// The report of `tidegate backtest` in Chromium: every chart shows something, it stands alone, in the dark and on
// paper, and says in tables what the charts say. TIDEGATE names the binary.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { after, before, test } from "node:test";

import { AxeBuilder, BINARY, launch } from "./stage.mjs";

const POLICIES = ["predictive", "reactive", "hpa", "fixed:6", "oracle"];
const START_S = 1767225600, DAYS = 6;

let folder, browser;
const pages = [];

/** Days with a wave, and a crowd on each of the last three at noon. */
function writeDemand(path) {
  const rows = ["time,requests"];
  for (let minute = 0; minute < DAYS * 1440; minute++) {
    const of_day = minute % 1440, crowd = minute >= 3 * 1440 && of_day >= 720 && of_day < 760 ? 6 : 1;
    const rps = (30 - 20 * Math.cos(2 * Math.PI * of_day / 1440)) * crowd;
    rows.push(`${START_S + minute * 60},${Math.round(60 * rps)}`);
  }
  writeFileSync(path, rows.join("\n") + "\n");
}

function backtest(name, options) {
  const report = join(folder, name);
  execFileSync(BINARY, ["backtest", join(folder, "demand.csv"), "--unit-capacity", "10/s", "--startup", "300s",
    ...options, "--report", report], { encoding: "utf8" });
  return report;
}

const all = () => POLICIES.flatMap((policy) => ["--policy", policy]);

/** The report in a page of its own, with whatever it asked the network for. */
async function open(report, look = {}) {
  const context = await browser.newContext({ viewport: { width: 1100, height: 900 }, ...look });
  const page = await context.newPage();
  page.asked = [];
  page.on("request", (request) => page.asked.push(request.url()));
  await page.goto(pathToFileURL(report).href);
  pages.push(context);
  return page;
}

/** Of each chart: its name, and how far each line and band reaches. */
const charts = (page) => page.$$eval("figure svg", (found) => found.map((svg) => ({
  title: svg.querySelector("title").textContent,
  texts: [...svg.querySelectorAll("text")].map((text) => text.textContent),
  marks: svg.querySelectorAll(".mark").length,
  shapes: [...svg.querySelectorAll(".line, .band")].map((path) => {
    const { width, height } = path.getBBox();
    return { kind: path.getAttribute("class"), width, height, stroke: getComputedStyle(path).stroke };
  }),
})));

before(async () => {
  folder = mkdtempSync(join(tmpdir(), "tidegate-report-"));
  writeDemand(join(folder, "demand.csv"));
  browser = await launch();
});

after(async () => {
  for (const context of pages) await context.close();
  await browser?.close();
  rmSync(folder, { recursive: true, force: true });
});

test("every chart shows something", async () => {
  const page = await open(backtest("all.html", [...all(), "--margin", "0.002"]));
  const found = await charts(page);
  assert.equal(found.length, 3 + POLICIES.length);
  for (const chart of found) {
    assert.ok(chart.shapes.length > 0, chart.title);
    for (const { kind, width } of chart.shapes) {
      assert.ok(width > 700, `${chart.title}: a ${kind} of ${width} pixels`);
    }
    assert.ok(chart.shapes.some((shape) => shape.height > 40), `${chart.title} is flat`);
  }
  const [hardest, dropped, demand, ...capacities] = found;
  assert.deepEqual(hardest.shapes.map((shape) => shape.kind), ["band", ...POLICIES.map(() => "line"), "line"]);
  assert.deepEqual(dropped.shapes.map((shape) => shape.kind), POLICIES.map(() => "line"));
  assert.deepEqual(demand.shapes.map((shape) => shape.kind), ["band", "line"]);
  assert.ok(demand.shapes[0].height > 10, "the band has no height");
  capacities.forEach((chart, i) => {
    assert.ok(chart.title.startsWith(`${POLICIES[i]}: `), chart.title);
    assert.equal(chart.marks > 0, POLICIES[i] !== "oracle", `${chart.title}: ${chart.marks} marks`);
  });
  const scales = capacities.map((chart) => chart.texts.filter((text) => /^\d/.test(text)).join());
  assert.equal(new Set(scales).size, 1, "charts that are to be compared have one scale");
});

test("the tables say what the charts say", async () => {
  const page = await open(backtest("tables.html", [...all(), "--margin", "0.002"]));
  const amount = (text) => Number(text.replaceAll(",", "").replace(" %", ""));
  const tables = await page.$$eval("table", (found) => found.map((table) => ({
    head: [...table.querySelectorAll("thead th")].map((cell) => cell.textContent),
    rows: [...table.querySelectorAll("tbody tr")].map((row) => [...row.cells].map((cell) => cell.textContent)),
  })));
  assert.equal(tables.length, 2);
  const [policies, periods] = tables;
  assert.deepEqual(policies.rows.map((row) => row[0]), POLICIES);
  const column = policies.head.indexOf("requests dropped");
  for (const row of [...policies.rows, ...periods.rows]) {
    for (const cell of row.slice(1).filter((text) => text !== "")) {
      assert.match(cell, /^(–|[\d,]+(\.\d+)?( %)?)$/, "a number");
    }
  }
  POLICIES.forEach((policy, i) => {
    const said = amount(policies.rows[i][column]);
    const at = periods.head.indexOf(policy) + 1;
    const summed = periods.rows.reduce((sum, row) => sum + amount(row[at]), 0);
    assert.ok(Math.abs(summed - said) <= periods.rows.length, `${policy}: ${summed} of ${said} in the periods`);
  });
  assert.ok(amount(policies.rows[1][column]) > 1000, "a reactive policy drops some of a crowd");
});

test("it says whether prediction pays, or why it does not say", async () => {
  const verdict = async (...options) => (await open(backtest("verdict.html", options))).textContent(".verdict");
  assert.match(await verdict("--margin", "0.002"), /^Prediction (pays|does not pay) here: Predictive leaves [\d,]+ of/);
  assert.match(await verdict("--policy", "hpa"), /^Whether prediction pays was not asked/);
});

test("it needs no network and no script", async () => {
  const report = backtest("alone.html", []);
  const page = await open(report);
  assert.deepEqual(page.asked, [pathToFileURL(report).href]);
  assert.equal(await page.locator("script, link, img, iframe").count(), 0);
});

for (const colorScheme of ["light", "dark"]) {
  test(`nothing stands in anybody's way, ${colorScheme}`, async () => {
    const page = await open(backtest("access.html", [...all(), "--margin", "0.002"]), { colorScheme });
    const { violations } = await new AxeBuilder({ page }).analyze();
    assert.deepEqual(violations.map((each) => `${each.id}: ${each.nodes.map((node) => node.target)}`), []);
    const [ink, paper] = await page.$eval("body", (body) => {
      const style = getComputedStyle(body);
      return [style.color, style.backgroundColor].map((colour) => colour.match(/\d+/g).slice(0, 3).reduce((a, b) => a + +b, 0));
    });
    assert.ok(colorScheme === "dark" ? ink > paper + 300 : ink < paper - 300, `${ink} on ${paper}`);
    const demand = (await charts(page))[2].shapes[1];
    assert.equal(demand.stroke, await page.$eval("body", (body) => getComputedStyle(body).color));
  });
}

test("on paper it is dark on white, whatever the screen is", async () => {
  const page = await open(backtest("paper.html", all()), { colorScheme: "dark" });
  await page.emulateMedia({ media: "print", colorScheme: "dark" });
  const style = await page.$eval("body", (body) => ({ ...getComputedStyle(body) }.backgroundColor ?? getComputedStyle(body).backgroundColor));
  assert.equal(style, "rgb(255, 255, 255)");
  const pdf = await page.pdf({ format: "A4" });
  assert.ok(pdf.length > 20000 && pdf.subarray(0, 5).toString() === "%PDF-");
  const wide = await page.$$eval("table", (tables) => tables.map((table) => table.scrollWidth - table.parentElement.clientWidth));
  assert.ok(wide.every((over) => over <= 1), `tables reach ${wide} pixels over the edge`);
});
