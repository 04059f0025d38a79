// Maintenance by hand: a dialog that asks before an instance goes out of rotation or comes back.

import { changeMaintenance, type Instance, type Refusal } from "./api";
import { byId, make, setText } from "./dom";
import { clock } from "./format";

const dialog = byId<HTMLDialogElement>("maintenance");
const form = byId<HTMLFormElement>("maintenance-form");
const answer = byId("maintenance-answer");
const force = byId<HTMLInputElement>("maintenance-force");
let chosen: Instance | null = null;
let busy = false;

const ending = (): boolean => chosen?.maintenance != null;

export function maintenanceWords(instance: Instance): string {
  const now = instance.maintenance;
  if (now === null) return "";
  const until = now.until === null ? "" : ` until ${clock(Date.parse(now.until))}`;
  return `maintenance${until}${now.reason === null ? "" : `: ${now.reason}`}`;
}

export const buttonWords = (instance: Instance): string => (instance.maintenance === null ? "Maintenance…" : "End maintenance…");

function command(): string {
  const name = `${chosen?.service}/${chosen?.id}`;
  const duration = byId<HTMLSelectElement>("maintenance-for").value;
  if (ending()) return `tidegate maintenance end ${name}`;
  return `tidegate maintenance start ${name}${duration === "" ? "" : ` --for ${duration}`}${force.checked ? " --force" : ""}`;
}

// Who may only read learns how it is done elsewhere; the last one that serves goes by force only.
function explain(refusal: Refusal): void {
  const parts: (Node | string)[] = [make("p", {}, refusal.detail)];
  if (refusal.status === 403 || refusal.status === 401) {
    parts.push(make("p", {}, "On the machine itself: ", make("code", {}, command())));
  }
  byId("maintenance-force-row").hidden = refusal.status !== 409 || ending();
  answer.replaceChildren(...parts);
}

export function askMaintenance(instance: Instance): void {
  chosen = instance;
  form.reset();
  answer.replaceChildren();
  byId("maintenance-force-row").hidden = true;
  byId("maintenance-fields").hidden = ending();
  setText(byId("maintenance-title"), ending() ? `Bring ${instance.id} back?` : `Take ${instance.id} out of rotation?`);
  setText(byId("maintenance-text"), ending()
    ? "It takes requests again as soon as its health check is good."
    : `It takes no new requests and finishes the ${instance.in_flight} it has. It is not replaced unless demand wants another one.`);
  setText(byId("maintenance-yes"), ending() ? "End maintenance" : "Start maintenance");
  dialog.showModal();
}

async function carryOut(): Promise<void> {
  if (chosen === null || busy) return;
  busy = true;
  const wishes = new URLSearchParams();
  if (!ending()) {
    const duration = byId<HTMLSelectElement>("maintenance-for").value, reason = byId<HTMLInputElement>("maintenance-reason").value.trim();
    if (duration !== "") wishes.set("for", duration);
    if (reason !== "") wishes.set("reason", reason);
    if (force.checked) wishes.set("force", "true");
  }
  try {
    const refusal = await changeMaintenance(chosen, ending() ? "DELETE" : "POST", wishes);
    if (refusal === null) dialog.close();
    else explain(refusal);
  } catch {
    answer.replaceChildren(make("p", {}, "No answer: try again in a moment."));
  } finally {
    busy = false;
  }
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  void carryOut();
});
byId("maintenance-no").addEventListener("click", () => dialog.close());
