// The API's answers, as openapi.json describes them, and how to ask for them.

export type Maybe = number | null;

export interface Latency { p50: Maybe; p95: Maybe; p99: Maybe }
export interface Stage { stage: string; offered_rps: Maybe; served_rps: Maybe; latency_ms: Latency }
export interface Instance {
  id: string; service: string; pid: number | null; address: string | null; version: string | null;
  state: "starting" | "warm" | "serving" | "ejected" | "draining"; weight: number; zone: string | null;
  in_flight: number; latency_ms: Maybe; requests_rps: Maybe; errors_rps: Maybe; cpu_ratio: Maybe;
  memory_bytes: Maybe; startup_ms: Maybe; started: string | null; note: string | null;
  check: { healthy: boolean; suspicious: boolean; result: string; probe_ms: Maybe };
  maintenance: { since: string | null; until: string | null; reason: string | null; by: string | null } | null;
}
export interface Call {
  service: string; ratio: Maybe; source: "configured" | "traces" | "addresses"; planned: boolean;
  learned: Maybe; learned_low: Maybe; learned_high: Maybe; requests: number;
}
export interface Service {
  name: string; fleet: string | null; balance: string | null; trouble: string | null;
  demand_rps: Maybe; served_rps: Maybe; refused_rps: Maybe; failed_rps: Maybe;
  retries_rps: Maybe; retries_refused_rps: Maybe; hedges_rps: Maybe; hedges_won_rps: Maybe;
  forecast_rps: Maybe; forecast_rps_low: Maybe; forecast_rps_high: Maybe;
  called_rps: Maybe; calls: Call[]; capacity_rps: Maybe; instance_capacity_rps: Maybe;
  instance_capacity: { low_rps: Maybe; likely_rps: Maybe; high_rps: Maybe; source: string | null;
    lambda_rps: Maybe; sigma: Maybe; kappa: Maybe; objective_ms: Maybe };
  objective_ms: Maybe; objective_share_ratio: Maybe; within_objective_ratio: Maybe;
  latency_ms: Latency; stages: Stage[]; in_flight: number; waiting: number; lead_ms: Maybe;
  instances_min: number; instances_max: number; instances_wanted: number; spares_wanted: number;
  reason: string | null; instances: Instance[];
}
export interface Campaign {
  id: string | null; name: string; kind: string | null; channel: string | null; audience: string | null;
  start: string; end: string; multiplier: Maybe;
  expected: { peak: Maybe; peak_low: Maybe; peak_high: Maybe; learned_from: number; phase: "waiting" | "running" | "over" | null; onset: string | null };
}
export interface Store {
  writing: boolean; trouble: string | null; queued_rows: number; written_rows: number; failed_attempts: number;
  dropped_samples: number; dropped_decisions: number; bytes: number;
}
export interface RateLimit {
  name: string; by: string; rate_rps: number; burst: number; dry_run: boolean;
  allowed: number; refused: number; allowed_rps: number; refused_rps: number;
}
export interface LedgerAccount { policy: string; instance_hours: Maybe; cost: Maybe; unserved_requests: Maybe; instances_max: number }
export interface Ledger {
  service: string | null; from: string; to: string; currency: string | null;
  seconds: number; requests: number; refused_requests: Maybe; policies: LedgerAccount[];
  prediction: { verdict: "paid" | "did_not_pay" | "depends" | "too_early"; text: string };
}
export interface Accuracy {
  since: string | null; steps: number; ahead_ms: number; mase: Maybe; wape: Maybe;
  "coverage_q0.1_q0.9": Maybe; "coverage_q0.95": Maybe;
}
export interface Volume {
  path: string; state: "unknown" | "fine" | "grow" | "full" | "silent"; configured: boolean;
  used_bytes: Maybe; size_bytes: Maybe; full_in_s: Maybe; full_in_s_low: Maybe; full_in_s_high: Maybe;
  growth_bytes_per_s: Maybe; size_wanted_bytes: Maybe; text: string | null;
}
export interface Status {
  release: string; time: string; started: string | null; supervisor: number; controller: number; workers: number[];
  plan: number; draining: boolean; currency: string | null;
  verdict: { state: "ok" | "attention" | "trouble"; text: string };
  store: Store | null; services: Service[]; campaigns: Campaign[];
  storage: Volume[]; rate_limits: RateLimit[]; rate_limit_table: { keys: number; used_ratio: number };
}
export interface Demand {
  service: string | null; step_s: number; times_ms: number[];
  offered_rps: Maybe[]; served_rps: Maybe[]; refused_rps: Maybe[]; failed_rps: Maybe[];
  forecast_rps: Maybe[]; forecast_rps_low: Maybe[]; forecast_rps_high: Maybe[]; capacity_rps: Maybe[];
  latency_ms_p50: Maybe[]; latency_ms_p95: Maybe[]; latency_ms_p99: Maybe[];
}
export interface LatencyHistory {
  service: string; times_ms: number[]; stages: Record<string, { p50: Maybe[]; p95: Maybe[]; p99: Maybe[] }>;
}
export interface LeftOut { from: string; to: string; reason: string }

export interface Forecast {
  service: string; step_ms: number; times_ms: number[]; mean: Maybe[]; "q0.1": Maybe[]; "q0.5": Maybe[];
  "q0.9": Maybe[]; provision: Maybe[]; provision_quantile: Maybe; left_out: LeftOut[];
  accuracy: Accuracy;
}
export interface Decision {
  id: number; time: string; kind: string | null; service: string | null; subject: string | null; action: string | null;
  reason: string | null; evidence: Record<string, unknown>; worth: Maybe; noticed_ms: Maybe; healed_ms: Maybe;
}

