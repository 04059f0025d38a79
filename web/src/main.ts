// The dashboard: hears events, keeps the last ten minutes, and draws once a second.

import { askDemand, askForecast, askLatency, listen, type Campaign, type Decision, type Service, type Status } from "./api";
import { drawCalls } from "./calls";
import { drawCampaigns, factorWords } from "./campaigns";
import { DemandChart, LatencyChart } from "./charts";
import { changedWords, DecisionLog } from "./decisions";
import { byId, keyed, make, setAttribute, setText } from "./dom";
import { bytes, count, milliseconds, percent, rate, span } from "./format";
import { drawInstances } from "./instances";
import { accuracyWords, chooseLedger, refreshLedger } from "./ledger";
import { look, startLogin } from "./login";
import { drawRates } from "./rates";
import { fillDemand, fillLatency, note, PAST_S, serviceOf, show, STAGES, type Shown } from "./state";
import { drawStorage } from "./storage";
import "./style.css";

const FORECAST_EVERY_MS = 5000;
const LEDGER_EVERY_MS = 15000;
const SILENT_MS = 3500; // without a tick for so long, the numbers are called old

const demandChart = new DemandChart(), latencyChart = new LatencyChart(), log = new DecisionLog();
let status: Status | null = null;
let shown: Shown | null = null;
let stage = "all";
let heardMs = 0; // by this machine's clock
let lostMs = 0;
// Campaigns that are over stay on the chart as long as it shows their time.
const campaigns = new Map<string, Campaign>();

// ---- what is shown ----

async function choose(name: string): Promise<void> {
  const next = show(name);
  shown = next;
  location.hash = new URLSearchParams({ service: name }).toString();
  chooseLedger(name);
  const [demand, latency, forecast] = await Promise.allSettled([askDemand(name), askLatency(name), askForecast(name)]);
  if (demand.status === "fulfilled") fillDemand(next, demand.value);
  if (latency.status === "fulfilled") fillLatency(next, latency.value);
  if (forecast.status === "fulfilled") next.forecast = forecast.value;
  draw();
}

function wanted(services: Service[]): string | undefined {
  const asked = new URLSearchParams(location.hash.slice(1)).get("service");
  const busiest = [...services].sort((a, b) => (b.demand_rps ?? 0) - (a.demand_rps ?? 0))[0];
  return services.find((service) => service.name === asked)?.name ?? busiest?.name;
}

function drawPicker(services: Service[]): void {
  const select = byId<HTMLSelectElement>("service");
  const names = services.map((service) => service.name);
  byId("picker").hidden = names.length < 2;
  if ([...select.options].map((option) => option.value).join() !== names.join()) {
    select.replaceChildren(...names.map((name) => make("option", { value: name }, name)));
  }
  if (shown !== null) select.value = shown.service;
}

// ---- the top ----

function facts(now: Status): [string, string][] {
  const store = now.store === null ? "none" : now.store.writing ? bytes(now.store.bytes) :
    now.store.failed_attempts > 0 ? "not written" : "opening";
  return [["Plan", `v${now.plan}`], ["Workers", String(now.workers.length)], ["Store", store],
    ["Offered", `${rate(now.services.reduce((sum, one) => sum + (one.demand_rps ?? 0), 0))}/s`], ["Release", now.release]];
}

function drawFacts(now: Status): void {
  keyed(byId("facts"), facts(now), ([name]) => name, ([name]) => make("div", {}, make("dt", {}, name), make("dd", {})),
    (element, [, value]) => setText(element.querySelector("dd") as Element, value));
}

function comingWords(now: Status, service: Service | undefined): string {
  const nowMs = Date.parse(now.time);
  const running = now.campaigns.find((one) => Date.parse(one.start) <= nowMs && Date.parse(one.end) > nowMs);
  const next = now.campaigns.find((one) => Date.parse(one.start) > nowMs);
  const factor = factorWords;
  const parts: string[] = [];
  if (running !== undefined) parts.push(`${running.name}${factor(running)} is on for ${span(Date.parse(running.end) - nowMs)} more`);
  if (next !== undefined) parts.push(`${next.name}${factor(next)} starts in ${span(Date.parse(next.start) - nowMs)}`);
  const peak = peakAhead(nowMs);
  if (peak !== null) {
    parts.push(`forecast peak ${rate(peak.rps)}/s in ${span(peak.inMs)}${enoughWords(peak.rps, service)}`);
  }
  return parts.length === 0 ? "nothing announced, no forecast yet" : parts.join("; ");
}

