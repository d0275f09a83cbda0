/** A network namespace that plays the host, joined to one that plays the world outside; networks' definitions, with leases of their own. */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { busyboxImage } from '../support/guests/busybox-image.ts';
import { HANG_MS } from '../support/limits.ts';
import { buildStage1, Stage0 } from './stage0.ts';

const ip = (...args: readonly string[]): void => void execFileSync('ip', args, { timeout: HANG_MS });
let count = 0;

/** A played host, a stage0 on it and a root with busybox, as long as a file of tests runs; nothing where the tests are not root's. */
export function playedHost(): { readonly played: PlayedHost; readonly stage0: Stage0; readonly rootfs: string } {
  let made: { played: PlayedHost; stage0: Stage0; rootfs: string } | undefined;
  beforeAll(() => {
    if (process.getuid?.() !== 0) return;
    const played = new PlayedHost();
    made = { played, rootfs: busyboxImage(join(played.dir, 'rootfs')), stage0: new Stage0(buildStage1(), played.host) };
  });
  afterAll(() => {
    made?.stage0.close();
    made?.played.close();
  });
  const there = (): NonNullable<typeof made> => {
    if (made === undefined) throw new Error('only root plays a host');
    return made;
  };
  return {
    get played() { return there().played; },
    get stage0() { return there().stage0; },
    get rootfs() { return there().rootfs; },
  };
}

export class PlayedHost {
  readonly dir = mkdtempSync(join(tmpdir(), 'vmm-stage1-net-'));
  readonly config = join(this.dir, 'etc');
  readonly host = `vmm-rkt-${process.pid}-${++count}`;
  readonly world = `vmm-world-${process.pid}-${count}`;

  constructor() {
    mkdirSync(join(this.config, 'net.d'), { recursive: true });
    const define = (file: string, network: Record<string, unknown>): void => writeFileSync(join(this.config, 'net.d', file), JSON.stringify(network));
    const ipam = (subnet: string): Record<string, unknown> => ({ type: 'host-local', subnet, dataDir: join(this.dir, 'leases') });
    // As rkt's own, but for the place of the leases.
    define('99-default.conf', { cniVersion: '0.1.0', name: 'default', type: 'ptp', ipMasq: true, ipam: { ...ipam('172.16.28.0/24'), routes: [{ dst: '0.0.0.0/0' }] } });
    define('10-chain.conflist', { cniVersion: '0.4.0', name: 'chain', plugins: [{ type: 'bridge', bridge: 'cni7', isGateway: true, ipam: ipam('10.77.0.0/24') }, { type: 'tuning', mtu: 1400 }] });
    define('20-lies.conf', { cniVersion: '0.4.0', name: 'lies', type: 'lies' });
    writeFileSync(join(this.config, 'net.d', 'lies'), '#!/bin/sh\n[ "$CNI_COMMAND" = ADD ] && echo \'{"cniVersion":"0.4.0","ips":[{"version":"4","address":"not-an-address"}]}\'\nexit 0\n', { mode: 0o755 });
    define('30-hangs.conf', { cniVersion: '0.4.0', name: 'hangs', type: 'hangs' });
    writeFileSync(join(this.config, 'net.d', 'hangs'), `#!/bin/sh\n[ "$CNI_COMMAND" = ADD ] || exit 0\necho $$ > ${this.dir}/hanging.new\nmv ${this.dir}/hanging.new ${this.dir}/hanging\nexec sleep 1000\n`, { mode: 0o755 });
    const { host, world } = this;
    for (const name of [host, world]) {
      ip('netns', 'add', name);
      ip('-n', name, 'link', 'set', 'lo', 'up');
    }
    ip('-n', host, 'link', 'add', 'up0', 'type', 'veth', 'peer', 'name', 'down0', 'netns', world);
    ip('-n', host, 'addr', 'add', '10.8.0.1/24', 'dev', 'up0');
    ip('-n', world, 'addr', 'add', '10.8.0.2/24', 'dev', 'down0');
    ip('-n', host, 'link', 'set', 'up0', 'up');
    ip('-n', world, 'link', 'set', 'down0', 'up');
  }

  /** Addresses that are taken in a network. */
  leases(name: string): string[] {
    const folder = join(this.dir, 'leases', name);
    return existsSync(folder) ? readdirSync(folder).filter((file) => /^\d/.test(file)) : [];
  }

  /** All of the host's NAT rules, links and routes. */
  traces(): string {
    const run = (program: string, args: readonly string[]): string => execFileSync('nsenter', [`--net=/run/netns/${this.host}`, program, ...args], { encoding: 'utf8', timeout: HANG_MS });
    // portmap's own chains, and a bridge, outlive their pods.
    const rules = run('iptables', ['-t', 'nat', '-S']).split('\n').filter((line) => !line.includes('CNI-HOSTPORT') || line.includes('DNAT --to')).join('\n');
    return `${rules}${run('ip', ['-o', 'link'])}${run('ip', ['route'])}`.replace(/^.*cni7.*\n/gm, '');
  }

  close(): void {
    for (const name of [this.host, this.world]) spawnSync('ip', ['netns', 'del', name], { timeout: HANG_MS });
    rmSync(this.dir, { recursive: true, force: true });
  }
}
