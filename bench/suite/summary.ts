/** Statistics of the suite: quantiles, bootstrap intervals, outliers. */

/** What a list of samples comes to; intervals are of 95 %. */
export interface Summary {
  readonly samples: number;
  readonly p50: Estimate;
  readonly p90: Estimate;
  readonly p99: Estimate;
  readonly least: number;
  readonly most: number;
  /** Values beyond Tukey's fences (1.5 × the interquartile range). They are told, and stay in the figures. */
  readonly outliers: readonly number[];
}

/** Without an interval where too few samples were taken: resampling cannot show a tail that was never seen. */
export interface Estimate {
  readonly value: number;
  readonly low?: number;
  readonly high?: number;
}

const RESAMPLES = 2000;
/** Fewest samples for an interval. */
const LEAST = 5;

/** Quantile by linear interpolation (Hyndman and Fan's type 7, as R and NumPy have it). `values` is not empty. */
export function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const at = q * (sorted.length - 1);
  const low = Math.floor(at);
  return sorted[low]! + (at - low) * (sorted[Math.min(low + 1, sorted.length - 1)]! - sorted[low]!);
}

export function outliers(values: readonly number[]): number[] {
  const [q1, q3] = [quantile(values, 0.25), quantile(values, 0.75)];
  const reach = 1.5 * (q3 - q1);
  return values.filter((value) => value < q1 - reach || value > q3 + reach);
}

/** xorshift32: the same samples give the same interval. */
function generator(seed: number): () => number {
  let x = seed;
  return () => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return (x >>> 0) / 2 ** 32;
  };
}

/** Percentile bootstrap, 95 %, of a figure of the samples; undefined for fewer than 5. */
export function bootstrap(values: readonly number[], figure: (values: readonly number[]) => number): readonly [low: number, high: number] | undefined {
  if (values.length < LEAST) return undefined;
  const random = generator(0x2545f491);
  const figures = Array.from({ length: RESAMPLES }, () => figure(values.map(() => values[Math.floor(random() * values.length)]!)));
  return [quantile(figures, 0.025), quantile(figures, 0.975)];
}

export function estimate(values: readonly number[], q: number): Estimate {
  const interval = bootstrap(values, (list) => quantile(list, q));
  return { value: quantile(values, q), ...(interval === undefined ? {} : { low: interval[0], high: interval[1] }) };
}

export function summarize(values: readonly number[]): Summary {
  return {
    samples: values.length, p50: estimate(values, 0.5), p90: estimate(values, 0.9), p99: estimate(values, 0.99),
    least: Math.min(...values), most: Math.max(...values), outliers: outliers(values),
  };
}
