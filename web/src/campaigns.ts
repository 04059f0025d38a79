// Campaigns by hand: a list of what is announced, and a dialog that announces, changes and takes back.

import { putCampaign, removeCampaign, type Campaign, type Refusal } from "./api";
import { byId, keyed, make, setText } from "./dom";
import { clock } from "./format";

const HOUR_MS = 3600000;
const dialog = byId<HTMLDialogElement>("campaign");
const form = byId<HTMLFormElement>("campaign-form");
const answer = byId("campaign-answer");
const FIELDS = ["name", "kind", "start", "end", "multiplier", "channel", "audience"] as const;
type Field = typeof FIELDS[number];
const field = (name: Field): HTMLInputElement => byId<HTMLInputElement>(`campaign-${name}`);
let chosen: Campaign | null = null;
let busy = false;

const times = (value: number): string => `×${value.toFixed(1)}`;

// The marketer's own number, or what has been learned.
export const factorWords = (one: Campaign): string => {
  const peak = one.expected.peak ?? one.multiplier;
  return peak === null ? "" : ` ${times(peak)}`;
};

export function certaintyWords(one: Campaign): string {
  const { peak, peak_low, peak_high, learned_from, phase, onset } = one.expected;
  if (peak === null || peak_low === null || peak_high === null) return "";
  const source = learned_from > 0 ? `learned from ${learned_from}` : one.multiplier === null ? "nothing known of its kind" : "as the marketer says";
  const seen = phase === "running" && onset !== null ? `, running since ${clock(Date.parse(onset))}` : "";
  return `peak ${times(peak)}, ${times(peak_low)} to ${times(peak_high)} (${source})${seen}`;
}

// What <input type=datetime-local> wants: the clock on the wall here.
const wall = (ms: number): string => new Date(ms - new Date(ms).getTimezoneOffset() * 60000).toISOString().slice(0, 16);

function ask(one: Campaign | null): void {
  chosen = one;
  form.reset();
  answer.replaceChildren();
  const soon = Math.ceil(Date.now() / HOUR_MS) * HOUR_MS;
  field("name").value = one?.name ?? "";
  field("kind").value = one?.kind ?? "";
  field("channel").value = one?.channel ?? "";
  field("audience").value = one?.audience ?? "";
  field("multiplier").value = one?.multiplier == null ? "" : String(one.multiplier);
  field("start").value = wall(one === null ? soon : Date.parse(one.start));
  field("end").value = wall(one === null ? soon + HOUR_MS : Date.parse(one.end));
  setText(byId("campaign-title"), one === null ? "Announce a campaign" : `Change ${one.name}`);
  setText(byId("campaign-yes"), one === null ? "Announce" : "Change");
  byId("campaign-remove").hidden = one === null;
  dialog.showModal();
}

function wishes(): URLSearchParams {
  const said = new URLSearchParams();
  if (chosen?.id != null) said.set("id", chosen.id);
  for (const name of FIELDS) {
    const text = field(name).value.trim();
    if (text === "") continue;
    const isTime = name === "start" || name === "end";
    // An unchanged time keeps its seconds, which the field does not show.
    const before = name === "start" ? chosen?.start : chosen?.end;
    const kept = isTime && before !== undefined && wall(Date.parse(before)) === text;
    said.set(name, kept ? before as string : isTime ? new Date(text).toISOString() : text);
  }
  return said;
}

const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

function command(removes: boolean): string {
  if (removes) return `tidegate campaign remove ${quoted(chosen?.id ?? "")}`;
  const parts = [...wishes()].filter(([name]) => name !== "name").map(([name, text]) => `--${name} ${quoted(text)}`);
  return `tidegate campaign add ${quoted(field("name").value.trim())} ${parts.join(" ")}`;
}

// Who may only read learns how it is done elsewhere.
function explain(refusal: Refusal, removes: boolean): void {
  const parts: (Node | string)[] = [make("p", {}, refusal.detail)];
  if (refusal.status === 403 || refusal.status === 401) {
    parts.push(make("p", {}, "On the machine itself: ", make("code", {}, command(removes))));
  }
  answer.replaceChildren(...parts);
}

async function carryOut(removes: boolean): Promise<void> {
  if (busy) return;
  busy = true;
  try {
    const refusal = removes ? await removeCampaign(chosen?.id ?? "") : await putCampaign(wishes());
    if (refusal === null) dialog.close();
    else explain(refusal, removes);
  } catch {
    answer.replaceChildren(make("p", {}, "No answer: try again in a moment."));
  } finally {
    busy = false;
  }
}

const latest = new Map<string, Campaign>();
const keyOf = (one: Campaign): string => one.id ?? `${one.name}\n${one.start}`;

function entry(one: Campaign): HTMLElement {
  const button = make("button", { type: "button" }, "Change…");
  button.addEventListener("click", () => ask(latest.get(keyOf(one)) ?? one));
  return make("li", {}, make("span", { class: "when" }), make("strong", {}), make("span", { class: "muted" }), one.id === null ? null : button);
}

const day = (ms: number): string => new Date(ms).toLocaleDateString(undefined, { month: "short", day: "numeric" });

export function drawCampaigns(campaigns: Campaign[]): void {
  latest.clear();
  for (const one of campaigns) latest.set(keyOf(one), one);
  byId("campaigns-empty").hidden = campaigns.length > 0;
  keyed(byId("campaigns"), campaigns, keyOf, entry, (element, one) => {
    const from = Date.parse(one.start), to = Date.parse(one.end);
    setText(element.children[0] as Element, `${day(from)} ${clock(from)} – ${day(to) === day(from) ? "" : `${day(to)} `}${clock(to)}`);
    setText(element.children[1] as Element, one.name);
    setText(element.children[2] as Element, certaintyWords(one));
    element.querySelector("button")?.setAttribute("aria-label", `Change ${one.name}`);
  });
}

byId("campaign-add").addEventListener("click", () => ask(null));
byId("campaign-no").addEventListener("click", () => dialog.close());
byId("campaign-remove").addEventListener("click", () => void carryOut(true));
form.addEventListener("submit", (event) => {
  event.preventDefault();
  void carryOut(false);
});