function enoughWords(rps: number, service: Service | undefined): string {
  if (service?.capacity_rps == null || service.instance_capacity_rps === null) return "";
  if (rps <= service.capacity_rps) return ", within capacity";
  const most = service.instances_max * service.instance_capacity_rps;
  return rps <= most ? `, ${count(Math.ceil(rps / service.instance_capacity_rps), "instance")} will be needed` :
    `, more than ${count(service.instances_max, "instance")} can carry`;
}

function peakAhead(nowMs: number): { rps: number; inMs: number } | null {
  let peak: { rps: number; inMs: number } | null = null;
  shown?.forecast?.times_ms.forEach((ms, i) => {
    const rps = shown?.forecast?.["q0.5"][i] ?? null;
    if (rps !== null && ms >= nowMs && (peak === null || rps > peak.rps)) peak = { rps, inMs: ms - nowMs };
  });
  return peak;
}

function drawVerdict(now: Status, service: Service | undefined): void {
  setAttribute(byId("verdict"), "data-state", now.verdict.state);
  setText(byId("verdict-text"), now.verdict.text);
  setText(byId("changed"), changedWords(log.newest, Date.parse(now.time)));
  setText(byId("coming"), comingWords(now, service));
  const mark = now.verdict.state === "ok" ? "✓" : now.verdict.state === "attention" ? "!" : "✕";
  document.title = `${mark} Tidegate`;
}

interface Tile { name: string; value: string; unit?: string; small: string; state?: "warn" | "bad" }

// Plans count on the lower bound.
function carriesWords(service: Service): string {
  const { likely_rps: likely, high_rps: high, source } = service.instance_capacity;
  const most = high !== null && likely !== null && high < 2 * likely ? `, at most ${rate(high)}` : ""; // else it is open
  return source === "learned" ? `likely ${rate(likely)}${most}` :
    source === "configured" ? "configured, not loaded yet" :
      source === "inherited" ? "as the version before" : "not known yet, a guess";
}

function tiles(service: Service): Tile[] {
  const { demand_rps: demand, capacity_rps: capacity } = service;
  const serving = service.instances.filter((one) => one.state === "serving").length;
  const p99 = service.latency_ms.p99, objective = service.objective_ms;
  const share = service.within_objective_ratio;
  const perSecond = "/s";
  return [
    { name: "Offered", value: rate(demand), unit: perSecond, small: `forecast ${rate(service.forecast_rps)}` },
    { name: "Capacity", value: rate(capacity), unit: perSecond,
      small: capacity !== null && demand !== null && demand > 0 ? `${(capacity / demand).toFixed(1)} times demand` : "of what serves",
      ...(capacity !== null && demand !== null && demand > capacity ? { state: "warn" as const } : {}) },
    { name: "One carries", value: rate(service.instance_capacity_rps), unit: perSecond, small: carriesWords(service) },
    { name: "Refused", value: rate(service.refused_rps), unit: perSecond, small: `${service.waiting} waiting`,
      ...((service.refused_rps ?? 0) > 0 ? { state: "warn" as const } : {}) },
    { name: "Failed", value: rate(service.failed_rps), unit: perSecond, small: "seen by visitors",
      ...((service.failed_rps ?? 0) > 0 ? { state: "bad" as const } : {}) },
    { name: "Latency p99", value: milliseconds(p99), small: share === null ? `objective ${milliseconds(objective)}` :
      `${percent(share, 1)} within ${milliseconds(objective)}`,
      ...(share !== null && share < (service.objective_share_ratio ?? 0) ? { state: "warn" as const } : {}) },
    { name: "Sent again", value: rate(service.retries_rps), unit: perSecond,
      small: (service.retries_refused_rps ?? 0) > 0 ? `${rate(service.retries_refused_rps)}/s refused by the budget` :
        `${rate(service.hedges_rps)}/s hedged, ${rate(service.hedges_won_rps)}/s won`,
      ...((service.retries_refused_rps ?? 0) > 0 ? { state: "bad" as const } : {}) },
    { name: "In flight", value: String(service.in_flight), small: "requests" },
    { name: "Serving", value: String(serving), small: `wanted ${service.instances_wanted}, most ${service.instances_max}`,
      ...(serving === 0 ? { state: "bad" as const } : serving < service.instances_wanted ? { state: "warn" as const } : {}) },
  ];
}

function drawTiles(service: Service): void {
  keyed(byId("tiles"), tiles(service), (tile) => tile.name,
    (tile) => make("div", { class: "tile" }, make("h2", {}, tile.name), make("p", { class: "value" }), make("p", { class: "small" })),
    (element, tile) => {
      setAttribute(element, "data-state", tile.state ?? "");
      setText(element.querySelector(".value") as Element, tile.value + (tile.unit ?? ""));
      setText(element.querySelector(".small") as Element, tile.small);
    });
}

// ---- latency by stage ----

