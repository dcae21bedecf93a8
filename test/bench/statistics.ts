/**
 * Returns the quantile of the values for `share`, from 0 to 1. The result is one of the values, without interpolation.
 */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((one, other) => one - other);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
}

/** Returns the median of the values. */
export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}
