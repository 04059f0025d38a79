// What it cost and dropped, what others would have, and plainly whether prediction paid; and how good the forecast was.

import { askLedger, type Accuracy, type Ledger, type LedgerAccount } from "./api";
import { byId, keyed, make, setAttribute, setText } from "./dom";
import { count, money, percent, span, UNKNOWN, type Known } from "./format";

const HOUR_MS = 3600000;
const POLICIES: Record<string, string> = {
  tidegate: "Tidegate, as it was", reactive: "Tidegate without forecast", hpa: "A stock Kubernetes HPA",
  static_peak: "As many as the peak needs, always", oracle: "A perfect oracle",
};
const VERDICTS: Record<Ledger["prediction"]["verdict"], string> = { paid: "ok", did_not_pay: "no", depends: "open", too_early: "open" };

let service: string | null = null, hours = 24;
let asked = 0; // only the newest answer is drawn

function cells(row: LedgerAccount, ledger: Ledger): string[] {
  return [money(row.cost, ledger.currency), row.instance_hours === null ? UNKNOWN : row.instance_hours.toFixed(2),
    String(row.instances_max), row.unserved_requests === null ? UNKNOWN : count(Math.round(row.unserved_requests), "request")];
}

function coverWords(ledger: Ledger): string {
  const refused = ledger.refused_requests ?? 0;
  return `${span(ledger.seconds * 1000)} judged, ${count(Math.round(ledger.requests), "request")}; ` +
    (refused >= 0.5 ? `${count(Math.round(refused), "request")} really turned away` : "none really turned away");
}

function draw(ledger: Ledger | null): void {
  byId("ledger-panel").hidden = ledger === null || ledger.seconds === 0;
  if (ledger === null) return;
  setText(byId("ledger-since"), coverWords(ledger));
  setText(byId("ledger-verdict"), ledger.prediction.text);
  setAttribute(byId("ledger-verdict"), "data-state", VERDICTS[ledger.prediction.verdict]);
  keyed(byId("ledger"), ledger.policies, (row) => row.policy,
    (row) => make("tr", {}, make("th", { scope: "row" }, POLICIES[row.policy] ?? row.policy), ...[0, 1, 2, 3].map(() => make("td", {}))),
    (element, row) => {
      const values = cells(row, ledger);
      element.querySelectorAll("td").forEach((cell, i) => setText(cell, values[i] ?? ""));
      setAttribute(element, "data-state", (row.unserved_requests ?? 0) >= 0.5 ? "drops" : "");
    });
}

export async function refreshLedger(): Promise<void> {
  if (service === null) return;
  const number = ++asked, now = Date.now();
  const from = new Date(now - (now % HOUR_MS) - (hours - 1) * HOUR_MS);
  const ledger = await askLedger(service, from).catch(() => null);
  if (number === asked) draw(ledger);
}

export function chooseLedger(name: string): void {
  service = name;
  void refreshLedger();
}

for (const button of document.querySelectorAll<HTMLButtonElement>("#ledger-ranges button")) {
  button.addEventListener("click", () => {
    hours = Number(button.dataset.hours);
    for (const other of document.querySelectorAll("#ledger-ranges button")) setAttribute(other, "aria-pressed", String(other === button));
    void refreshLedger();
  });
}

const places = (value: Known): string => value == null ? UNKNOWN : value.toFixed(2);

export function accuracyWords(accuracy: Accuracy | undefined): string {
  if (accuracy === undefined || accuracy.since === null) return "No forecast has been proved yet.";
  return `Forecast of the past week, ${span(accuracy.ahead_ms)} before: off by ${percent(accuracy.wape, 1)} of demand, ` +
    `${accuracy.mase === null ? "" : `${places(accuracy.mase)} times the error of repeating the last season, `}` +
    `${percent(accuracy["coverage_q0.1_q0.9"])} within the band (80 % is right), ` +
    `${percent(accuracy["coverage_q0.95"], 1)} below the 95 % quantile; ${count(accuracy.steps, "step")}.`;
}
