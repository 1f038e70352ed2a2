/** What is said of a few measurements of one thing, taken in rounds. */

import { median, percentile } from "../core/statistics.ts";

export { median, percentile };

/** The distance of the extremes as a share of the median: 0.1 for 95, 100, 105. */
export function spread(values: readonly number[]): number {
  const range = Math.max(...values) - Math.min(...values);
  return range === 0 ? 0 : range / median(values);
}

/**
 * How `values` compare to `reference`, which were measured in turn with them: the median of the
 * ratios within each round, so that what changes from round to round does not count. Rounds that
 * only one of the two finished are left out.
 *
 * @returns undefined when no round has both
 */
export function ratio(
  values: readonly (number | undefined)[],
  reference: readonly (number | undefined)[],
): number | undefined {
  const ratios = values.flatMap((value, round) => {
    const other = reference[round];
    return value === undefined || other === undefined ? [] : [value / other];
  });
  return ratios.length === 0 ? undefined : median(ratios);
}
