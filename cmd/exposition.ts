/** Metrics as Prometheus reads them: the text format, version 0.0.4. */

import type { Metrics, Sample } from "../core/metrics.ts";

export const CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8";

/** Every metric that has a number. */
export function expose(metrics: Metrics): string {
  let text = "";
  for (const metric of metrics) {
    const { name, help, type } = metric;
    const lines = [...metric.samples()].map((sample) => `${name}${formatSample(sample)}\n`);
    if (lines.length === 0) continue;
    text += `# HELP ${name} ${help.replace(/[\\\n]/g, escape)}\n# TYPE ${name} ${type}\n`;
    text += lines.join("");
  }
  return text;
}

function formatSample({ labels, value }: Sample): string {
  const pairs = Object.entries(labels)
    .map(([label, value]) => `${label}="${value.replace(/[\\\n"]/g, escape)}"`);
  return `${pairs.length > 0 ? `{${pairs.join(",")}}` : ""} ${value}`;
}

function escape(character: string): string {
  return character === "\n" ? "\\n" : `\\${character}`;
}
