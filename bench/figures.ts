/** Figures as people read them. */

/** Three digits that count: 0.123, 4.56, 12.3, 789, 12345. */
export function formatNumber(value: number): string {
  if (value === 0) return "0";
  const digits = Math.floor(Math.log10(Math.abs(value)));
  return value.toFixed(Math.min(3, Math.max(0, 2 - digits)));
}

/** With its unit; what is long in a small one is given in the next. */
export function formatFigure(value: number, unit: string): string {
  if (unit === "µs" && value >= 1_000) return formatFigure(value / 1_000, "ms");
  if (unit === "ms" && value >= 10_000) return formatFigure(value / 1_000, "s");
  return unit === "" ? formatNumber(value) : `${formatNumber(value)} ${unit}`;
}