function drawStages(service: Service): void {
  const rows = ["all", ...STAGES].map((name) => ({ name,
    latency: name === "all" ? service.latency_ms : service.stages.find((one) => one.stage === name)?.latency_ms }));
  keyed(byId("stages"), rows, (row) => row.name, (row) => {
    const button = make("button", { type: "button", class: "stage" }, make("span", { class: "name" }, row.name), make("span", { class: "p99" }));
    button.addEventListener("click", () => { stage = row.name; draw(); });
    return button;
  }, (element, row) => {
    setAttribute(element, "aria-pressed", String(row.name === stage));
    setText(element.querySelector(".p99") as Element, row.latency?.p99 == null ? "no answers" :
      `${milliseconds(row.latency.p50)} · ${milliseconds(row.latency.p95)} · ${milliseconds(row.latency.p99)}`);
  });
}

// ---- all of it ----

function draw(): void {
  if (status === null) return;
  const now = status, nowS = Date.parse(now.time) / 1000;
  const service = shown === null ? undefined : serviceOf(now, shown.service);
  drawFacts(now);
  drawPicker(now.services);
  drawVerdict(now, service);
  drawCalls(now);
  drawRates(now);
  drawStorage(now);
  drawCampaigns(now.campaigns);
  setAttribute(byId("main"), "data-phase", service === undefined ? "empty" : "ready");
  if (service === undefined || shown === null) return;
  drawTiles(service);
  drawStages(service);
  drawInstances(service, nowS * 1000);
  setText(byId("accuracy"), accuracyWords(shown.forecast?.accuracy));
  demandChart.update(shown, [...campaigns.values()], nowS);
  const trail = shown.latency.get(stage);
  if (trail !== undefined) latencyChart.update(trail, stage, service.objective_ms, nowS);
}

function remember(now: Status): void {
  const nowMs = Date.parse(now.time), announced = new Set<string>();
  for (const one of now.campaigns) {
    const key = one.id ?? `${one.name}\n${one.start}`;
    announced.add(key);
    campaigns.set(key, one);
  }
  for (const [key, one] of campaigns) { // over long since, or taken back
    const endMs = Date.parse(one.end);
    if (endMs < nowMs - PAST_S * 1000 || (endMs > nowMs && !announced.has(key))) campaigns.delete(key);
  }
}

function tick(now: Status): void {
  status = now;
  heardMs = Date.now();
  log.currency = now.currency;
  remember(now);
  setLink();
  const name = shown !== null && serviceOf(now, shown.service) !== undefined ? shown.service : wanted(now.services);
  if (name !== undefined && name !== shown?.service) void choose(name);
  if (shown !== null) note(shown, now);
  if (!document.hidden) draw();
}

function setLink(): void {
  const silentMs = Date.now() - Math.max(heardMs, 0);
  const state = heardMs === 0 ? (lostMs > 0 ? "lost" : "loading") : silentMs > SILENT_MS ? "lost" : "live";
  setAttribute(byId("link"), "data-link", state);
  setText(byId("link-text"), state === "live" ? "live" : state === "loading" ? "connecting" :
    heardMs === 0 ? "not reachable, trying again" : `no news for ${span(silentMs)}, trying again`);
  setAttribute(byId("main"), "data-stale", String(state === "lost"));
  if (state === "lost") {
    setAttribute(byId("verdict"), "data-state", "lost");
    setText(byId("verdict-text"), heardMs === 0 ? "The controller does not answer. Visitors are still served by the workers' last plan." :
      "The controller is silent: what you see is old. Visitors are still served by the workers' last plan.");
    document.title = "? Tidegate";
  }
}

byId("service").addEventListener("change", (event) => { void choose((event.target as HTMLSelectElement).value); });
document.addEventListener("visibilitychange", () => draw());
setInterval(setLink, 1000);
setInterval(() => {
  const target = shown;
  if (target === null || document.hidden) return;
  askForecast(target.service).then((forecast) => { target.forecast = forecast; }, () => { target.forecast = null; });
}, FORECAST_EVERY_MS);
setInterval(() => { if (!document.hidden) void refreshLedger(); }, LEDGER_EVERY_MS);

const listener = {
  tick,
  decision: (decision: Decision) => { log.add(decision); },
  open: () => {
    lostMs = 0;
    log.load().catch(() => undefined); // the next reconnection asks again
    if (shown !== null) void choose(shown.service); // what we missed
  },
  lost: () => {
    void look(); // our token may be over
    lostMs = lostMs === 0 ? Date.now() : lostMs;
    setLink();
  },
};

// Somebody else looks: what follows is asked for by him.
let endHearing = (): void => undefined;
function hear(): void {
  endHearing();
  endHearing = listen(listener);
}
startLogin(hear).then(hear, hear);
