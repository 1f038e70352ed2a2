/**
 * A run as an SVG file: a panel for each case, a bar for each contender. Vega-Lite draws it: bars,
 * whiskers, axes and their layout are stated, not computed here, and it needs no browser to do it.
 */

import { parse, View } from "vega";
import { compile, type TopLevelSpec } from "vega-lite";
import type { Report } from "./conditions.ts";
import { formatFigure } from "./figures.ts";
import { isUsage, type Row } from "./measure.ts";
import { suitesOf } from "./report.ts";

/** Metrics that tables have and charts have no room for. */
const UNDRAWN = new Set(["p90", "p99.9", "samples"]);
const COLUMNS = 3;
/** Pixels. */
const PANEL_WIDTH = 190;
const BAR = 15;
/** The length of an axis to that of the longest bar, which has its label behind it. */
const LABEL_ROOM = 1.45;

/** Each colour as it is drawn, and what it is on a dark ground. No two may be the same. */
const PALETTE = {
  ground: ["#ffffff", "#0d1117"],
  text: ["#1f2328", "#e6edf3"],
  line: ["#d0d7de", "#30363d"],
  whisker: ["#57606a", "#9ea7b1"],
  ours: ["#0969da", "#4493f8"],
  reference: ["#a8b1bb", "#59626d"],
  tool: ["#bf8700", "#d29922"],
  failed: ["#cf222e", "#f85149"],
} as const;

type Colour = keyof typeof PALETTE;

/** One bar. */
interface Bar {
  readonly contender: string;
  readonly kind: "tunnel" | "reference" | "other tool";
  /** Null for one that failed. */
  readonly median: number | null;
  readonly least: number | null;
  readonly most: number | null;
  readonly label: string;
}

/** @returns the text of an SVG file that needs nothing else */
export async function drawChart(report: Report): Promise<string> {
  const { spec } = compile(specOf(report));
  const view = new View(parse(spec), { renderer: "none" });
  try {
    return finish(await view.toSVG());
  } finally {
    view.finalize();
  }
}

function specOf({ results, quick, machine, began }: Report): TopLevelSpec {
  const suites = suitesOf(results);
  return {
    background: light("ground"),
    padding: 16,
    config: {
      font: "system-ui, sans-serif",
      view: { stroke: null },
      axis: {
        labelColor: light("text"),
        titleColor: light("text"),
        titleFontWeight: "normal",
        gridColor: light("line"),
        domainColor: light("line"),
        tickColor: light("line"),
        labelLimit: 200,
      },
      title: { color: light("text"), anchor: "start" },
      legend: { labelColor: light("text"), titleColor: light("text") },
    },
    title: {
      text: quick ? "A quick run: a first impression" : "Benchmarks",
      subtitle: [
        `${machine.cpu}, ${machine.cores} cores, ${began.slice(0, 10)}. Medians of the rounds; ` +
        "whiskers from the least to the most.",
        "Blue: the tunnel. Grey: its references. Yellow: other tools. »: the bar goes on.",
      ],
      subtitleColor: light("text"),
      fontSize: 20,
      offset: 20,
    },
    spacing: 40,
    vconcat: suites.map((suite) => ({
      title: { text: suite, fontSize: 18, offset: 12 },
      columns: COLUMNS,
      // By the panels alone, so that those of all suites are in line.
      bounds: "flush",
      spacing: { column: 150, row: 75 },
      concat: panels(results.filter((row) => row.suite === suite)),
    })),
  } as TopLevelSpec;
}

function panels(rows: readonly Row[]): object[] {
  const drawn = rows.filter((row) => !isUsage(row) && !UNDRAWN.has(row.metric));
  const keys = [...new Set(drawn.map((row) => JSON.stringify([row.case, row.metric, row.unit])))];
  return keys.map((key) => {
    const [name, metric, unit] = JSON.parse(key);
    const own = drawn.filter((row) =>
      row.case === name && row.metric === metric && row.unit === unit
    );
    return panel(metric ? `${name}: ${metric}` : name, unit, own);
  });
}

