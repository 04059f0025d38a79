// The two charts. Colours come from the style sheet, so that they follow light and dark.

import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import type { Campaign, LeftOut, Maybe } from "./api";
import { factorWords } from "./campaigns";
import { byId, make, setAttribute } from "./dom";
import { clock, milliseconds, rate } from "./format";
import { LATENCIES, PAST_S, pastOf, type LatencyColumn, type Shown, type Trail } from "./state";

const AHEAD_MIN_S = 120;
const FONT = "12px system-ui, sans-serif";

function colour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

interface Line { label: string; colour: string; dash?: number[]; width?: number; fill?: string; stepped?: boolean; points?: boolean }

function series(line: Line): uPlot.Series {
  return {
    label: line.label,
    stroke: () => colour(line.colour),
    width: line.width ?? 2,
    points: { show: false },
    ...(line.fill !== undefined ? { fill: () => colour(line.fill as string) } : {}),
    ...(line.dash !== undefined ? { dash: line.dash } : {}),
    ...(line.stepped === true && uPlot.paths.stepped !== undefined ? { paths: uPlot.paths.stepped({ align: 1 }) } : {}),
  };
}

function axes(format: (value: number) => string): uPlot.Axis[] {
  const shared = { stroke: () => colour("muted"), font: FONT, grid: { stroke: () => colour("line"), width: 1 }, ticks: { show: false } };
  return [
    { ...shared, size: 30, space: 70, values: (_, times) => times.map((time) => clock(time * 1000)) },
    { ...shared, size: 58, space: 36, values: (_, values) => values.map(format) },
  ];
}

// A box that follows the pointer and says what the lines say.
function tooltip(format: (value: number) => string): uPlot.Plugin {
  const box = make("div", { class: "tooltip", hidden: "" });
  return {
    hooks: {
      init: (chart) => chart.over.append(box),
      setCursor: (chart) => {
        const index = chart.cursor.idx;
        box.hidden = index == null || (chart.cursor.left ?? -1) < 0;
        if (index == null || box.hidden) return;
        const rows = chart.series.slice(1).map((one, i): [string, Maybe | undefined] =>
          [String(one.label), chart.data[i + 1]?.[index]]).filter(([, value]) => value != null);
        box.replaceChildren(make("strong", {}, clock((chart.data[0][index] ?? 0) * 1000)),
          ...rows.map(([label, value]) => make("span", {}, `${label} ${format(value as number)}`)));
        const left = chart.cursor.left ?? 0;
        const flip = left > chart.over.clientWidth / 2;
        box.style.left = flip ? "" : `${left + 14}px`;
        box.style.right = flip ? `${chart.over.clientWidth - left + 14}px` : "";
      },
    },
  };
}

abstract class Chart {
  protected plot: uPlot | null = null;
  private readonly host: HTMLElement;

  constructor(id: string, private readonly heightPx: () => number) {
    this.host = byId(id);
    new ResizeObserver(() => this.resize()).observe(this.host);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.plot?.redraw());
  }

  protected abstract options(): Omit<uPlot.Options, "width" | "height">;

  private size(): { width: number; height: number } {
    return { width: Math.max(260, this.host.clientWidth), height: this.heightPx() };
  }

  private resize(): void {
    const size = this.size();
    if (this.plot !== null && (this.plot.width !== size.width || this.plot.height !== size.height)) this.plot.setSize(size);
  }

  protected draw(data: uPlot.AlignedData, words: string): void {
    if (this.plot === null) {
      this.plot = new uPlot({ ...this.options(), ...this.size() }, data, this.host);
    } else {
      this.plot.setData(data);
    }
    setAttribute(this.host, "aria-label", words);
  }
}

// ---- demand ----

// In the order they are painted: what is expected, then what is.
const DEMAND_LINES: Line[] = [
  { label: "q0.9", colour: "forecast-edge", width: 0.5 },
  { label: "q0.1", colour: "forecast-edge", width: 0.5 },
  { label: "forecast", colour: "forecast", dash: [8, 4], width: 1.5 },
  { label: "capacity", colour: "capacity", dash: [2, 3], stepped: true },
  { label: "offered", colour: "demand", fill: "demand-fill" },
  { label: "refused", colour: "refused", fill: "refused-fill" },
  { label: "failed", colour: "failed", fill: "failed-fill" },
];
const LEGEND_ORDER = ["offered", "forecast", "capacity", "refused", "failed"];

