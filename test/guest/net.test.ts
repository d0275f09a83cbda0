import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BIN, vmm } from '../support/cli/cli.ts';
import { busyboxImage } from '../support/guests/busybox-image.ts';
import { root } from '../support/guests/programs.ts';
import { HANG_MS } from '../support/limits.ts';
import { netInitramfs } from '../support/net-image.ts';
import type { NetRun } from '../support/net-program.ts';

let dir: string;
let count = 0;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'vmm-net-'));
});
afterAll(() => rmSync(dir, { recursive: true }));

const initrd = (script: string): string => netInitramfs(mkdtempSync(join(dir, `${count++}-`)), script);

interface Seen {
  readonly result: { readonly kind: string };
  readonly seen: string[];
  readonly connections: number;
  readonly hash: string;
}

/** Runs net-program.ts in a network namespace of its own. */
function inNamespace(script: string, run: Partial<NetRun> = {}): Promise<Seen> {
  const whole: NetRun = {
    accel: 'wasm', initrd: initrd(script), cards: [{ cable: { kind: 'tap', name: 'vmm0' } }],
    before: ['ip tuntap add vmm0 mode tap', 'ip addr add 10.9.0.1/24 dev vmm0', 'ip -6 addr add fd09::1/64 dev vmm0 nodad', 'ip link set vmm0 up'],
    ...run,
  };
  return new Promise((resolve, reject) => {
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('NODE_') && !name.startsWith('VITEST')));
    const child = spawn('unshare', ['-n', process.execPath, join(root, 'test/support/net-program.ts'), JSON.stringify(whole)], { env, stdio: ['ignore', 'pipe', 'inherit'] });
    let out = '';
    child.stdout.on('data', (bytes: Buffer) => {
      out += bytes.toString();
    });
    const timer = setTimeout(() => child.kill('SIGKILL'), HANG_MS);
    child.on('error', reject);
    child.on('close', (status) => {
      clearTimeout(timer);
      if (status === 0) resolve(JSON.parse(out) as Seen);
      else reject(new Error(`net-program ends with ${status}: ${out}`));
    });
  });
}

const UP = 'echo 0 > /proc/sys/net/ipv6/conf/eth0/accept_dad\nip addr add 10.9.0.2/24 dev eth0\nip -6 addr add fd09::2/64 dev eth0\nip link set eth0 up\n';

/** The bytes that netcheck's `put` sends, hashed. */
function putHash(length: number): string {
  const hash = createHash('sha256');
  const part = Buffer.alloc(1 << 16);
  for (let sent = 0; sent < length; sent += part.length) {
    for (let i = 0; i < part.length; i++) part[i] = Number((BigInt(sent + i) * 2654435761n >> 24n) & 0xffn);
    hash.update(part.subarray(0, Math.min(part.length, length - sent)));
  }
  return hash.digest('hex');
}

