import { expect, test } from 'vitest';
import { LinearMemory, acquireLinearMemory, releaseLinearMemory } from '../../../vmm/host/linear-memory.ts';
import { close, memfdCreate, preadTry, pwriteTry } from '../../../vmm/host/sys.ts';

const memory = (): WebAssembly.Memory => new WebAssembly.Memory({ initial: 4, maximum: 4, shared: true });

test('a host address reaches the same byte as the view, for reads and writes by the kernel', () => {
  const linear = new LinearMemory(memory());
  const bytes = new Uint8Array(linear.memory.buffer);
  bytes.set([9, 8, 7], 70000);
  const fd = memfdCreate('test', 16);
  expect(pwriteTry(fd, linear.hostAddress(70000, 3), 3, 0)).toBe(3);
  expect(preadTry(fd, linear.hostAddress(1, 3), 3, 0)).toBe(3);
  expect([...bytes.subarray(0, 5)]).toEqual([0, 9, 8, 7, 0]);
  close(fd);
});

test.each([
  [-1, 1],
  [0, 4 * 65536 + 1],
  [4 * 65536, 1],
  [0.5, 1],
  [0, -1],
  [2 ** 52, 2 ** 52],
  [Number.NaN, 1],
])('a range at %d of %d bytes is refused', (offset, length) => {
  expect(() => new LinearMemory(memory()).hostAddress(offset, length)).toThrowError(/outside the memory/);
});

test('the empty range at the end is inside', () => {
  const linear = new LinearMemory(memory());
  expect(linear.hostAddress(4 * 65536, 0)).toBe(linear.hostAddress(0, 0) + 262144n);
});

test('a mapped file shows in the memory and is gone after anonymous pages replace it', () => {
  const linear = new LinearMemory(memory());
  const bytes = new Uint8Array(linear.memory.buffer);
  const fd = memfdCreate('test', 4096);
  linear.mapOver(8192, 4096, fd);
  bytes[8192] = 77;
  const back = new LinearMemory(memory());
  expect(preadTry(fd, back.hostAddress(0, 1), 1, 0)).toBe(1);
  expect(new Uint8Array(back.memory.buffer)[0]).toBe(77);
  linear.mapAnonymous(8192, 4096);
  expect(bytes[8192]).toBe(0);
  close(fd);
});

test('pieces that are not whole pages cannot be mapped over', () => {
  const linear = new LinearMemory(memory());
  expect(() => linear.mapAnonymous(100, 4096)).toThrowError(/whole pages/);
  expect(() => linear.mapAnonymous(4096, 0)).toThrowError(/whole pages/);
});

test('discarded pages read as zeros', () => {
  const linear = new LinearMemory(memory());
  const bytes = new Uint8Array(linear.memory.buffer);
  bytes.fill(1);
  linear.discard(65536, 65536);
  expect([bytes[65535], bytes[65536], bytes[131071], bytes[131072]]).toEqual([1, 0, 0, 1]);
});

test('a returned memory comes back zeroed for the same size only', () => {
  const first = acquireLinearMemory(5);
  new Uint8Array(first.memory.buffer).fill(3);
  releaseLinearMemory(first);
  expect(acquireLinearMemory(6)).not.toBe(first);
  const again = acquireLinearMemory(5);
  expect(again).toBe(first);
  expect(new Uint8Array(again.memory.buffer).every((byte) => byte === 0)).toBe(true);
});

test('an unshared memory is refused', () => {
  expect(() => new LinearMemory(new WebAssembly.Memory({ initial: 1 }))).toThrowError(/shared/);
});
