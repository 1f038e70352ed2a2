/** What is said of many measurements of one thing. */

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
