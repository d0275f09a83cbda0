import { constants } from 'node:os';
import { VmmError } from '../../base/errors.ts';

let names: Map<number, string> | undefined;

/** `EACCES` for 13; of names with the same number the usual one. */
export function errnoName(errno: number): string {
  if (names === undefined) {
    names = new Map();
    for (const [name, value] of Object.entries(constants.errno)) if (!names.has(value)) names.set(value, name);
  }
  return names.get(errno) ?? `errno ${errno}`;
}

/** A system call that failed: `message` is `call(arguments): ERRNO`. */
export class HostCallError extends VmmError {
  readonly call: string;
  readonly errno: number;
  /** As in <errno.h>: `EBUSY`. */
  readonly errnoName: string;

  constructor(call: string, args: readonly unknown[], errno: number, hint?: string) {
    const name = errnoName(errno);
    super('HOST_CALL', `${call}(${args.map(show).join(', ')}): ${name}`, hint === undefined ? {} : { hint });
    this.name = 'HostCallError';
    this.call = call;
    this.errno = errno;
    this.errnoName = name;
  }
}

function show(value: unknown): string {
  if (typeof value === 'bigint') return `0x${value.toString(16)}`;
  if (typeof value === 'string') return JSON.stringify(value);
  if (ArrayBuffer.isView(value)) return `${value.byteLength} bytes`;
  return String(value);
}
