/** Quantities of resource isolators (Kubernetes' resource.Quantity of 2015): `128Mi`, `500m`, `1e3`. */

/** A quantity in units of 10^-9, without loss. */
export interface Quantity {
  readonly nano: bigint;
  /** As it was written. */
  readonly text: string;
}

const FORM = /^([+-]?)(\d*)(?:\.(\d*))?([a-zA-Z]*)([+-]?\d*)$/;
const DECIMAL: Readonly<Record<string, number>> = { n: -9, u: -6, m: -3, '': 0, k: 3, K: 3, M: 6, G: 9, T: 12, P: 15, E: 18 };
const BINARY: Readonly<Record<string, bigint>> = { Ki: 10n, Mi: 20n, Gi: 30n, Ti: 40n, Pi: 50n, Ei: 60n };
/** 2^63 - 1, where the reference's code ends too. */
const MAX = (1n << 63n) - 1n;
const NANO = 10n ** 9n;
const MAX_DIGITS = 40;

/** undefined: it is none. `K` is taken for `k`: the specification lists it, the reference's code does not know it. */
export function parseQuantity(value: unknown): Quantity | undefined {
  const text = typeof value === 'number' ? numberText(value) : value;
  if (typeof text !== 'string' || text.length > MAX_DIGITS) return undefined;
  const match = FORM.exec(text);
  if (match === null) return undefined;
  const [, sign = '', whole = '', fraction = '', suffix = '', exponent = ''] = match;
  if (whole === '' && fraction === '') return undefined;
  const scale = scaleOf(suffix, exponent);
  if (scale === undefined) return undefined;
  const digits = BigInt(`${whole}${fraction}`);
  const power = 9 + scale.ten - fraction.length;
  const factor = 1n << scale.two;
  // What is below a nano is rounded up, away from zero.
  const nano = power >= 0 ? digits * factor * 10n ** BigInt(power) : divideUp(digits * factor, 10n ** BigInt(-power));
  const bounded = nano > MAX * NANO ? MAX * NANO : nano;
  return { nano: sign === '-' ? -bounded : bounded, text };
}

/** In whole units, rounded up. */
export function wholeOf({ nano }: Quantity): bigint {
  return nano >= 0n ? divideUp(nano, NANO) : nano / NANO;
}

/** In thousandths, rounded up. */
export function milliOf({ nano }: Quantity): bigint {
  return nano >= 0n ? divideUp(nano, 10n ** 6n) : nano / 10n ** 6n;
}

function divideUp(a: bigint, b: bigint): bigint {
  return (a + b - 1n) / b;
}

/** JSON's numbers: 1e21 and beyond are none of ours. */
function numberText(value: number): string {
  const text = String(value);
  return text.includes('e') ? '' : text;
}

function scaleOf(suffix: string, exponent: string): { ten: number; two: bigint } | undefined {
  if (suffix === 'e' || suffix === 'E') {
    if (/\d/.test(exponent)) return Math.abs(Number(exponent)) <= 18 ? { ten: Number(exponent), two: 0n } : undefined;
  }
  if (exponent !== '') return undefined;
  const two = Object.hasOwn(BINARY, suffix) ? BINARY[suffix] : undefined;
  if (two !== undefined) return { ten: 0, two };
  const ten = Object.hasOwn(DECIMAL, suffix) ? DECIMAL[suffix] : undefined;
  return ten === undefined ? undefined : { ten, two: 0n };
}
