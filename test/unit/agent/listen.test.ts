/** LISTEN: connections that processes of the guest make to a port of init's, served by the host. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Stream } from '../../../vmm/agent/transport.ts';
import { type Guest, reasonToSkip, sh, startGuest } from './harness.ts';

const skip = reasonToSkip();
const AT = { address: '169.254.169.254', prefix: 32 };

describe.skipIf(skip !== undefined)(`init: ports that the host serves${skip === undefined ? '' : ` (${skip})`}`, () => {
  let guest: Guest;
  beforeAll(async () => {
    guest = startGuest();
    await guest.session.hello();
  });
  afterAll(async () => {
    await guest[Symbol.asyncDispose]();
  });

  /** Connections that are not closed yet. */
  const open = new Set<Stream>();
  const serve = (port: number, work: (stream: Stream) => void, address = AT, sharedPort?: number): Promise<void> =>
    guest.session.listen({ ...address, port, sharedPort }, (stream) => {
      open.add(stream);
      stream.onClose(() => open.delete(stream));
      work(stream);
    });

  it('what a process sends comes, its end too; the answer goes back, with its end', async () => {
    await serve(79, (stream) => {
      const chunks: Buffer[] = [];
      stream.onData((chunk) => void chunks.push(Buffer.from(chunk)));
      stream.onEnd(() => void stream.write(Buffer.from(Buffer.concat(chunks).toString().toUpperCase())).then(() => stream.end()));
    });
    const { stdout, status } = await sh(guest, 'printf hello | busybox nc 169.254.169.254 79; busybox seq 20000 | busybox nc 169.254.169.254 79 | md5sum; busybox seq 20000 | md5sum');
    const [first, second, third] = stdout.match(/^HELLO(\S+) .*\n(\S+)/)?.slice(0) ?? [];
    expect({ status: status.status, stdout: first?.slice(0, 5), same: second === third }).toEqual({ status: 0, stdout: 'HELLO', same: true });
    while (open.size > 0) await new Promise((resolve) => setTimeout(resolve, 5));
  });

  it('the host may end first, or drop a connection', async () => {
    await serve(81, (stream) => {
      stream.onData(() => {});
      stream.write(Buffer.from('bye')).then(() => stream.end(), () => {});
    });
    await serve(82, (stream) => stream.destroy());
    const { stdout } = await sh(guest, '(sleep 1000 | busybox nc 169.254.169.254 81 > /said) & until grep -q bye /said 2>/dev/null; do :; done; cat /said; busybox nc 169.254.169.254 82 < /dev/null; echo dropped');
    expect(stdout).toBe('byedropped\n');
    while (open.size > 0) await new Promise((resolve) => setTimeout(resolve, 5));
  });

  it('one who opens all that there may be keeps others out only while he has them', async () => {
    let count = 0;
    const all = Promise.withResolvers<void>();
    await serve(83, (stream) => {
      if (++count === 32) all.resolve();
      stream.onData(() => {});
      stream.onEnd(() => stream.end());
    });
    await serve(84, (stream) => {
      stream.onData(() => {});
      void all.promise.then(() => stream.end());
    });
    await sh(guest, 'for i in $(busybox seq 40); do sleep 1000 | busybox nc 169.254.169.254 83 & done; busybox nc 169.254.169.254 84; echo | busybox nc 169.254.169.254 83; kill $(busybox pidof nc sleep)');
    expect(count).toBe(32);
    // Init has room again once it has seen their ends.
    while (count < 33) await sh(guest, 'echo | busybox nc 169.254.169.254 83');
    while (open.size > 0) await new Promise((resolve) => setTimeout(resolve, 5));
  });

  it('a shared port: connections to the address come, and the port is free for who listens at all addresses', async () => {
    const answer = (text: string) => (stream: Stream): void => {
      stream.onData(() => {});
      stream.write(Buffer.from(text)).then(() => stream.end(), () => {});
    };
    await serve(18_112, answer('host'), AT, 80);
    const ask = (to: string): string => `busybox nc ${to} < /dev/null; echo " $?"`;
    const { stdout } = await sh(guest, `${ask('169.254.169.254 80')}; ${ask('169.254.169.254 18112')}; ${ask('127.0.0.1 80')}
busybox nc -ll -p 80 -e /bin/busybox echo app 2>&1 & for i in $(busybox seq 1000); do busybox netstat -tln | grep -q ':80 ' && break; done
${ask('127.0.0.1 80')}; ${ask('169.254.169.254 80')}; ${ask('169.254.169.254 18112')}
kill $!; wait $!; ${ask('169.254.169.254 80')}`);
    expect(stdout.split('\n').filter((line) => line !== '')).toEqual(['host 0', 'host 0', ' 1', 'app', ' 0', 'host 0', 'host 0', 'host 0']);
    while (open.size > 0) await new Promise((resolve) => setTimeout(resolve, 5));
    await expect(serve(18_113, () => {}, { address: 'fd09::253', prefix: 128 }, 80)).rejects.toMatchObject({ message: expect.stringContaining('SHARED_PORT is for addresses of IPv4') });
    await expect(serve(18_114, () => {}, AT, 65_536)).rejects.toMatchObject({ message: expect.stringContaining('LISTEN: malformed') });
  });

  it('IPv6, on lo; a port that is taken, and one that is none', async () => {
    await serve(84, (stream) => {
      stream.onData(() => {});
      stream.write(Buffer.from('six')).then(() => stream.end(), () => {});
    }, { address: 'fd09::254', prefix: 128 });
    expect((await sh(guest, 'busybox nc fd09::254 84 < /dev/null')).stdout).toBe('six');
    await expect(serve(84, () => {}, { address: 'fd09::254', prefix: 128 })).rejects.toMatchObject({ message: expect.stringMatching(/port 84 cannot be had: Address (already )?in use/) });
    await expect(serve(65_536, () => {})).rejects.toMatchObject({ message: expect.stringContaining('LISTEN: malformed') });
    await expect(serve(85, () => {}, { address: '10.0.0.1', prefix: 33 })).rejects.toMatchObject({ message: expect.stringContaining('not an address') });
  });
});
