/** A time as Go writes it (time.ParseDuration), `1m30s`: the sum of numbers and their units, by what a unit is worth; undefined for another text. */
export function goDuration(text: string, units: Readonly<Record<string, number>>): number | undefined {
  // The longer of two that begin alike comes first.
  const names = Object.keys(units).sort((a, b) => b.length - a.length).join('|');
  const parts = [...text.matchAll(new RegExp(`(\\d+(?:\\.\\d+)?)(${names})`, 'g'))];
  if (parts.length === 0 || parts.map(([all]) => all).join('') !== text) return undefined;
  return parts.reduce((sum, [, number, unit]) => sum + Number(number) * (units[unit as string] as number), 0);
}
