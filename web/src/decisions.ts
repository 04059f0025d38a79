// The list of decisions: newest first, filtered by kind and words, evidence on demand.

import { askDecisions, type Decision } from "./api";
import { byId, keyed, make, setText } from "./dom";
import { clock, milliseconds, money, span } from "./format";

const KEEP = 2000;
const PAGE = 100;
const SHOWN_MAX = 200;

export class DecisionLog {
  private all: Decision[] = []; // newest first
  private readonly kind = byId<HTMLSelectElement>("filter-kind");
  private readonly words = byId<HTMLInputElement>("filter-text");
  private readonly more = byId<HTMLButtonElement>("log-more");
  private complete = false;
  private shown = SHOWN_MAX;
  currency: string | null = null;

  constructor() {
    this.kind.addEventListener("change", () => this.draw());
    this.words.addEventListener("input", () => this.draw());
    byId("filter").addEventListener("submit", (event) => event.preventDefault());
    this.more.addEventListener("click", () => { void this.older(); });
  }

  get newest(): Decision | undefined {
    return this.all[0];
  }

  async load(): Promise<void> {
    const newest = await askDecisions(0, PAGE);
    for (const decision of newest.reverse()) this.put(decision);
    this.complete = this.complete || newest.length < PAGE;
    this.draw();
  }

  add(decision: Decision): void {
    this.put(decision);
    this.draw();
  }

  private async older(): Promise<void> {
    const last = this.all.at(-1);
    if (last === undefined) return;
    this.more.disabled = true;
    try {
      const found = await askDecisions(last.id, PAGE);
      this.all.push(...found);
      this.shown += PAGE;
      this.complete = found.length < PAGE;
    } finally {
      this.more.disabled = false;
      this.draw();
    }
  }

  // The same id again is the same decision, healed by now.
  private put(decision: Decision): void {
    const known = this.all.findIndex((one) => one.id === decision.id);
    if (known >= 0) this.all[known] = decision;
    else this.all.unshift(decision);
    this.all.sort((a, b) => b.id - a.id);
    if (this.all.length > KEEP) {
      this.all.length = KEEP;
      this.complete = false;
    }
  }

  private drawKinds(): void {
    const kinds = [...new Set(this.all.map((one) => one.kind ?? ""))].filter((kind) => kind !== "").sort();
    const present = [...this.kind.options].slice(1).map((option) => option.value);
    if (kinds.join() === present.join()) return;
    const chosen = this.kind.value;
    this.kind.replaceChildren(make("option", { value: "" }, "all"), ...kinds.map((kind) => make("option", { value: kind }, kind)));
    this.kind.value = kinds.includes(chosen) ? chosen : "";
  }

  draw(): void {
    this.drawKinds();
    const words = this.words.value.trim().toLowerCase();
    const fits = this.all.filter((one) => (this.kind.value === "" || one.kind === this.kind.value) &&
      (words === "" || [one.kind, one.service, one.subject, one.action, one.reason].join(" ").toLowerCase().includes(words)));
    keyed(byId("log"), fits.slice(0, this.shown), (one) => String(one.id), create, (element, one) => fill(element, one, this.currency));
    const empty = byId("log-empty");
    empty.hidden = fits.length > 0;
    setText(empty, this.all.length === 0 ? "No decision yet. The first one appears here with its reason." : "No decision fits the filter.");
    this.more.hidden = this.complete || this.all.length === 0;
  }
}

function create(decision: Decision): HTMLElement {
  return make("li", { class: "decision" },
    make("time", { datetime: decision.time, title: decision.time }, clock(Date.parse(decision.time))),
    make("span", { class: "kind", "data-kind": decision.kind ?? "" }, decision.kind ?? "–"),
    make("p", { class: "what" }, make("strong", {}, [decision.action, decision.subject].filter(Boolean).join(" ") || "noted"), " ",
      make("span", { class: "muted" }, decision.service ?? "")),
    make("p", { class: "reason" }, decision.reason ?? ""),
    make("p", { class: "times muted" }),
    Object.keys(decision.evidence).length === 0 ? null : make("details", {},
      make("summary", {}, `Evidence of decision ${decision.id}`), make("dl", {}, ...Object.entries(decision.evidence).map(([name, value]) =>
        make("div", {}, make("dt", {}, name.replaceAll("_", " ")), make("dd", {}, typeof value === "object" ? JSON.stringify(value) : String(value)))))));
}

function fill(element: HTMLElement, decision: Decision, currency: string | null): void {
  const parts = [
    decision.noticed_ms === null ? null : `noticed after ${milliseconds(decision.noticed_ms)}`,
    decision.healed_ms === null ? null : `healed after ${milliseconds(decision.healed_ms)}`,
    decision.worth === null ? null : `worth ${money(decision.worth, currency)}`,
  ].filter(Boolean);
  const times = element.querySelector(".times") as HTMLElement;
  setText(times, parts.join(" · "));
  times.hidden = parts.length === 0;
}

export function changedWords(decision: Decision | undefined, now: number): string {
  if (decision === undefined) return "nothing yet";
  const what = decision.reason ?? [decision.action, decision.subject].filter(Boolean).join(" ");
  return `${span(now - Date.parse(decision.time))} ago: ${what}`;
}
