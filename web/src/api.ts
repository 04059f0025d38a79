// The API's answers, as openapi.json describes them, and how to ask for them.

export type Maybe = number | null;

export interface Latency { p50: Maybe; p95: Maybe; p99: Maybe }
export interface Stage { stage: string; offered_rps: Maybe; served_rps: Maybe; latency_ms: Latency }
export interface Instance {
  id: string; service: string; pid: number | null; address: string | null; version: string | null;
  state: "starting" | "warm" | "serving" | "ejected" | "draining";
  in_flight: number; latency_ms: Maybe; requests_rps: Maybe; errors_rps: Maybe; cpu_ratio: Maybe;
  memory_bytes: Maybe; startup_ms: Maybe; started: string | null; note: string | null;
}
export interface Service {
  name: string; fleet: string | null; trouble: string | null;
  demand_rps: Maybe; served_rps: Maybe; refused_rps: Maybe; failed_rps: Maybe;
  retries_rps: Maybe; retries_refused_rps: Maybe; hedges_rps: Maybe; hedges_won_rps: Maybe;
  forecast_rps: Maybe; forecast_rps_low: Maybe; forecast_rps_high: Maybe;
  capacity_rps: Maybe; instance_capacity_rps: Maybe;
  objective_ms: Maybe; objective_share_ratio: Maybe; within_objective_ratio: Maybe;
  latency_ms: Latency; stages: Stage[]; in_flight: number; waiting: number; lead_ms: Maybe;
  instances_min: number; instances_max: number; instances_wanted: number; spares_wanted: number;
  reason: string | null; instances: Instance[];
}
export interface Campaign { name: string; kind: string | null; start: string; end: string; multiplier: Maybe }
export interface Store {
  writing: boolean; trouble: string | null; queued_rows: number; written_rows: number; failed_attempts: number;
  dropped_samples: number; dropped_decisions: number; bytes: number;
}
export interface LedgerRow { policy: string; instance_hours: Maybe; cost: Maybe; unserved_requests: Maybe }
export interface Status {
  release: string; time: string; started: string | null; supervisor: number; controller: number; workers: number[];
  plan: number; draining: boolean; currency: string | null;
  verdict: { state: "ok" | "attention" | "trouble"; text: string };
  store: Store | null; services: Service[]; campaigns: Campaign[];
  ledger: { since: string | null; policies: LedgerRow[] };
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
export interface Forecast {
  service: string; step_ms: number; times_ms: number[]; mean: Maybe[]; "q0.1": Maybe[]; "q0.5": Maybe[];
  "q0.9": Maybe[]; provision: Maybe[]; provision_quantile: Maybe;
}
export interface Decision {
  id: number; time: string; kind: string | null; service: string | null; subject: string | null; action: string | null;
  reason: string | null; evidence: Record<string, unknown>; worth: Maybe; noticed_ms: Maybe; healed_ms: Maybe;
}

const PATIENCE_MS = 10000;

async function ask<T>(path: string): Promise<T> {
  const answer = await fetch(path, { signal: AbortSignal.timeout(PATIENCE_MS), headers: { accept: "application/json" } });
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return await answer.json() as T;
}

const of = (service: string): string => `service=${encodeURIComponent(service)}`;

export const askDemand = (service: string): Promise<Demand> => ask(`/api/v1/demand?${of(service)}&step=1`);
export const askLatency = (service: string): Promise<LatencyHistory> => ask(`/api/v1/latency?${of(service)}`);
export const askForecast = (service: string): Promise<Forecast> => ask(`/api/v1/forecast?${of(service)}`);
export const askDecisions = async (before: number, limit: number): Promise<Decision[]> =>
  (await ask<{ decisions: Decision[] }>(`/api/v1/decisions?limit=${limit}${before > 0 ? `&before=${before}` : ""}`)).decisions;

export interface Listener { tick(status: Status): void; decision(decision: Decision): void; open(): void; lost(): void }

// The browser reconnects by itself, except after an answer that is not 200: then we do.
const AGAIN_MS = 2000;

export function listen(listener: Listener): void {
  const source = new EventSource("/api/v1/events");
  source.onopen = () => listener.open();
  source.addEventListener("tick", (event) => listener.tick(JSON.parse(event.data) as Status));
  source.addEventListener("decision", (event) => listener.decision(JSON.parse(event.data) as Decision));
  source.onerror = () => {
    listener.lost();
    if (source.readyState === EventSource.CLOSED) setTimeout(() => listen(listener), AGAIN_MS);
  };
}