function spans(chart: uPlot, campaigns: Campaign[]): void {
  const { ctx } = chart, { left, top, width, height } = chart.bbox;
  ctx.save();
  ctx.font = `${12 * devicePixelRatio}px system-ui, sans-serif`;
  for (const campaign of campaigns) {
    const from = Math.max(left, chart.valToPos(Date.parse(campaign.start) / 1000, "x", true));
    const to = Math.min(left + width, chart.valToPos(Date.parse(campaign.end) / 1000, "x", true));
    if (to <= from) continue;
    ctx.fillStyle = colour("campaign-fill");
    ctx.fillRect(from, top, to - from, height);
    ctx.fillStyle = colour("campaign");
    ctx.fillRect(from, top, to - from, 3 * devicePixelRatio);
    const words = `${campaign.name}${factorWords(campaign)}`;
    const fits = ctx.measureText(words).width < left + width - from - 8 * devicePixelRatio;
    ctx.textAlign = fits ? "left" : "right";
    ctx.fillText(words, fits ? from + 6 * devicePixelRatio : to - 6 * devicePixelRatio, top + 18 * devicePixelRatio);
  }
  ctx.restore();
}

// What was seen and is not learned as demand: it will not be asked for at the same hour again.
function leftOutSpans(chart: uPlot, leftOut: LeftOut[]): void {
  const { ctx } = chart, { left, top, width, height } = chart.bbox;
  ctx.save();
  ctx.font = `${11 * devicePixelRatio}px system-ui, sans-serif`;
  for (const span of leftOut) {
    const from = Math.max(left, chart.valToPos(Date.parse(span.from) / 1000, "x", true));
    const to = Math.min(left + width, chart.valToPos(Date.parse(span.to) / 1000, "x", true));
    if (to <= from) continue;
    ctx.globalAlpha = 0.12;
    ctx.fillStyle = colour("muted");
    ctx.fillRect(from, top, to - from, height);
    ctx.globalAlpha = 1;
    ctx.fillText(`${span.reason}: not learned`, from + 6 * devicePixelRatio, top + 34 * devicePixelRatio);
  }
  ctx.restore();
}

function nowLine(chart: uPlot, now: number): void {
  const { ctx } = chart, { top, height } = chart.bbox;
  const x = Math.round(chart.valToPos(now, "x", true));
  ctx.save();
  ctx.strokeStyle = colour("muted");
  ctx.lineWidth = devicePixelRatio;
  ctx.beginPath();
  ctx.moveTo(x, top);
  ctx.lineTo(x, top + height);
  ctx.stroke();
  ctx.font = `${11 * devicePixelRatio}px system-ui, sans-serif`;
  ctx.fillStyle = colour("muted");
  ctx.textAlign = "right";
  ctx.fillText("now", x - 4 * devicePixelRatio, top + height - 6 * devicePixelRatio);
  ctx.restore();
}

export class DemandChart extends Chart {
  private campaigns: Campaign[] = [];
  private leftOut: LeftOut[] = [];
  private now = 0;
  private past = PAST_S;
  private until = 0;

  constructor() {
    super("demand-chart", () => (innerWidth < 640 ? 240 : 320));
    legend("demand-legend", [...LEGEND_ORDER.flatMap((name) => DEMAND_LINES.find((line) => line.label === name) ?? []),
      { label: "q0.1 – q0.9", colour: "forecast-band", width: 10 }, { label: "campaign", colour: "campaign", width: 4 }]);
  }

  protected options(): Omit<uPlot.Options, "width" | "height"> {
    return {
      series: [{}, ...DEMAND_LINES.map(series)],
      bands: [{ series: [1, 2], fill: () => colour("forecast-band") }],
      axes: axes(rate),
      scales: {
        x: { time: true, range: () => [this.now - this.past, this.until] },
        y: { range: (_, __, max) => [0, Math.max(10, (max ?? 0) * 1.15)] },
      },
      legend: { show: false },
      cursor: { drag: { x: false, y: false }, points: { size: 7 } },
      hooks: { drawClear: [(chart) => leftOutSpans(chart, this.leftOut), (chart) => spans(chart, this.campaigns)], draw: [(chart) => nowLine(chart, this.now)] },
      plugins: [tooltip((value) => `${rate(value)}/s`)],
    };
  }

