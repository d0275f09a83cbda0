import { readFileSync } from 'node:fs';
import { VmmError } from '../../../base/errors.ts';
import type { JsonObject } from '../../documents/json.ts';

/** What a requirement names as a file, several, or the data itself: `keyPath`, `keyPaths`, `keyData`, `keyDatas` for `key`. At most one of these. Throws TRUST_CONFIG. */
export function filesOf(entry: JsonObject, stem: string, path: string): Buffer[] {
  const given = [`${stem}Path`, `${stem}Paths`, `${stem}Data`, `${stem}Datas`].filter((key) => entry.has(key));
  if (given.length > 1) throw new VmmError('TRUST_CONFIG', `${path}: ${given.join(' and ')} in one requirement`, { hint: 'give one of them' });
  const one = given[0] ?? '';
  const texts = one.endsWith('s') ? entry.strings(one) : one === '' ? [] : [entry.string(one)];
  return one.includes('Data') ? texts.map((text) => Buffer.from(text, 'base64')) : texts.map((text) => readFile(text, path));
}

/** Throws TRUST_CONFIG. */
export function readFile(file: string, path: string): Buffer {
  try {
    return readFileSync(file);
  } catch (cause) {
    throw new VmmError('TRUST_CONFIG', `${path}: cannot read its key ${file}: ${(cause as NodeJS.ErrnoException).code ?? 'error'}`, { cause, hint: 'check its permissions' });
  }
}
