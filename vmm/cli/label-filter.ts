/** Whether there is a label as a filter asks, `KEY` or `KEY=VALUE`. */
export function hasLabel(labels: Readonly<Record<string, string>>, text: string): boolean {
  const [key = '', ...rest] = text.split('=');
  return Object.hasOwn(labels, key) && (rest.length === 0 || labels[key] === rest.join('='));
}
