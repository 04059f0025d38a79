// The instances as a grid: state by glyph and word, load by a bar, the rest in small print.

import { drainInstance, type Instance, type Service } from "./api";
import { byId, keyed, make, setAttribute, setText } from "./dom";
import { askMaintenance, buttonWords, maintenanceWords } from "./maintenance";
import { bytes, count, milliseconds, percent, rate, span } from "./format";
import { may, say } from "./login";

const ORDER: Instance["state"][] = ["ejected", "starting", "serving", "draining", "warm"];
const WORDS: Record<Instance["state"], string> = {
  serving: "serving", warm: "warm spare", starting: "starting", ejected: "ejected", draining: "draining",
};

// The newest of each, for the buttons.
const latest = new Map<string, Instance>();

function createButton(id: string): HTMLElement {
  const button = make("button", { class: "maintain", type: "button" });
  button.addEventListener("click", () => {
    const instance = latest.get(id);
    if (instance !== undefined) askMaintenance(instance);
  });
  return button;
}

function create(instance: Instance): HTMLElement {
  const bar = make("div", { class: "bar", "aria-hidden": "true" }, make("div", { class: "level" }));
  const drain = make("button", { type: "button", class: "drain", hidden: "", "aria-label": `Drain ${instance.id}` }, "Drain");
  drain.addEventListener("click", () => {
    drainInstance(instance.id).then(() => say(`${instance.id} finishes what it has and is replaced.`), (problem: Error) => say(problem.message));
  });
  return make("li", { class: "instance" },
    make("p", { class: "top" }, make("span", { class: "glyph", "aria-hidden": "true" }), make("span", { class: "state" })),
    make("h3", {}, instance.id), bar, make("dl", { class: "numbers" },
      ...["in flight", "latency", "load", "cpu", "memory"].map((name) => make("div", {}, make("dt", {}, name), make("dd", {})))),
    make("p", { class: "note" }), drain, createButton(instance.id));
}

function update(element: HTMLElement, instance: Instance, service: Service, now: number): void {
  setAttribute(element, "data-state", instance.state);
  const age = instance.started === null ? "" : `, ${span(now - Date.parse(instance.started))}`;
  latest.set(instance.id, instance);
  const words = instance.maintenance === null ? WORDS[instance.state] : "in maintenance";
  setText(element.querySelector(".state") as Element, words + age);
  const numbers = [String(instance.in_flight), milliseconds(instance.latency_ms),
    instance.requests_rps === null ? "–" : `${rate(instance.requests_rps)}/s`, percent(instance.cpu_ratio), bytes(instance.memory_bytes)];
  element.querySelectorAll(".numbers dd").forEach((one, i) => setText(one, numbers[i] ?? ""));
  const full = service.instance_capacity_rps ?? 0;
  const load = full > 0 && instance.requests_rps !== null ? Math.min(1, instance.requests_rps / full) : 0;
  (element.querySelector(".level") as HTMLElement).style.width = `${Math.round(load * 100)}%`;
  (element.querySelector(".drain") as HTMLElement).hidden = !may("operator") || !["serving", "warm"].includes(instance.state);
  const note = element.querySelector(".note") as HTMLElement;
  const noted = maintenanceWords(instance) || (instance.note ?? "");
  setText(note, noted);
  note.hidden = noted === "";
  const button = element.querySelector(".maintain") as Element;
  setText(button, buttonWords(instance));
  setAttribute(button, "aria-label", `${buttonWords(instance).replace("…", "")} of ${instance.id}`);
  setAttribute(element, "title", [instance.address, instance.pid === null ? null : `pid ${instance.pid}`,
    instance.version === null ? null : `version ${instance.version}`,
    instance.zone === null ? null : `zone ${instance.zone}`,
    instance.weight === 1 ? null : `weight ${instance.weight}`,
    instance.startup_ms === null ? null : `ready after ${milliseconds(instance.startup_ms)}`].filter(Boolean).join(" · "));
}

export function drawInstances(service: Service, now: number): void {
  const sorted = [...service.instances].sort((a, b) =>
    ORDER.indexOf(a.state) - ORDER.indexOf(b.state) || a.id.localeCompare(b.id, "en", { numeric: true }));
  latest.clear();
  keyed(byId("instances"), sorted, (instance) => instance.id, create, (element, instance) => update(element, instance, service, now));
  const by = (state: Instance["state"]): number => sorted.filter((one) => one.state === state).length;
  const maintained = sorted.filter((one) => one.maintenance !== null).length;
  const parts = ORDER.filter((state) => by(state) > 0).map((state) => `${by(state)} ${WORDS[state]}`);
  if (maintained > 0) parts.push(`${maintained} of them in maintenance`);
  setText(byId("instances-summary"), sorted.length === 0 ? "none" :
    `${parts.join(", ")} · wanted ${service.instances_wanted} (${service.instances_min} to ${service.instances_max})` +
    (service.spares_wanted > 0 ? ` and ${count(service.spares_wanted, "spare")}` : "") +
    (service.lead_ms === null ? "" : ` · a start takes ${milliseconds(service.lead_ms)}`) +
    (service.balance === null ? "" : ` · balanced by ${service.balance.replace("_", " ")}`));
  const trouble = byId("trouble");
  trouble.hidden = service.trouble === null;
  setText(trouble, service.trouble ?? "");
}
