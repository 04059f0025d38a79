// Which service calls which, as a table: how often for each of its requests, and how that is known.

import type { Call, Status } from "./api";
import { byId, keyed, make, setText } from "./dom";
import { count, UNKNOWN } from "./format";

interface Row { caller: string; call: Call }

const ratio = (value: number): string => value.toLocaleString("en", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const SOURCES: Record<Call["source"], string> = {
  configured: "configured", traces: "learned from traces", addresses: "learned from addresses",
};

function seenWords(call: Call): string {
  if (call.learned === null) return "nothing seen";
  const bounds = call.learned_low !== null && call.learned_high !== null ?
    `${ratio(call.learned_low)} to ${ratio(call.learned_high)}` : ratio(call.learned);
  return `${bounds}, from ${count(call.requests, "request")}`;
}

function cells({ call }: Row): string[] {
  return [call.service, call.ratio === null ? UNKNOWN : ratio(call.ratio),
    SOURCES[call.source] + (call.planned ? "" : ", not planned by yet"), seenWords(call)];
}

export function drawCalls(now: Status): void {
  const rows = now.services.flatMap((service) => service.calls.map((call): Row => ({ caller: service.name, call })));
  byId("calls-panel").hidden = rows.length === 0;
  keyed(byId("calls"), rows, (row) => `${row.caller} ${row.call.service}`,
    (row) => make("tr", {}, make("th", { scope: "row" }, row.caller), ...[0, 1, 2, 3].map(() => make("td", {}))),
    (element, row) => {
      const values = cells(row);
      element.querySelectorAll("td").forEach((cell, i) => setText(cell, values[i] ?? ""));
    });
}
