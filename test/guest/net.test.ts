import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { socketPair } from '../../vmm/host/net.ts';
import { SOCK_DGRAM, SOCK_SEQPACKET, SOCK_STREAM } from '../../vmm/host/uapi/net.ts';
import { BIN, vmm } from '../support/cli/cli.ts';
import { busyboxImage } from '../support/guests/busybox-image.ts';
import { root } from '../support/guests/programs.ts';
import { HANG_MS } from '../support/limits.ts';
import { buildNetcheck, netInitramfs } from '../support/guests/net-image.ts';
import type { NetRun } from '../support/guests/net-program.ts';

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
    const child = spawn('unshare', ['-n', process.execPath, join(root, 'test/support/guests/net-program.ts'), JSON.stringify(whole)], { env, stdio: ['ignore', 'pipe', 'inherit'] });
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

/** The bytes that netcheck's `put` sends, hashed: bits 24 to 31 of each place's product. */
function putHash(length: number): string {
  const hash = createHash('sha256');
  const part = Buffer.alloc(1 << 16);
  for (let sent = 0; sent < length; sent += part.length) {
    for (let i = 0; i < part.length; i++) part[i] = Math.imul(sent + i, 2654435761) >>> 24;
    hash.update(part.subarray(0, Math.min(part.length, length - sent)));
  }
  return hash.digest('hex');
}

