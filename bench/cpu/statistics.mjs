// Middle and mean of ratios.

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
