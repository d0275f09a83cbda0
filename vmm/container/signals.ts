import { constants } from 'node:os';
import { VmmError } from '../../base/errors.ts';

/** Number of a signal given by name (`TERM`, `SIGTERM`) or number, 1 to 64. */
export function signalNumber(text: string, option: string): number {
  if (/^\d+$/.test(text)) {
    const n = Number(text);
    if (n >= 1 && n <= 64) return n;
  } else {
    const name = text.toUpperCase().startsWith('SIG') ? text.toUpperCase() : `SIG${text.toUpperCase()}`;
    const rt = /^SIGRTM(IN|AX)([+-]\d+)?$/.exec(name);
    if (rt) {
      const n = (rt[1] === 'IN' ? 34 : 64) + Number(rt[2] ?? 0);
      if (n >= 34 && n <= 64) return n;
    }
    const n = (constants.signals as Readonly<Record<string, number>>)[name];
    if (n !== undefined) return n;
  }
  throw new VmmError('USAGE', `${option}: ${text} is not a signal`, { hint: 'give a name such as SIGTERM or a number from 1 to 64' });
}
