// Volumes as a table: how full each is, when it will be full, and how large it should be.

import type { Status, Volume } from "./api";
import { byId, keyed, make, setAttribute, setText } from "./dom";
import { bytes, percent, span, UNKNOWN } from "./format";

function cells(volume: Volume): string[] {
  const { used_bytes: used, size_bytes: size, growth_bytes_per_s: growth, size_wanted_bytes: wanted } = volume;
  const known = used != null && size != null && size > 0;
  const soon = volume.full_in_s != null && volume.full_in_s_low != null;
  return [
    known ? `${percent(used / size)} of ${bytes(size)}` : volume.state,
    growth == null ? UNKNOWN : `${growth < 0 ? "−" : "+"}${bytes(Math.abs(growth) * 86400)}`,
    soon ? `${span(volume.full_in_s! * 1000)} (${span(volume.full_in_s_low! * 1000)} at the earliest)` : UNKNOWN,
    known && wanted != null && wanted > size ? bytes(wanted) : "",
  ];
}

export function drawStorage(now: Status): void {
  byId("storage-panel").hidden = now.storage.length === 0;
  keyed(byId("storage"), now.storage, (one) => one.path,
    (one) => make("tr", {}, make("th", { scope: "row" }, one.path), ...[0, 1, 2, 3].map(() => make("td", {}))),
    (element, one) => {
      const values = cells(one);
      element.querySelectorAll("td").forEach((cell, i) => setText(cell, values[i] ?? ""));
      setAttribute(element, "title", one.text ?? "");
      setAttribute(element, "data-state", one.state === "fine" || one.state === "unknown" ? "" : "warn");
    });
}