export type Role = "none" | "viewer" | "operator" | "admin";
export interface Session { role: Role; anonymous: Role; token: string | null }

const PATIENCE_MS = 10000;
const TOKEN_KEY = "token"; // in this tab only, gone when it closes; no cookie: a browser adds nothing by itself

export const token = (): string | null => sessionStorage.getItem(TOKEN_KEY);

export function setToken(secret: string | null): void {
  if (secret === null) sessionStorage.removeItem(TOKEN_KEY);
  else sessionStorage.setItem(TOKEN_KEY, secret);
}

function fields(accept: string): Record<string, string> {
  const secret = token();
  return secret === null ? { accept } : { accept, authorization: `Bearer ${secret}` };
}

// What it says when the answer is none that was asked for.
export class Refused extends Error {
  constructor(readonly status: number, message: string) { super(message); }
}

async function refusal(path: string, answer: Response): Promise<Refused> {
  const problem = await answer.json().catch(() => ({})) as { detail?: string };
  return new Refused(answer.status, problem.detail ?? `${path}: ${answer.status}`);
}

async function ask<T>(path: string, method = "GET"): Promise<T> {
  const answer = await fetch(path, { method, signal: AbortSignal.timeout(PATIENCE_MS), headers: fields("application/json") });
  if (!answer.ok) throw await refusal(path, answer);
  return await answer.json() as T;
}

export const askSession = (): Promise<Session> => ask("/api/v1/session");
export const drainInstance = async (id: string): Promise<void> => {
  await ask(`/api/v1/instances/${encodeURIComponent(id)}/drain`, "POST");
};
export const reload = async (): Promise<string[]> => (await ask<{ warnings: string[] }>("/api/v1/reload", "POST")).warnings;

const of = (service: string): string => `service=${encodeURIComponent(service)}`;

export const askDemand = (service: string): Promise<Demand> => ask(`/api/v1/demand?${of(service)}&step=1`);
export const askLatency = (service: string): Promise<LatencyHistory> => ask(`/api/v1/latency?${of(service)}`);
export const askForecast = (service: string): Promise<Forecast> => ask(`/api/v1/forecast?${of(service)}`);
export const askLedger = (service: string, from: Date): Promise<Ledger> =>
  ask(`/api/v1/ledger?${of(service)}&from=${from.getTime() / 1000}`);
export const askDecisions = async (before: number, limit: number): Promise<Decision[]> =>
  (await ask<{ decisions: Decision[] }>(`/api/v1/decisions?limit=${limit}${before > 0 ? `&before=${before}` : ""}`)).decisions;

export interface Refusal { status: number; detail: string }

// null: it was done.
async function change(method: "POST" | "DELETE", path: string): Promise<Refusal | null> {
  const answer = await fetch(path, { method, signal: AbortSignal.timeout(PATIENCE_MS), headers: fields("application/json") });
  if (answer.ok) return null;
  const problem = await answer.json() as { detail?: string };
  return { status: answer.status, detail: problem.detail ?? answer.statusText };
}

export const putCampaign = (wishes: URLSearchParams): Promise<Refusal | null> => change("POST", `/api/v1/campaigns?${wishes.toString()}`);
export const removeCampaign = (id: string): Promise<Refusal | null> => change("DELETE", `/api/v1/campaigns/${encodeURIComponent(id)}`);

export async function changeMaintenance(of: Instance, method: "POST" | "DELETE", wishes: URLSearchParams): Promise<Refusal | null> {
  const path = `/api/v1/services/${encodeURIComponent(of.service)}/endpoints/${encodeURIComponent(of.id)}/maintenance`;
  return change(method, `${path}?${wishes.toString()}`);
}

export interface Listener { tick(status: Status): void; decision(decision: Decision): void; open(): void; lost(): void }

const AGAIN_MS = 1000;

// Server-sent events by fetch: an EventSource can't show a token.
async function hear(listener: Listener, signal: AbortSignal): Promise<void> {
  const answer = await fetch("/api/v1/events", { signal, cache: "no-store", headers: fields("text/event-stream") });
  if (!answer.ok || answer.body === null) throw await refusal("/api/v1/events", answer);
  listener.open();
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let pending = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const blocks = (pending + value).split("\n\n");
    pending = blocks.pop() ?? "";
    for (const block of blocks) {
      const lines = new Map(block.split("\n").map((line): [string, string] => {
        const colon = line.indexOf(": ");
        return [line.slice(0, colon), line.slice(colon + 2)];
      }));
      const data = lines.get("data");
      if (data !== undefined && lines.get("event") === "tick") listener.tick(JSON.parse(data) as Status);
      if (data !== undefined && lines.get("event") === "decision") listener.decision(JSON.parse(data) as Decision);
    }
  }
}

// Goes on until it is ended: call what it returns.
export function listen(listener: Listener): () => void {
  const end = new AbortController();
  const again = (): void => {
    if (end.signal.aborted) return;
    listener.lost();
    setTimeout(() => { if (!end.signal.aborted) hear(listener, end.signal).then(again, again); }, AGAIN_MS);
  };
  hear(listener, end.signal).then(again, again);
  return () => end.abort();
}
