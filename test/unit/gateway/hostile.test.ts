/** Guests, callers and servers that mean no good, or do nothing: what is kept of them is bounded, and others go on. */
import { once } from 'node:events';
import { connect, createServer, type AddressInfo } from 'node:net';
import { describe, expect, it } from 'vitest';
import { Forwarder } from '../../../vmm/gateway/dns/forwarder.ts';
import { Gateway } from '../../../vmm/gateway/gateway.ts';
import { bed } from '../../support/gateway/bed-run.ts';
import { bedConfig } from '../../support/gateway/bed.ts';
import { patternHash } from '../../support/gateway/pattern.ts';
import { ByHand, gatewayWay } from '../../support/gateway/scripts.ts';
import { ECHO_PORT, SOURCE_PORT } from '../../support/gateway/servers.ts';

const V4 = '10.0.2.2';
/** What is sent there vanishes (bed-program.ts). */
const HOLE = '198.51.100.2';

describe.skipIf(process.getuid?.() !== 0)('between two kernels', () => {
  it('a flood of SYNs to where nobody answers: 256 wait, the others are refused at once, and after a while the oldest give way', async () => {
    const { results, most } = await bed({ bytes: 0, hurry: true, operations: [
      { op: 'dial', host: HOLE, port: 80, count: 1500, ms: 6000 },
      { op: 'many', host: V4, port: ECHO_PORT, count: 20, parallel: 1 },
    ] });
    expect(results).toEqual([JSON.stringify({ refused: 1500 - 256, waiting: 256 }), '20']);
    expect(most.pending).toBeLessThanOrEqual(256);
  });

  it('300 connections that are never read: their bytes are bounded, and others have room', async () => {
    const bytes = 2 << 20;
    const { results, most } = await bed({ bytes, operations: [
      { op: 'hoard', host: V4, port: SOURCE_PORT, count: 300 },
      { op: 'many', host: V4, port: ECHO_PORT, count: 20, parallel: 5 },
      { op: 'get', host: V4, port: SOURCE_PORT },
    ] });
    expect(results).toEqual(['300', '20', patternHash(bytes)]);
    expect(most.bytes).toBeLessThanOrEqual(96 << 20);
    expect(most.bytes).toBeGreaterThan(16 << 20);
  });

  it('datagrams to 1,500 ports: 1,024 flows at most, those that are used least go, and others go on', async () => {
    const { results, most } = await bed({ bytes: 0, operations: [{ op: 'spray', host: HOLE, count: 1500 }, { op: 'datagrams', host: V4, port: ECHO_PORT, count: 5, size: 100 }] });
    expect(results).toEqual(['1500', '5']);
    expect(most.flows).toBe(1024);
  });

  it('a resolver that says nothing: 600 questions at once are all answered with a failure', async () => {
    const { results } = await bed({ bytes: 0, resolver: HOLE, operations: [{ op: 'ask', server: '10.0.2.3', count: 600 }] });
    expect(results).toEqual([JSON.stringify({ 2: 600 })]);
  });
});

describe('alone', () => {
  it('callers of a published port whom the guest does not answer take 256 places at most; those beyond are reset', async () => {
    const gateway = new Gateway(bedConfig(), { frames: () => {}, denied: () => {} });
    const server = createServer({ pauseOnConnect: true }, (socket) => {
      socket.on('error', () => {});
      if (!gateway.accept(socket, 80)) socket.resetAndDestroy();
    }).listen({ port: 0, host: '127.0.0.1', backlog: 1024 });
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const clients = Array.from({ length: 400 }, () => connect(port, '127.0.0.1'));
    let reset = 0;
    const enough = new Promise<void>((resolve) => {
      for (const client of clients) client.on('error', () => ++reset === 400 - 256 && resolve());
    });
    await enough;
    expect([gateway.tcp.size, gateway.tcp.pending]).toEqual([256, 256]);
    const closed = Promise.all(clients.filter(({ destroyed }) => !destroyed).map((client) => new Promise((resolve) => client.once('close', resolve))));
    gateway.close();
    await closed;
    expect([gateway.tcp.size, gateway.tcp.pending, gateway.tcp.budget.used]).toEqual([0, 0, 0]);
    server.close();
  });

  it('who asks for names by TCP and takes no answer is reset, before what all share is spent', async () => {
    const { link, ...config } = bedConfig();
    const gateway = new Gateway({ ...config, link: { ...link, v6: undefined } }, { frames: () => {}, denied: () => {} });
    // Without IPv6 there is an answer at once.
    const query = [0, 31, 0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 97, 7, 101, 120, 97, 109, 112, 108, 101, 3, 111, 114, 103, 0, 0, 28, 0, 1];
    const client = new ByHand(gatewayWay(gateway, [10, 0, 2, 3], 53), 5000, 77);
    expect(await client.hoard(Array.from({ length: 40 }, () => query).flat(), 1000)).toBe(true);
    expect([gateway.tcp.size, gateway.tcp.budget.used]).toEqual([0, 0]);
    gateway.close();
  });

  it('a server of names that sends its answer byte by byte, for ever, is given up', async () => {
    const server = createServer((socket) => {
      socket.on('error', () => {});
      // A message of 65,535 bytes has begun.
      const timer = setInterval(() => socket.write('\xff', 'latin1'), 100);
      socket.on('close', () => clearInterval(timer));
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const forwarder = new Forwarder({ servers: [{ address: '127.0.0.1', port }], v6: true, policy: { asks: () => true, answered: () => true } });
    const query = Uint8Array.from([0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 97, 0, 0, 1, 0, 1]);
    const answer = await new Promise<Uint8Array>((resolve) => forwarder.ask(query, true, resolve));
    expect((answer[3] as number) & 15).toBe(2);
    server.close();
  });
});
