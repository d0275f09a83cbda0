import { VmmError } from '../../../base/errors.ts';

/**
 * Canonical JSON as notary signs it (github.com/docker/go/canonical/json, after OLPC's): keys in byte order, no white space, in
 * strings nothing but `"` and `\` escaped, whole numbers only. Throws TRUST_BAD for what has no such form.
 */
export function canonicalJson(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return `"${value.replace(/["\\]/g, '\\$&')}"`;
    case 'boolean':
      return String(value);
    case 'number':
      if (!Number.isSafeInteger(value)) throw new VmmError('TRUST_BAD', `${value} cannot be signed`, { hint: 'trust data has whole numbers only' });
      return String(value);
    case 'object': {
      if (value === null) return 'null';
      if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
      const entries = Object.entries(value).filter(([, field]) => field !== undefined);
      entries.sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
      return `{${entries.map(([key, field]) => `${canonicalJson(key)}:${canonicalJson(field)}`).join(',')}}`;
    }
    default:
      throw new Error(`${typeof value} in JSON`);
  }
}
