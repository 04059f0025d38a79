// Rate limits as a table: what each lets pass and refuses.

import type { Status } from "./api";
import { byId, keyed, make, setAttribute, setText } from "./dom";
import { count, percent, rate } from "./format";

export function drawRates(now: Status): void {
  byId("rates-panel").hidden = now.rate_limits.length === 0;
  const { keys, used_ratio: used } = now.rate_limit_table;
  setText(byId("rates-table"), `${percent(used, used < 0.1 ? 1 : 0)} of ${count(keys, "place")} for their keys in use`);
  keyed(byId("rates"), now.rate_limits, (one) => one.name,
    (one) => make("tr", {}, make("th", { scope: "row" }, one.name), ...[0, 1, 2, 3].map(() => make("td", {}))),
    (element, one) => {
      const cells = element.querySelectorAll("td");
      const refuses = one.dry_run ? "would refuse " : "";
      const values = [one.by, `${rate(one.allowed_rps)}/s`, `${refuses}${rate(one.refused_rps)}/s`, `${refuses}${one.refused.toLocaleString("en")}`];
      cells.forEach((cell, i) => setText(cell, values[i] ?? ""));
      setAttribute(element, "data-state", one.refused_rps > 0 && !one.dry_run ? "warn" : "");
    });
}
