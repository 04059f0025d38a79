// node web/picture.mjs OUT.png [ADDRESS] [WIDTH] [HEIGHT] [light|dark]: a picture of a running dashboard.
// docs/dashboard.png was taken with it while `make run` rehearsed.
import { chromium } from "playwright-core";

const [out, address = "http://127.0.0.1:9900/", width = "1440", height = "1100", scheme = "light"] = process.argv.slice(2);
if (out === undefined) {
  console.error("usage: node web/picture.mjs OUT.png [ADDRESS] [WIDTH] [HEIGHT] [light|dark]");
  process.exit(2);
}
const FLAGS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-background-networking", "--no-first-run"];
const SETTLE_MS = 3000; // the charts have their history and the first ticks

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: FLAGS });
const page = await browser.newPage({ viewport: { width: Number(width), height: Number(height) }, colorScheme: scheme });
await page.goto(address);
await page.waitForTimeout(SETTLE_MS);
await page.screenshot({ path: out });
await browser.close();