  update(shown: Shown, campaigns: Campaign[], now: number): void {
    const past = shown.demand, n = past.times.length;
    this.campaigns = campaigns;
    this.leftOut = shown.forecast?.left_out ?? [];
    this.now = now;
    this.past = pastOf(past, now);
    const forecast = shown.forecast;
    const ahead: number[] = [];
    forecast?.times_ms.forEach((ms, i) => {
      if (ms / 1000 > (past.times[n - 1] ?? 0)) ahead.push(i);
    });
    const last = ahead.length > 0 ? (forecast?.times_ms[ahead[ahead.length - 1] as number] ?? 0) / 1000 : 0;
    this.until = Math.max(now + AHEAD_MIN_S, last);
    const times = [...past.times, ...ahead.map((i) => (forecast?.times_ms[i] ?? 0) / 1000)];
    const none: Maybe[] = ahead.map(() => null);
    const future = (values: Maybe[] | undefined): Maybe[] => ahead.map((i) => values?.[i] ?? null);
    const c = past.columns;
    this.draw([
      times,
      [...c.forecast_rps_high, ...future(forecast?.["q0.9"])],
      [...c.forecast_rps_low, ...future(forecast?.["q0.1"])],
      [...c.forecast_rps, ...future(forecast?.["q0.5"])],
      [...c.capacity_rps, ...none],
      [...c.offered_rps, ...none],
      [...c.refused_rps.map(positive), ...none],
      [...c.failed_rps.map(positive), ...none],
    ], this.words(shown));
  }

  private words(shown: Shown): string {
    const c = shown.demand.columns;
    const peak = (shown.forecast?.["q0.5"] ?? []).reduce<number>((most, value) => Math.max(most, value ?? 0), 0);
    return `Demand of ${shown.service}: now ${rate(c.offered_rps.at(-1))} requests per second offered, ` +
      `capacity ${rate(c.capacity_rps.at(-1))}, highest forecast ahead ${rate(peak)}.`;
  }
}

// A line along zero says nothing: only what happened is drawn.
const positive = (value: Maybe): Maybe => (value !== null && value > 0 ? value : null);

// ---- latency ----

const LATENCY_LINES: Record<LatencyColumn, Line> = {
  p50: { label: "p50", colour: "p50" },
  p95: { label: "p95", colour: "p95", dash: [6, 3] },
  p99: { label: "p99", colour: "p99", dash: [2, 3] },
};

export class LatencyChart extends Chart {
  private objective: Maybe = null;
  private now = 0;
  private past = PAST_S;

  constructor() {
    super("latency-chart", () => (innerWidth < 640 ? 200 : 236));
    legend("latency-legend", [...LATENCIES.map((name) => LATENCY_LINES[name]), { label: "objective", colour: "objective", dash: [10, 3] }]);
  }

  protected options(): Omit<uPlot.Options, "width" | "height"> {
    return {
      series: [{}, ...LATENCIES.map((name) => series(LATENCY_LINES[name]))],
      axes: axes(milliseconds),
      scales: {
        x: { time: true, range: () => [this.now - this.past, this.now] },
        y: { range: (_, __, max) => [0, Math.max(10, (max ?? 0) * 1.1)] },
      },
      legend: { show: false },
      cursor: { drag: { x: false, y: false }, points: { size: 7 } },
      hooks: { draw: [(chart) => this.objectiveLine(chart)] },
      plugins: [tooltip(milliseconds)],
    };
  }

  private objectiveLine(chart: uPlot): void {
    const max = chart.scales.y?.max ?? 0;
    if (this.objective === null || this.objective > max) return;
    const { ctx } = chart, { left, width } = chart.bbox;
    const y = Math.round(chart.valToPos(this.objective, "y", true));
    ctx.save();
    ctx.strokeStyle = colour("objective");
    ctx.lineWidth = 1.5 * devicePixelRatio;
    ctx.setLineDash([10 * devicePixelRatio, 3 * devicePixelRatio]);
    ctx.beginPath();
    ctx.moveTo(left, y);
    ctx.lineTo(left + width, y);
    ctx.stroke();
    ctx.restore();
  }

  update(trail: Trail<LatencyColumn>, stage: string, objective: Maybe, now: number): void {
    this.objective = objective;
    this.now = now;
    this.past = pastOf(trail, now);
    const c = trail.columns;
    this.draw([trail.times, c.p50, c.p95, c.p99], `Latency of ${stage === "all" ? "all stages" : stage}: ` +
      LATENCIES.map((name) => `${name} ${milliseconds(c[name].at(-1))}`).join(", "));
  }
}

// Samples of the lines, as they are drawn: dashes tell them apart without colour.
function legend(id: string, lines: Line[]): void {
  const svg = (line: Line): Element => {
    const holder = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    holder.setAttribute("viewBox", "0 0 28 10");
    holder.setAttribute("aria-hidden", "true");
    const stroke = document.createElementNS("http://www.w3.org/2000/svg", "path");
    stroke.setAttribute("d", "M1 5h26");
    stroke.setAttribute("class", `sample ${line.colour}`);
    stroke.setAttribute("stroke-width", String(line.width ?? 2));
    if (line.dash !== undefined) stroke.setAttribute("stroke-dasharray", line.dash.join(" "));
    holder.append(stroke);
    return holder;
  };
  byId(id).replaceChildren(...lines.map((line) => {
    const item = make("li", {}, line.label);
    item.prepend(svg(line));
    return item;
  }));
}
