/** The gateway between two kernels (test/unit/gateway/bed.test.ts), with more of everything. */
import { expect, it } from 'vitest';
import { bed } from '../support/gateway/bed-run.ts';
import type { Operation } from '../support/gateway/client.ts';
import { patternHash } from '../support/gateway/pattern.ts';
import { ECHO_PORT, SINK_PORT, SOURCE_PORT } from '../support/gateway/servers.ts';

const BYTES = 1 << 30;
const V4 = '10.0.2.2';
const V6 = 'fd76:6d6d:2::2';

it.skipIf(process.getuid?.() !== 0).each<[string, Operation, string]>([
  ['1 GiB from the host', { op: 'get', host: V4, port: SOURCE_PORT }, patternHash(BYTES)],
  ['1 GiB to the host', { op: 'put', host: V6, port: SINK_PORT, bytes: BYTES }, patternHash(BYTES)],
  ['10,000 connections, 500 at once', { op: 'many', host: V4, port: ECHO_PORT, count: 10_000, parallel: 500 }, '10000'],
  ['10,000 connections one after the other', { op: 'many', host: V6, port: ECHO_PORT, count: 10_000, parallel: 1 }, '10000'],
])('%s', async (_, operation, expected) => {
  const { results, left } = await bed({ bytes: BYTES, operations: [operation] });
  expect(results).toEqual([expected]);
  expect(left).toEqual({ connections: 0, bytes: 0, pending: 0 });
});