describe.skipIf(process.getuid?.() !== 0)('a card on a tap', () => {
  const [bytes, connects] = process.env['VMM_LONG'] === '1' ? [1 << 30, 10_000] : [32 << 20, 2000];
  it('TCP both ways, with hashes; short connections; UDP; IPv6', async () => {
    const { result, seen, connections, hash } = await inNamespace(`${UP}
echo hash $(netcheck get 10.9.0.1 9002 | sha256sum)
echo hash6 $(netcheck get fd09::1 9002 | sha256sum)
echo put $(netcheck put 10.9.0.1 9001 ${bytes})
netcheck many 10.9.0.1 9003 ${connects}
netcheck many fd09::1 9003 500
netcheck datagrams 10.9.0.1 9004 500
netcheck datagrams fd09::1 9004 100
netcheck serve any 7000 1
cat /sys/class/net/eth0/mtu`);
    expect(result, seen.join('\n')).toMatchObject({ kind: 'poweroff' });
    expect(seen).toEqual(expect.arrayContaining([`hash ${hash} -`, `hash6 ${hash} -`, `many ${connects}`, 'many 500', 'echoed true', 'served 1', '1500', `put ${putHash(bytes)}`]));
    expect(seen.filter((line) => /^datagrams (500|100) \d+$/.test(line)).length).toBe(2);
    expect(connections).toBe(connects + 500);
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

  it('a card is plugged in while the guest runs, unplugged, and plugged in to another tap', async () => {
    const carrier = (value: number): string => `while [ $(cat /sys/class/net/eth1/carrier) != ${value} ]; do usleep 1000; done`;
    const { result, seen } = await inNamespace(`${UP}
ip addr add 10.9.1.2/24 dev eth1; ip link set eth1 up
echo before $(cat /sys/class/net/eth1/carrier)
netcheck many 10.9.0.1 9003 2
echo @plug late0
${carrier(1)}
while ! ping -c 1 -W 1 10.9.1.1 >/dev/null; do :; done
netcheck many 10.9.1.1 9003 5
echo @unplug 1
${carrier(0)}
echo '@host ip link show late0 | grep -q NO-CARRIER && ip link del late0'
echo @plug late1
${carrier(1)}
while ! ping -c 1 -W 1 10.9.1.1 >/dev/null; do :; done
netcheck many 10.9.1.1 9003 7
netcheck many 10.9.0.1 9003 2`, {
      spareCards: 1,
      before: ['ip tuntap add vmm0 mode tap', 'ip addr add 10.9.0.1/24 dev vmm0', 'ip link set vmm0 up', 'ip tuntap add late0 mode tap', 'ip addr add 10.9.1.1/24 dev late0', 'ip link set late0 up', 'ip tuntap add late1 mode tap', 'ip addr add 10.9.1.1/24 dev late1', 'ip link set late1 up'],
    });
    expect(result.kind, seen.join('\n')).toBe('poweroff');
    expect(seen.filter((line) => /^(many|plugged|unplugged|before|note)/.test(line))).toEqual(['before 0', 'many 2', 'plugged 1', 'many 5', 'unplugged', 'plugged 1', 'many 7', 'many 2']);
  });

  it('limits of a disk and a card hold, and a capture is what tcpdump’s readers take', async () => {
    const disk = join(mkdtempSync(join(dir, 'limits-')), 'disk');
    const capture = `${disk}.pcap`;
    writeFileSync(disk, '');
    truncateSync(disk, 8 << 20);
    const { seen } = await inNamespace(`${UP}
now() { t=$(cut -d ' ' -f 1 /proc/uptime | tr -d .); echo \${t#0}; }
a=$(now); dd if=/dev/vda of=/dev/null bs=64k count=48 iflag=direct 2>/dev/null
b=$(now); netcheck get 10.9.0.1 9002 | sha256sum
c=$(now); netcheck put 10.9.0.1 9001 ${3 << 20}
d=$(now); echo took $((b-a)) $((c-b)) $((d-c))`, {
      disks: [{ path: disk, readOnly: true, id: 'disk', rate: { bytes: { perSecond: 2 << 20, burst: 65536 } } }],
      cards: [{ cable: { kind: 'tap', name: 'vmm0' }, capture, rate: { rx: { bytes: { perSecond: 8 << 20, burst: 65536 } }, tx: { bytes: { perSecond: 2 << 20, burst: 65536 } } } }],
    });
    // Hundredths of a second for 3 MiB at 2, 16 at 8, 3 at 2: never faster than that.
    const took = seen.find((line) => line.startsWith('took'))?.split(' ').slice(1).map(Number) ?? [];
    expect(took.map((time, i) => time >= ([145, 195, 145][i] as number)), `${took}`).toEqual([true, true, true]);
    // Both directions are there, record behind record up to the file's end.
    const file = readFileSync(capture);
    const macs = new Set<string>();
    let at = 24;
    for (; at < file.length; at += 16 + file.readUInt32LE(at + 8)) macs.add(file.subarray(at + 16 + 6, at + 16 + 12).toString('hex'));
    expect(at).toBe(file.length);
    expect(macs.size).toBe(2);
  });

  it('taps that are open already, with headers and without; datagrams that the other side cuts, both ways', async () => {
    const folder = mkdtempSync(join(dir, 'uso-'));
    const [capture, out] = [join(folder, 'pcap'), join(folder, 'out')];
    const { seen } = await inNamespace(`${UP}ip addr add 10.9.1.2/24 dev eth1; ip link set eth1 up; ip addr add 10.9.2.2/24 dev eth2; ip link set eth2 up
netcheck many 10.9.1.1 9003 3; netcheck many 10.9.2.1 9003 4
netcheck feature eth0 tx-udp-segmentation; netcheck feature eth1 tx-udp-segmentation
netcheck segments 10.9.0.1 9004 40; netcheck segments 10.9.1.1 9004 41; netcheck segments 10.9.2.1 9004 42
netcheck echo any 5353 43 & until grep -q :14E9 /proc/net/udp6; do usleep 1000; done
echo @host ${buildNetcheck()} segments 10.9.0.2 5353 43 '>' ${out}
wait`, {
      before: [...['vmm0', 'vmm1', 'vmm2'].flatMap((tap, i) => [`ip tuntap add ${tap} mode tap${i === 2 ? '' : ' vnet_hdr'}`, `ip addr add 10.9.${i}.1/24 dev ${tap}`, `ip link set ${tap} up`])],
      cards: [{ cable: { kind: 'tap', name: 'vmm0' }, capture }], openTaps: [{ name: 'vmm1', header: true }, { name: 'vmm2', header: false }],
    });
    expect(seen.filter((line) => /^(many|segments)/.test(line)), seen.join('\n')).toEqual(['many 3', 'many 4', 'segments 40', 'segments 41', 'segments 42']);
    expect(readFileSync(out, 'latin1')).toBe('segments 43\n');
    // Where the tap's kernel knows how (Linux 6.2), they went as one frame, each way.
    const file = readFileSync(capture);
    const long: number[] = [];
    for (let at = 24; at < file.length; at += 16 + file.readUInt32LE(at + 8)) if (file[at + 16 + 23] === 17) long.push(file.readUInt32LE(at + 12));
    const knows = release().split('.').map(Number) as [number, number];
    if (knows[0] > 6 || (knows[0] === 6 && knows[1] >= 2)) expect([long.includes(42 + 40_000), long.includes(42 + 43_000)]).toEqual([true, true]);
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

/** Runs shell commands in namespaces of their own, for the network and for processes, so that a server ends with it; $VMM is the CLI. */
function shell(script: string): { status: number | null; stdout: string; stderr: string } {
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('NODE_') && !name.startsWith('VITEST')));
  return spawnSync('unshare', ['-n', '-p', '-f', '--mount-proc', '--kill-child', 'sh', '-c', `ip link set lo up\n${script}`], {
    env: { ...env, VMM_STORE: join(dir, 'store'), VMM: `${process.execPath} -- ${BIN} run -q --accel wasm -m 128m`, DIR: mkdtempSync(join(dir, 'shell-')) }, encoding: 'utf8', timeout: HANG_MS / 5,
    // unshare does not heed SIGTERM while it waits.
    killSignal: 'SIGKILL',
  });
}

const asRoot = describe.skipIf(process.getuid?.() !== 0);
const busybox = (): string => busyboxImage(mkdtempSync(join(dir, 'image-')));
/** A tap with an address, and a web server there. */
const TAP = `ip tuntap add vmm0 mode tap; ip addr add 10.9.0.1/24 dev vmm0; ip link set vmm0 up
echo from the host > $DIR/index.html; busybox httpd -p 10.9.0.1:8000 -h $DIR </dev/null >/dev/null 2>&1
`;
/** What satisfies passt: an interface with an address and default routes. */
const OUTSIDE = `ip tuntap add out0 mode tap; ip addr add 192.0.2.1/24 dev out0; ip -6 addr add 2001:db8::1/64 dev out0 nodad; ip link set out0 up
ip route add default via 192.0.2.254; ip -6 route add default via 2001:db8::99
echo from the host > $DIR/index.html; busybox httpd -p 192.0.2.1:8000 -h $DIR </dev/null >/dev/null 2>&1
`;

asRoot('vmm run on a tap', () => {
  it('addresses, route and files are there when the command runs', () => {
    const script = 'cat /etc/hosts /etc/resolv.conf /etc/hostname; busybox wget -q -O - http://10.9.0.1:8000/; busybox ip -4 addr show eth0; busybox ip route; busybox ip link show lo';
    const result = shell(`${TAP}$VMM --network tap=vmm0,ip=fd09::2/64 --ip 10.9.0.2 --mac-address 02:00:00:00:00:09 --dns 10.9.0.53 --dns-search example.org --dns-option ndots:2 --add-host db:10.9.0.7 -h web ${busybox()} sh -c '${script}'`);
    expect(result.status, result.stderr).toBe(0);
    expect(result.stdout).toMatch(/^10\.9\.0\.7\tdb\n10\.9\.0\.2\tweb\nfd09::2\tweb\nnameserver 10\.9\.0\.53\nsearch example\.org\noptions ndots:2\nweb\nfrom the host\n/m);
    expect(result.stdout).toMatch(/inet 10\.9\.0\.2\/24 brd 10\.9\.0\.255/);
    expect(result.stdout).toMatch(/^default via 10\.9\.0\.1 dev eth0/m);
    expect(result.stdout).toMatch(/lo: <LOOPBACK,UP/);
  });

  it('a network that the guest refuses ends the run with 125 and one line', () => {
    const result = shell(`${TAP}$VMM --network tap=vmm0,ip=0.0.0.0/0 ${busybox()} sleep 100`);
    expect(result.status).toBe(125);
    expect(result.stderr).toMatch(/^vmm: .*eth0 cannot have a route.*\n$/);
  });
});

asRoot('vmm run by passt', () => {
  it('reaches the host’s network, and published ports lead to the container; passt ends with it', () => {
    const inside = 'busybox wget -q -O - http://192.0.2.1:8000/ || exit; mkdir /w; echo from the container > /w/index.html; busybox httpd -p 80 -h /w; echo serving; read line; busybox ip route';
    const result = shell(`${OUTSIDE}mkfifo $DIR/in $DIR/out
$VMM -i --network passt -p 8080:80 -p 127.0.0.1:8090-8091:80-81 -p 5353:53/udp ${busybox()} sh -c '${inside}' <$DIR/in >$DIR/out & exec 3>$DIR/in 4<$DIR/out
read first <&4; read second <&4; echo "$first, $second"
busybox wget -q -O - http://127.0.0.1:8080/; busybox wget -q -O - http://192.0.2.1:8080/; busybox wget -q -O - http://127.0.0.1:8090/
busybox wget -q -O - http://192.0.2.1:8090/ 2>/dev/null || echo not there
grep -c passt /proc/*/comm | grep -c :1
echo >&3; cat <&4; wait; while grep -q passt /proc/*/comm 2>/dev/null; do busybox usleep 1000; done; echo gone`);
    expect(result.stderr).toBe('');
    expect(result.stdout).toMatch(/^from the host, serving\nfrom the container\nfrom the container\nfrom the container\nnot there\n[12]\ndefault via 10\.0\.2\.2 dev eth0[\s\S]*\ngone\n$/);
  });

  it.each([
    ['a port that is taken', '-p 8000:80', /port 8000\/tcp cannot be published: EADDRINUSE .* \[NET_PORT\]/],
    ['a port given twice', '-p 8001:80 -p 127.0.0.1:8001:81', /published twice/],
    ['addresses, which passt gives', '--ip 10.0.0.2', /gives the container its addresses itself/],
  ])('%s is one line', (_name, options, says) => {
    const result = shell(`${OUTSIDE.replace('192.0.2.1:8000', '0.0.0.0:8000')}$VMM --network passt ${options} ${busybox()} true`);
    expect(result.stderr).toMatch(says);
    expect(result.stderr.trimEnd().split('\n').length).toBe(1);
    expect(result.status).toBe(125);
  });

  it('without passt, and without a way out of the host', () => {
    const image = busybox();
    const missing = shell(`${OUTSIDE}PATH=/nonexistent $VMM --network passt ${image} true`);
    expect([missing.status, missing.stderr]).toEqual([125, expect.stringMatching(/^vmm: passt cannot be started: ENOENT .*\[NET_PASST\]\n$/)]);
    const alone = shell(`\${VMM% -q*} --accel wasm -m 128m --network passt ${image} busybox ip link`);
    expect([alone.status, alone.stderr]).toEqual([0, expect.stringMatching(/no external interface: the container has its loopback only\n/)]);
    expect(alone.stdout).not.toMatch(/eth0/);
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

/** Two guests with addresses: one waits for a connection, the other makes it. */
const ANSWERS = 'ip addr add 10.9.0.1/24 dev eth0; ip link set eth0 up; netcheck serve any 7000 1';
const ASKS = `ip addr add 10.9.0.2/24 dev eth0; ip link set eth0 up
while ! ping -c 1 -W 1 10.9.0.1 >/dev/null; do :; done
while ! nc 10.9.0.1 7000 </dev/null; do usleep 10000; done
echo reached`;

describe('a card on a descriptor', () => {
  const boot = (script: string, fd: number) => vmm(
    ['boot', '-q', '--accel', 'wasm', '--memory', '128m', '--initrd', initrd(script), '--append', 'quiet panic=-1 reboot=t tsc=reliable', '--exit-on', 'reboot', '--net', 'fd=3'],
    { descriptors: [fd] },
  );

  it.each([
    ['streams', SOCK_STREAM],
    ['datagrams', SOCK_DGRAM],
    ['seqpackets', SOCK_SEQPACKET],
  ])('two machines at the ends of a pair of sockets of %s', async (_name, type) => {
    const pair = socketPair(type);
    const both = Promise.all([boot(ANSWERS, pair[0]), boot(ASKS, pair[1])]);
    for (const fd of pair) closeSync(fd);
    const [a, b] = await both;
    expect(a.stdout.toString(), a.stderr).toContain('served 1');
    expect(b.stdout.toString(), b.stderr).toContain('reached');
  });

  it('what carries no frames is one line and no machine', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const listener = (server as unknown as { _handle: { fd: number } })._handle.fd;
    const file = openSync(BIN, 'r');
    try {
      for (const [fd, says] of [[file, /neither a tap nor a socket/], [listener, /connected to nobody/]] as const) {
        const { status, stderr, stdout } = await boot('', fd);
        expect([status, stdout.length, stderr.trimEnd().split('\n').length, stderr]).toEqual([125, 0, 1, expect.stringMatching(says)]);
      }
    } finally {
      server.close();
      closeSync(file);
    }
  });
});

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
        boot(ANSWERS),
        boot(ASKS),
      ]);
      expect(a.stdout.toString(), a.stderr).toContain('served 1');
      expect(b.stdout.toString(), b.stderr).toContain('reached');
      expect(frames()).toBeGreaterThan(6);
    } finally {
      server.close();
    }
  });
});