describe.skipIf(process.getuid?.() !== 0)('a card on a tap', () => {
  it('TCP both ways, with hashes; short connections; UDP; IPv6', async () => {
    const { result, seen, connections, hash } = await inNamespace(`${UP}
echo hash $(netcheck get 10.9.0.1 9002 | sha256sum)
echo hash6 $(netcheck get fd09::1 9002 | sha256sum)
echo put $(netcheck put 10.9.0.1 9001 ${32 << 20})
netcheck many 10.9.0.1 9003 2000
netcheck many fd09::1 9003 500
netcheck datagrams 10.9.0.1 9004 500
netcheck datagrams fd09::1 9004 100
netcheck serve any 7000 1
cat /sys/class/net/eth0/mtu`);
    expect(result, seen.join('\n')).toMatchObject({ kind: 'poweroff' });
    expect(seen).toEqual(expect.arrayContaining([`hash ${hash} -`, `hash6 ${hash} -`, 'many 2000', 'many 500', 'echoed true', 'served 1', '1500', `put ${putHash(32 << 20)}`]));
    expect(seen.filter((line) => /^datagrams (500|100) \d+$/.test(line)).length).toBe(2);
    expect(connections).toBe(2500);
  });

  it('a link that goes down and up again is seen by the guest, and traffic goes on', async () => {
    const { seen } = await inNamespace(`${UP}
netcheck many 10.9.0.1 9003 3
echo carrier $(cat /sys/class/net/eth0/carrier)
echo @link 0 down
while [ $(cat /sys/class/net/eth0/carrier) = 1 ]; do usleep 1000; done
echo carrier $(cat /sys/class/net/eth0/carrier)
echo @link 0 up
while [ $(cat /sys/class/net/eth0/carrier) = 0 ]; do usleep 1000; done
echo carrier $(cat /sys/class/net/eth0/carrier)
netcheck many 10.9.0.1 9003 3`);
    expect(seen.filter((line) => /^(carrier|many)/.test(line)), seen.join('\n')).toEqual(['many 3', 'carrier 1', 'carrier 0', 'carrier 1', 'many 3']);
  });

  it('two cards, with fixed addresses and an MTU of 9000; a tap that is made is gone with the machine', async () => {
    const mac = { 0: 2, 1: 0, 2: 0, 3: 0, 4: 0, 5: 7 } as unknown as Uint8Array;
    const { seen } = await inNamespace(
      `ip link set eth0 up
ip link set eth1 up
ip addr add 10.9.1.2/24 dev eth1
echo mac $(cat /sys/class/net/eth1/address) $(cat /sys/class/net/eth1/mtu)
echo @host ip addr add 10.9.1.1/24 dev made1; ip link show made1 | grep -c UP
while ! ping -c 1 -W 1 10.9.1.1 >/dev/null; do :; done
echo reached`,
      { cards: [{ cable: { kind: 'tap', name: 'vmm0' } }, { cable: { kind: 'tap', name: 'made1' }, mac, mtu: 9000 }] },
    );
    expect(seen, seen.join('\n')).toEqual(expect.arrayContaining(['mac 02:00:00:00:00:07 9000', 'reached']));
  });

  it('a tap that vanishes is one line, and the guest goes on without a link', async () => {
    const { result, seen } = await inNamespace(`${UP}
netcheck many 10.9.0.1 9003 3
echo @host ip link del vmm0
while [ $(cat /sys/class/net/eth0/carrier) = 1 ]; do usleep 1000; ping -c 1 -W 1 10.9.0.1 >/dev/null; done
echo carrier $(cat /sys/class/net/eth0/carrier)`);
    expect(result.kind).toBe('poweroff');
    expect(seen).toContain('carrier 0');
    expect(seen.filter((line) => line.startsWith('note: card'))).toEqual(['note: card tap=vmm0: it is gone: its link is down']);
  });
});

