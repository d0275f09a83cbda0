import { addressOf, ffi } from './ffi.ts';
import { VmmError } from '../../base/errors.ts';

let present: boolean | undefined;

/** Can this thread make system calls of its own? */
export function hasFfi(): boolean {
  if (present === undefined) {
    try {
      ffi();
      present = true;
    } catch (error) {
      if (!(error instanceof VmmError)) throw error;
      present = false;
    }
  }
  return present;
}

interface Place {
  readonly start: number;
  readonly bytes: Uint8Array;
}

const places: Place[] = [];
/** Numbers that no address has. */
let next = 2 ** 50;
const GAP = 2 ** 32;

/**
 * Where a view lies, for calls that take an address: its address, or, without the FFI library, a number by which `bytesAt` finds it again.
 * The view stays as long as the thread, and is not on V8's heap.
 */
export function placeOf(view: ArrayBufferView): number {
  if (hasFfi()) return Number(addressOf(view));
  const known = places.find(({ bytes }) => bytes.buffer === view.buffer && bytes.byteOffset === view.byteOffset);
  if (known !== undefined) return known.start;
  const place = { start: next, bytes: new Uint8Array(view.buffer, view.byteOffset, view.byteLength) };
  next += Math.ceil(view.byteLength / GAP) * GAP;
  places.push(place);
  return place.start;
}

/** What `placeOf` gave numbers: from there to the view's end. */
export function bytesAt(place: number): Uint8Array {
  const found = places.find(({ start, bytes }) => place >= start && place <= start + bytes.length);
  if (found === undefined) throw new VmmError('RANGE', `0x${place.toString(16)} is no place`);
  return found.bytes.subarray(place - found.start);
}
