/** Throughput of the last two minutes, drawn anew once a second. */

import { HISTORY } from "../device_table.ts";
import { bytes } from "../format.ts";

const [WIDTH, HEIGHT] = [600, 64];

/** @param props.values bytes per second, one a second, the newest last */
export function Chart({ values }: { values: readonly number[] }) {
  const most = Math.max(1, ...values);
  const now = values.at(-1) ?? 0;
  const step = WIDTH / (HISTORY - 1);
  const from = WIDTH - (values.length - 1) * step;
  const points = values.map((value, i) => {
    const y = HEIGHT - 2 - (value / most) * (HEIGHT - 6);
    return `${(from + i * step).toFixed(1)},${y.toFixed(1)}`;
  });
  const line = points.length > 1 ? `M${points.join("L")}` : "";
  return (
    <figure class="chart">
      <figcaption>
        <span>Throughput</span>
        <strong>{bytes(now)}/s</strong>
        <span class="hint">most {bytes(most === 1 ? 0 : most)}/s in two minutes</span>
      </figcaption>
      <svg
        viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
        preserveAspectRatio="none"
        role="img"
        aria-label={`Throughput now ${bytes(now)} per second`}
      >
        <path class="area" d={line && `${line}L${WIDTH},${HEIGHT}L${from.toFixed(1)},${HEIGHT}Z`} />
        <path class="line" d={line} />
      </svg>
    </figure>
  );
}