describe.skipIf(process.getuid?.() !== 0)('vmm run on a tap', () => {
  /** Runs the CLI in a network namespace of its own, with a server on the tap. */
  const run = (args: readonly string[]): { status: number | null; stdout: string; stderr: string } => {
    const script = `ip link set lo up; ip tuntap add vmm0 mode tap; ip addr add 10.9.0.1/24 dev vmm0; ip link set vmm0 up
mkdir ${dir}/www${count}; echo from the host > ${dir}/www${count}/index.html; busybox httpd -p 10.9.0.1:8000 -h ${dir}/www${count} </dev/null >/dev/null 2>&1
${process.execPath} -- ${BIN} "$@"; status=$?; kill $(busybox pidof busybox) 2>/dev/null; exit $status`;
    count++;
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('NODE_') && !name.startsWith('VITEST')));
    // Its own processes too, so that the server ends with it.
    return spawnSync('unshare', ['-n', '-p', '-f', '--mount-proc', '--kill-child', 'sh', '-c', script, 'sh', ...args], { env: { ...env, VMM_STORE: join(dir, 'store') }, encoding: 'utf8', timeout: HANG_MS });
  };

  it('addresses, route and files are there when the command runs', () => {
    const image = busyboxImage(mkdtempSync(join(dir, 'image-')));
    const script = 'cat /etc/hosts /etc/resolv.conf /etc/hostname; busybox wget -q -O - http://10.9.0.1:8000/; busybox ip -4 addr show eth0; busybox ip route; busybox ip link show lo';
    const result = run(['run', '-q', '--accel', 'wasm', '-m', '128m', '--network', 'tap=vmm0,ip=fd09::2/64', '--ip', '10.9.0.2', '--mac-address', '02:00:00:00:00:09', '--dns', '10.9.0.53', '--dns-search', 'example.org', '--dns-option', 'ndots:2', '--add-host', 'db:10.9.0.7', '-h', 'web', image, 'sh', '-c', script]);
    expect(result.status, result.stderr).toBe(0);
    expect(result.stdout).toMatch(/^10\.9\.0\.7\tdb\n10\.9\.0\.2\tweb\nfd09::2\tweb\nnameserver 10\.9\.0\.53\nsearch example\.org\noptions ndots:2\nweb\nfrom the host\n/m);
    expect(result.stdout).toMatch(/inet 10\.9\.0\.2\/24 brd 10\.9\.0\.255/);
    expect(result.stdout).toMatch(/^default via 10\.9\.0\.1 dev eth0/m);
    expect(result.stdout).toMatch(/lo: <LOOPBACK,UP/);
  });

  it('a network that the guest refuses ends the run with 125 and one line', () => {
    const image = busyboxImage(mkdtempSync(join(dir, 'image-')));
    const result = run(['run', '-q', '--accel', 'wasm', '-m', '128m', '--network', 'tap=vmm0,ip=0.0.0.0/0', image, 'sleep', '100']);
    expect(result.status).toBe(125);
    expect(result.stderr).toMatch(/^vmm: .*eth0 cannot have a route.*\n$/);
  });
});

/** A switch with two ports, QEMU's framing on both; what has passed. */
function hub(path: string): Promise<{ server: Server; frames: () => number }> {
  const ports: Socket[] = [];
  let frames = 0;
  const server = createServer((socket) => {
    ports.push(socket);
    let waiting = Buffer.alloc(0);
    socket.on('error', () => {});
    socket.on('close', () => void ports.splice(ports.indexOf(socket), 1));
    socket.on('data', (bytes) => {
      waiting = Buffer.concat([waiting, bytes]);
      for (;;) {
        const length = waiting.length < 4 ? Number.POSITIVE_INFINITY : waiting.readUInt32BE(0);
        if (waiting.length < 4 + length) break;
        frames++;
        for (const other of ports) if (other !== socket) other.write(waiting.subarray(0, 4 + length));
        waiting = waiting.subarray(4 + length);
      }
    });
  });
  return new Promise((resolve) => server.listen(path, () => resolve({ server, frames: () => frames })));
}

describe('a card on a socket', () => {
  it.each([
    ['by system calls', []],
    ['by Node’s own sockets, without the FFI library', ['--require', join(root, 'test/support/cli/no-ffi.cjs')]],
  ])('two machines on one cable with QEMU’s framing, %s', async (_name, node) => {
    const path = join(dir, `hub${count++}`);
    const { server, frames } = await hub(path);
    const boot = (script: string) => vmm(
      ['boot', '-q', '--accel', 'wasm', '--memory', '128m', '--initrd', initrd(script), '--append', 'quiet panic=-1 reboot=t tsc=reliable', '--exit-on', 'reboot', '--net', `unix=${path}`],
      { node },
    );
    try {
      const [a, b] = await Promise.all([
        boot('ip addr add 10.9.0.1/24 dev eth0; ip link set eth0 up; netcheck serve any 7000 1'),
        boot(`ip addr add 10.9.0.2/24 dev eth0; ip link set eth0 up
while ! ping -c 1 -W 1 10.9.0.1 >/dev/null; do :; done
while ! nc 10.9.0.1 7000 </dev/null; do usleep 10000; done
echo reached`),
      ]);
      expect(a.stdout.toString(), a.stderr).toContain('served 1');
      expect(b.stdout.toString(), b.stderr).toContain('reached');
      expect(frames()).toBeGreaterThan(6);
    } finally {
      server.close();
    }
  });
});
