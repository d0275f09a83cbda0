// What both benchmarks measure with: CPU time of a process, middle and mean of ratios.
import { readdirSync, readFileSync } from 'node:fs';

/** @param {number[]} list not empty */
export function median(list) {
  const sorted = [...list].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

/** @param {number[]} list positive numbers, not empty */
export function geometricMean(list) {
  return Math.exp(list.reduce((sum, v) => sum + Math.log(v), 0) / list.length);
}

/** CPU time of all living threads of a process, ns. */
export function cpuTime(pid) {
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
