import { isIP } from 'node:net';
import { expect, it } from 'vitest';
import { ipVersion } from '../../../vmm/agent/ip-version.ts';
import { randomNumbers } from '../../support/gateway/random.ts';

const WRITTEN = ['', '1.2.3.4', '01.2.3.4', '1.2.3', '1.2.3.4.5', '256.1.1.1', '0.0.0.0', '::', ':::', '::1', '1::', ':1', '1:', '1:2:3:4:5:6:7:8', '1:2:3:4:5:6:7::', '::2:3:4:5:6:7:8', '1:2:3:4::5:6:7:8', '1::2::3', '::ffff:1.2.3.4', '::1.2.3',
  '1:2:3:4:5:6:1.2.3.4', '1:2:3:4:5:6:7:1.2.3.4', '::1.2.3.4:5', 'fe80::1%eth0', 'fe80::1%', 'fe80::1%a b', '%eth0', 'fe80::12345', 'g::', '1.2.3.4%eth0', ' ::1', '::1\n', '1.2.3.4\n', '::.1', '::1.', '1:2:3:4:5:6:7:8::'];

it('says what Node says: of texts as people write them, and of random ones', () => {
  const random = randomNumbers(3);
  const pick = (from: readonly string[]): string => from[Math.floor(random() * from.length)] ?? '';
  const made = Array.from({ length: 40_000 }, () => Array.from({ length: Math.floor(random() * 18) }, () => pick([':', ':', '::', '.', '0', '1', '9', 'f', 'F', '255', '25', 'abcd', '12345', 'g', '%', '%eth0', '-', '1.2.3.4'])).join(''));
  const near = Array.from({ length: 20_000 }, () => {
    const text = [...pick(WRITTEN)];
    text.splice(Math.floor(random() * (text.length + 1)), Math.floor(random() * 2), pick([':', '.', '0', '1', 'f', '%', 'x', '']));
    return text.join('');
  });
  const all = [...WRITTEN, ...made, ...near];
  expect(all.filter((text) => ipVersion(text) !== isIP(text))).toEqual([]);
  expect([4, 6].map((version) => all.filter((text) => isIP(text) === version).length).every((count) => count > 100)).toBe(true);
});