function panel(title: string, unit: string, rows: readonly Row[]): object {
  const longest = longestOf(rows);
  const scale = scaleOf(unit, longest);
  const bars = rows.map((row) => barOf(row, longest, scale.by));
  const better = `${rows[0]!.better} is better`;
  const y = {
    field: "contender",
    type: "nominal",
    sort: null,
    axis: { title: null, ticks: false },
  };
  const x = (field: string) => ({ field, type: "quantitative" });
  const text = { type: "text", align: "left", baseline: "middle", dx: 5, fontSize: 10 };
  return {
    title: { text: title, fontSize: 12, fontWeight: "normal", frame: "group" },
    width: PANEL_WIDTH,
    height: { step: BAR },
    data: { values: bars },
    layer: [
      {
        mark: { type: "bar", height: { band: 0.7 } },
        encoding: {
          y,
          x: {
            ...x("median"),
            axis: {
              title: scale.unit ? `${scale.unit}, ${better}` : better,
              tickCount: 4,
              labelExpr: "format(datum.value, datum.value < 1000 ? '~f' : '~s')",
            },
            scale: { domain: [0, LABEL_ROOM * longest * scale.by], nice: false },
          },
          color: {
            field: "kind",
            type: "nominal",
            scale: {
              domain: ["tunnel", "reference", "other tool"],
              range: [light("ours"), light("reference"), light("tool")],
            },
            legend: null,
          },
        },
      },
      {
        mark: { type: "rule", color: light("whisker"), strokeWidth: 1.5 },
        encoding: { y, x: x("least"), x2: { field: "most" } },
      },
      {
        transform: [{ filter: "datum.median !== null" }],
        mark: { ...text, color: light("text") },
        encoding: { y, x: x("most"), text: { field: "label" } },
      },
      {
        transform: [{ filter: "datum.median === null" }],
        mark: { ...text, color: light("failed") },
        encoding: { y, x: { datum: 0 }, text: { field: "label" } },
      },
    ],
  };
}

/** The end of the longest whisker; without a tunnel all can be so fast that nothing else is seen. */
function longestOf(rows: readonly Row[]): number {
  const most = (some: readonly Row[]) => Math.max(0, ...some.flatMap(({ rounds }) => rounds));
  const tunnels = most(rows.filter(({ contender }) => contender !== "direct"));
  return tunnels || most(rows) || 1;
}

function scaleOf(unit: string, longest: number): { unit: string; by: number } {
  if (unit === "µs" && longest >= 1_000) return { unit: "ms", by: 1 / 1_000 };
  if (unit === "ms" && longest >= 10_000) return { unit: "s", by: 1 / 1_000 };
  return { unit, by: 1 };
}

/** @param longest where bars are cut off */
function barOf({ contender, median, rounds, unit, failed }: Row, longest: number, by: number): Bar {
  const kind = contender.startsWith("tunnel ")
    ? "tunnel"
    : /^(direct|bare|plain)\b/.test(contender)
    ? "reference"
    : "other tool";
  if (failed !== undefined || median === undefined) {
    return { contender, kind, median: null, least: null, most: null, label: "failed" };
  }
  const cut = (value: number) => Math.min(value, longest) * by;
  const [least, most] = [Math.min(...rounds), Math.max(...rounds)];
  const label = `${most > longest ? "» " : ""}${formatFigure(median, unit)}`;
  return { contender, kind, median: cut(median), least: cut(least), most: cut(most), label };
}

function light(colour: Colour): string {
  return PALETTE[colour][0];
}

/** Gives the drawing its dark colours: rules of a style sheet outrank attributes. */
function finish(svg: string): string {
  const dark = Object.values(PALETTE).flatMap(([light, dark]) =>
    (["fill", "stroke"] as const).map((name) => `[${name}="${light}"]{${name}:${dark}}`)
  );
  const style = `<style>@media (prefers-color-scheme:dark){${dark.join("")}}</style>`;
  return `${svg.replace(/^<svg[^>]*>/, (open) => `${open}${style}`)}\n`;
}
