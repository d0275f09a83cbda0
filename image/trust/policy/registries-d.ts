import { VmmError } from '../../../base/errors.ts';

export interface RegistriesEntry {
  /** undefined: of `default-docker`. */
  readonly scope: string | undefined;
  readonly key: string;
  readonly value: string;
}

const LINE = /^( *)(?:"([^"\\]*)"|'([^']*)'|([A-Za-z0-9*[][^\s"'{}#]*)) *:(?: +(.*))?$/;

/**
 * The YAML of containers-registries.d(5): maps in maps, strings at the end. Anything else that YAML has is refused: a part that were
 * misunderstood would hide signatures. Throws REGISTRY_CONFIG.
 */
export function parseRegistriesYaml(text: string, path: string): RegistriesEntry[] {
  const entries: RegistriesEntry[] = [];
  /** Keys that the current line lies below, with their indentation. */
  const above: { key: string; indent: number }[] = [];
  for (const [i, raw] of text.split(/\r?\n/).entries()) {
    if (/^\s*(#|$)/.test(raw) || raw === '---') continue;
    const match = LINE.exec(raw.trimEnd());
    if (match === null) throw bad(path, i, 'is no `key: value`');
    const indent = (match[1] as string).length;
    while ((above.at(-1)?.indent ?? -1) >= indent) above.pop();
    const key = match[2] ?? match[3] ?? match[4] ?? '';
    const value = scalar(match[5] ?? '', path, i);
    const parents = above.map((parent) => parent.key);
    above.push({ key, indent });
    if (value === undefined) continue;
    if (parents.length === 1 && parents[0] === 'default-docker') entries.push({ scope: undefined, key, value });
    else if (parents.length === 2 && parents[0] === 'docker') entries.push({ scope: parents[1] as string, key, value });
    else throw bad(path, i, 'stands neither below default-docker nor below docker');
  }
  return entries;
}

/** undefined: what is below it is its value. */
function scalar(text: string, path: string, line: number): string | undefined {
  const match = /^(?:"([^"\\]*)"|'([^']*)'|([^\s"'{}[\]|>&*!%#][^#]*?))? *(?:#.*)?$/.exec(text);
  if (match === null) throw bad(path, line, 'has a value that is not read here');
  return match[1] ?? match[2] ?? match[3];
}

function bad(path: string, line: number, why: string): VmmError {
  return new VmmError('REGISTRY_CONFIG', `${path}: line ${line + 1} ${why}`, { hint: 'see containers-registries.d(5)' });
}
