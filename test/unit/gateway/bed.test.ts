/** The gateway's TCP and UDP against this machine's kernel at both ends: a tap in a namespace of its own on one side, sockets on the other. */
import { describe, expect, it } from 'vitest';
import { bed } from '../../support/gateway/bed-run.ts';
import type { Weather } from '../../support/gateway/bed.ts';
import type { BedRun, BedSeen } from '../../support/gateway/bed-program.ts';
import type { Operation } from '../../support/gateway/client.ts';
import type { Zone } from '../../support/gateway/names.ts';
import { patternHash } from '../../support/gateway/pattern.ts';
import { CLOSED_PORT, ECHO_PORT, HALF_PORT, LAZY_PORT, RESET_PORT, SINK_PORT, SOURCE_PORT } from '../../support/gateway/servers.ts';

/** Each with what the guest must see. `bytes`: of a long connection. */
function cases(host: string, bytes: number): [Operation, string][] {
  return [
    [{ op: 'get', host, port: SOURCE_PORT }, patternHash(bytes)],
    // A half-close: the answer comes after the guest has ended its side.
    [{ op: 'put', host, port: SINK_PORT, bytes }, patternHash(bytes)],
    // Nobody reads: both windows close, and open again.
    [{ op: 'put', host, port: LAZY_PORT, bytes: 6 << 20 }, patternHash(6 << 20)],
    [{ op: 'many', host, port: ECHO_PORT, count: 200, parallel: 50 }, '200'],
    [{ op: 'get', host, port: CLOSED_PORT }, 'ECONNREFUSED'],
    [{ op: 'put', host, port: RESET_PORT, bytes: 100 }, 'ECONNRESET'],
    [{ op: 'get', host, port: HALF_PORT }, '4 5fb6a47e368e12e5d8b19280796e6a3d146fe391ed2e967d5f95c55bfb0f9c2f'],
    // Longer than the link's MTU: fragments both ways.
    [{ op: 'datagrams', host, port: ECHO_PORT, count: 20, size: 4000 }, '20'],
  ];
}

async function check(weather: BedRun['weather'], all: [Operation, string][], bytes: number, zone: Zone = {}): Promise<BedSeen> {
  const seen = await bed({ weather: weather ?? {}, zone, operations: all.map(([operation]) => operation), bytes });
  expect(all.map(([operation], i) => [operation, seen.results[i]])).toEqual(all);
  // Nothing is left of connections that are over.
  expect(seen.left).toEqual({ connections: 0, bytes: 0, pending: 0 });
  return seen;
}

const V4 = '10.0.2.2';
const V6 = 'fd76:6d6d:2::2';

describe.skipIf(process.getuid?.() !== 0)('the gateway between two kernels', () => {
  it('both families: long connections, half-close, closed windows, refusals, resets, short connections, fragments', async () => {
    const bytes = 64 << 20;
    const seen = await check({}, [...cases(V4, bytes), ...cases(V6, bytes)], bytes);
    expect(seen.counters).toMatchObject({ refused: 0, crowded: 0 });
  });

  it('500 connections at once, then 2,000 one after the other', async () => {
    await check({}, [[{ op: 'many', host: V4, port: ECHO_PORT, count: 500, parallel: 500 }, '500'], [{ op: 'many', host: V4, port: ECHO_PORT, count: 2000, parallel: 1 }, '2000']], 0);
  });

  it('names: of the host’s server, those that are long by TCP, and the gateway’s refusals', async () => {
    const long = 'x'.repeat(3000);
    const zone: Zone = { 'a.example.org': [{ type: 'A', value: '192.0.2.7' }], 'inside.example.org': [{ type: 'A', value: '127.0.0.1' }], 'long.example.org': [{ type: 'TXT', value: long }] };
    const resolve = (name: string, type: string, server = '10.0.2.3'): Operation => ({ op: 'resolve', server, name, type });
    await check({}, [
      [resolve('a.example.org', 'A'), '["192.0.2.7"]'],
      [resolve('A.Example.ORG', 'A', '[fd76:6d6d:2::3]'), '["192.0.2.7"]'],
      [resolve('long.example.org', 'TXT'), JSON.stringify([long.match(/.{1,255}/g)])],
      [resolve('not.example.org', 'A'), 'ENOTFOUND'],
      // An address that no name may lead to.
      [resolve('inside.example.org', 'A'), 'ENODATA'],
    ], 0, zone);
  });

  it('a guest that reads slowly gets all of it', async () => {
    await check({}, [[{ op: 'get', host: V4, port: SOURCE_PORT, slow: 5 }, patternHash(8 << 20)]], 8 << 20);
  });

  it.each<[string, Weather]>([
    ['lost both ways', { lostTo: 0.01, lostFrom: 0.01 }],
    ['lost, swapped and doubled, in frames of the MTU', { lostTo: 0.01, lostFrom: 0.01, swapped: 0.02, doubled: 0.02, plain: true }],
    ['swapped and doubled often', { swapped: 0.2, doubled: 0.2, plain: true }],
    ['one in twenty lost', { lostTo: 0.05, lostFrom: 0.05 }],
  ])('frames %s', async (_, weather) => {
    const bytes = 2 << 20;
    const seen = await check(weather, cases(V4, bytes), bytes);
    expect(seen.frames.lost > 0 || weather.lostTo === undefined).toBe(true);
  });
});
