import { createHash, randomBytes as nodeRandom } from 'node:crypto';
import { expect, test } from 'vitest';
import { randomBytes } from '../../../base/random.ts';
import { Sha256, sha256 } from '../../../base/sha256.ts';

const theirs = (...pieces: readonly Uint8Array[]): string => {
  const hash = createHash('sha256');
  for (const piece of pieces) hash.update(piece);
  return hash.digest('hex');
};

test('the digest is that of node:crypto at each length around a block, and where node:crypto takes over', () => {
  for (const length of [...Array.from({ length: 200 }, (_, i) => i), 1023, 1024, 1025, 16383, 16384, 16385, 100_000]) {
    const text = nodeRandom(length).toString('latin1');
    expect(new Sha256().update(text, 'latin1').hex(), `${length} bytes`).toBe(theirs(Buffer.from(text, 'latin1')));
  }
});

test('pieces make the digest of the whole, text is UTF-8', () => {
  const pieces = Array.from({ length: 400 }, (_, i) => nodeRandom(i).toString('latin1'));
  const hash = new Sha256();
  for (const piece of pieces) hash.update(piece, 'latin1');
  expect(hash.hex()).toBe(theirs(...pieces.map((piece) => Buffer.from(piece, 'latin1'))));
  expect(sha256('größer als 7 µm: 𝄞')).toBe(theirs(Buffer.from('größer als 7 µm: 𝄞', 'utf8')));
});

test('random bytes come in each length, none twice, and are not kept', () => {
  const seen = new Set<string>();
  for (let i = 0; i < 200; i++) seen.add(randomBytes(12).toString('hex'));
  expect(seen.size).toBe(200);
  for (const length of [0, 1, 64, 255, 256, 257, 5000]) expect(randomBytes(length).length).toBe(length);
  const first = randomBytes(200);
  const copy = Buffer.from(first);
  randomBytes(200);
  expect(first.equals(copy)).toBe(true);
  // Of a million bits half are ones, within six standard deviations.
  const ones = Array.from({ length: 500 }, () => randomBytes(250)).reduce((sum, bytes) => sum + bytes.reduce((all, byte) => all + byte.toString(2).replaceAll('0', '').length, 0), 0);
  expect(Math.abs(ones - 500_000)).toBeLessThan(3000);
});
