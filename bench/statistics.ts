// What the benchmarks measure with: CPU time of a process; middle, mean and bounds of ratios.
import { readdirSync, readFileSync } from 'node:fs';

/** `list` is not empty. */
export function median(list: readonly number[]): number {
  const sorted = [...list].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[half]! : (sorted[half - 1]! + sorted[half]!) / 2;
}

/** `list`: positive numbers, not empty. */
export function geometricMean(list: readonly number[]): number {
  return Math.exp(list.reduce((sum, v) => sum + Math.log(v), 0) / list.length);
}

/** One-sided upper 95 % bound of the median by order statistics; undefined for fewer than 5 values. */
export function upperBound(list: readonly number[]): number | undefined {
  const sorted = [...list].sort((a, b) => a - b);
  const n = sorted.length;
  let choose = 1;
  let tail = 0;
  let rank: number | undefined;
  for (let k = n; k > n / 2; k--) {
    tail += choose / 2 ** n;
    choose = (choose * k) / (n - k + 1);
    if (tail > 0.05) break;
    rank = k;
  }
  return rank === undefined ? undefined : sorted[rank - 1];
}

/** The lower bound, as `upperBound`. */
export function lowerBound(list: readonly number[]): number | undefined {
  const bound = upperBound(list.map((value) => -value));
  return bound === undefined ? undefined : -bound;
}

/** CPU time of all living threads of a process, ns. */
export function cpuTime(pid: number): number {
  let sum = 0;
  for (const task of readdirSync(`/proc/${pid}/task`)) {
    try {
      sum += Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'latin1').split(' ')[0]);
    } catch {
      // the thread has ended meanwhile
    }
  }
  return sum;
}
