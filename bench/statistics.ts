/** What is said of a few measurements of one thing. */

/** The middle value, or the mean of the middle two. @throws {RangeError} for none */
export function median(values: readonly number[]): number {
  if (values.length === 0) throw new RangeError("take a median: there are no values");
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/**
 * The smallest value that at least the share `part` of all values do not exceed (nearest rank).
 *
 * @param part above 0, up to 1
 * @throws {RangeError} for no values
 */
export function percentile(values: readonly number[], part: number): number {
  if (values.length === 0) throw new RangeError("take a percentile: there are no values");
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(part * sorted.length) - 1)]!;
}

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
