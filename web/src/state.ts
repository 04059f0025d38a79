// What the dashboard knows: the newest status, and the last ten minutes of the service shown.

import type { Demand, Forecast, LatencyHistory, Maybe, Service, Status } from "./api";

export const PAST_S = 600;
const PAST_MIN_S = 120; // of a Tidegate that has just started

export const DEMAND_COLUMNS = ["offered_rps", "refused_rps", "failed_rps", "forecast_rps", "forecast_rps_low",
  "forecast_rps_high", "capacity_rps"] as const;
export type DemandColumn = (typeof DEMAND_COLUMNS)[number];
export const STAGES = ["checkout", "cart", "product", "search", "browse", "other"] as const;
export const LATENCIES = ["p50", "p95", "p99"] as const;
export type LatencyColumn = (typeof LATENCIES)[number];

// Rows in order of time, at most PAST_S seconds of them.
export class Trail<Column extends string> {
  times: number[] = [];
  readonly columns: Record<Column, Maybe[]>;

  constructor(private readonly names: readonly Column[]) {
    this.columns = Object.fromEntries(names.map((name) => [name, [] as Maybe[]])) as Record<Column, Maybe[]>;
  }

  fill(timesMs: number[], columns: Record<Column, Maybe[]>): void {
    this.times = timesMs.map((ms) => ms / 1000);
    for (const name of this.names) this.columns[name] = [...columns[name]];
  }

  append(time: number, row: Record<Column, Maybe>): void {
    const last = this.times.at(-1);
    if (last !== undefined && time <= last) return;
    this.times.push(time);
    for (const name of this.names) this.columns[name].push(row[name]);
    while (this.times.length > 0 && (this.times[0] as number) < time - PAST_S) {
      this.times.shift();
      for (const name of this.names) this.columns[name].shift();
    }
  }
}

// How much of the past a chart shows: PAST_S, or since the first value while it is not that old.
export function pastOf<Column extends string>(trail: Trail<Column>, now: number): number {
  const first = trail.times.findIndex((_, i) => Object.values<Maybe[]>(trail.columns).some((column) => column[i] != null));
  const age = first < 0 ? 0 : now - (trail.times[first] as number);
  return Math.min(PAST_S, Math.max(PAST_MIN_S, age));
}

export interface Shown {
  service: string;
  demand: Trail<DemandColumn>;
  latency: Map<string, Trail<LatencyColumn>>; // by stage; "all" is the whole service
  forecast: Forecast | null;
}

export function show(service: string): Shown {
  const latency = new Map<string, Trail<LatencyColumn>>();
  for (const stage of ["all", ...STAGES]) latency.set(stage, new Trail(LATENCIES));
  return { service, demand: new Trail(DEMAND_COLUMNS), latency, forecast: null };
}

export function fillDemand(shown: Shown, demand: Demand): void {
  shown.demand.fill(demand.times_ms, demand);
  shown.latency.get("all")?.fill(demand.times_ms, {
    p50: demand.latency_ms_p50, p95: demand.latency_ms_p95, p99: demand.latency_ms_p99,
  });
}

export function fillLatency(shown: Shown, history: LatencyHistory): void {
  for (const [stage, columns] of Object.entries(history.stages)) shown.latency.get(stage)?.fill(history.times_ms, columns);
}

export function note(shown: Shown, status: Status): void {
  const service = serviceOf(status, shown.service);
  if (service === undefined) return;
  const time = Math.floor(Date.parse(status.time) / 1000);
  shown.demand.append(time, { ...service, offered_rps: service.demand_rps });
  shown.latency.get("all")?.append(time, service.latency_ms);
  for (const stage of service.stages) shown.latency.get(stage.stage)?.append(time, stage.latency_ms);
}

export function serviceOf(status: Status, name: string): Service | undefined {
  return status.services.find((service) => service.name === name);
}
