// Who looks: the role, signing in with a token and out again, and what that allows.

import { askSession, Refused, reload, setToken, token, type Role, type Session } from "./api";
import { byId, setAttribute, setText } from "./dom";

const RANKS: Role[] = ["none", "viewer", "operator", "admin"];
let session: Session = { role: "none", anonymous: "none", token: null };

export const may = (role: Role): boolean => RANKS.indexOf(session.role) >= RANKS.indexOf(role);

// Says something that a person has asked for, for as long as it is news.
const NEWS_MS = 8000;
let news = 0;
export function say(text: string): void {
  setText(byId("said"), text);
  clearTimeout(news);
  news = window.setTimeout(() => setText(byId("said"), ""), NEWS_MS);
}

function draw(): void {
  setAttribute(byId("main"), "data-role", session.role);
  setText(byId("role"), session.role === "none" ? "not signed in" : session.role);
  byId("sign-in").hidden = session.token !== null;
  byId("sign-out").hidden = session.token === null;
  byId("reload").hidden = !may("operator");
}

// Asks who we are; a token that is no longer good is forgotten. A controller that is silent says nothing of it.
export async function look(): Promise<void> {
  try {
    session = await askSession();
    draw();
  } catch (problem) {
    if (token() === null || !(problem instanceof Refused) || problem.status !== 401) return;
    setToken(null);
    say(problem.message);
    await look();
  }
}

export async function startLogin(changed: () => void): Promise<void> {
  const dialog = byId<HTMLDialogElement>("login"), field = byId<HTMLInputElement>("token");
  const open = (): void => {
    setText(byId("login-problem"), "");
    field.value = "";
    dialog.showModal();
  };
  byId("sign-in").addEventListener("click", open);
  byId("login-cancel").addEventListener("click", () => dialog.close());
  byId("login-form").addEventListener("submit", (event) => {
    event.preventDefault();
    setToken(field.value.trim());
    askSession().then((found) => {
      session = found;
      field.value = "";
      dialog.close();
      draw();
      changed();
    }, (problem: Error) => {
      setToken(null);
      setText(byId("login-problem"), problem.message);
    });
  });
  byId("sign-out").addEventListener("click", () => {
    setToken(null);
    void look().then(changed);
  });
  byId("reload").addEventListener("click", () => {
    reload().then((warnings) => say(["The configuration was read again.", ...warnings].join(" ")), (problem: Error) => say(problem.message));
  });
  await look();
  if (!may("viewer")) open();
}
