// Numbers and times as words, in one place. What is not known is a dash.

export const UNKNOWN = "–";
export type Known = number | null | undefined;

function digits(value: number, places: number): string {
  return value.toLocaleString("en", { minimumFractionDigits: places, maximumFractionDigits: places });
}

export function rate(value: Known): string {
  if (value == null) return UNKNOWN;
  return digits(value, value !== 0 && Math.abs(value) < 10 ? 1 : 0);
}

export function milliseconds(value: Known): string {
  if (value == null) return UNKNOWN;
  if (value >= 10000) return `${digits(value / 1000, 0)} s`;
  if (value >= 1000) return `${digits(value / 1000, 1)} s`;
  return `${digits(value, value !== 0 && value < 10 ? 1 : 0)} ms`;
}

export function bytes(value: Known): string {
  if (value == null) return UNKNOWN;
  const units = ["B", "KiB", "MiB", "GiB"];
  let unit = 0;
  for (; value >= 1024 && unit < units.length - 1; unit++) value /= 1024;
  return `${digits(value, unit > 0 && value < 10 ? 1 : 0)} ${units[unit]}`;
}

export function percent(ratio: Known, places = 0): string {
  return ratio == null ? UNKNOWN : `${digits(ratio * 100, places)} %`;
}

export function count(value: number, one: string, many = `${one}s`): string {
  return `${digits(value, 0)} ${value === 1 ? one : many}`;
}

export function span(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
  return `${Math.floor(seconds / 86400)} d ${Math.floor((seconds % 86400) / 3600)} h`;
}

export function clock(ms: number): string {
  return new Date(ms).toLocaleTimeString("en-GB");
}

export function money(value: Known, currency: string | null): string {
  if (value == null) return UNKNOWN;
  const places = Math.abs(value) < 1 ? 4 : 2;
  return currency === null ? digits(value, places) : `${digits(value, places)} ${currency}`;
}
