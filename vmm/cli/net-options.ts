import { VmmError } from '../api/errors.ts';
import type { CableSpec, CardSpec } from '../api/machine.ts';

const HINT = 'write tap=NAME, fd=N, unix=PATH or none, then perhaps ,mac=02:00:00:00:00:01 and ,mtu=1500';

/** `tap=NAME|fd=N|unix=PATH|none[,mac=MAC][,mtu=N]`; a comma in a path is written twice. Undefined: no card. */
export function parseCard(text: string, option: string): CardSpec | undefined {
  const [first = '', ...rest] = text.split(/(?<!,),(?!,)/).map((part) => part.replaceAll(',,', ','));
  let mac: Uint8Array | undefined;
  let mtu: number | undefined;
  for (const part of rest) {
    if (part.startsWith('mac=')) mac = parseMac(part.slice(4), option);
    else if (part.startsWith('mtu=')) mtu = parseMtu(part.slice(4), option);
    else throw new VmmError('USAGE', `${option}: ${part} is not an option of a card`, { hint: HINT });
  }
  if (first === 'none') {
    if (rest.length > 0) throw new VmmError('USAGE', `${option}: ${text} has options of a card that is not there`, { hint: HINT });
    return undefined;
  }
  return { cable: parseCable(first, option), mac, mtu };
}

function parseCable(text: string, option: string): CableSpec {
  const at = text.indexOf('=');
  const [kind, what] = at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)];
  if (what !== '') {
    if (kind === 'tap') return { kind, name: what };
    if (kind === 'unix') return { kind, path: what };
    if (kind === 'fd' && /^\d{1,6}$/.test(what) && Number(what) > 2) return { kind, fd: Number(what) };
  }
  throw new VmmError('USAGE', `${option}: ${text} is not a network`, { hint: HINT });
}

/** A unicast address. */
function parseMac(text: string, option: string): Uint8Array {
  const bytes = text.split(/[:-]/).map((part) => (/^[0-9a-fA-F]{1,2}$/.test(part) ? Number.parseInt(part, 16) : Number.NaN));
  if (bytes.length !== 6 || bytes.some(Number.isNaN)) throw new VmmError('USAGE', `${option}: ${text} is not an Ethernet address`, { hint: 'for example 02:00:00:00:00:01' });
  if (((bytes[0] as number) & 1) !== 0) throw new VmmError('USAGE', `${option}: ${text} is a group’s address, not a card’s`, { hint: 'its first byte must be even, for example 02:00:00:00:00:01' });
  if (bytes.every((byte) => byte === 0)) throw new VmmError('USAGE', `${option}: ${text} is no card’s address`, { hint: 'for example 02:00:00:00:00:01' });
  return Uint8Array.from(bytes);
}

function parseMtu(text: string, option: string): number {
  const mtu = Number(text);
  if (!/^\d{1,5}$/.test(text) || mtu < 68 || mtu > 65535) throw new VmmError('USAGE', `${option}: an mtu of ${text} is not a number from 68 to 65535`, { hint: '1500 is Ethernet’s' });
  return mtu;
}
