/**
 * A gateway whose guest is this machine's own kernel: a tap in a network namespace of its own, its descriptor in this process. For processes
 * that run in a namespace of theirs (`unshare -n`).
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { closeSync } from 'node:fs';
import { EAGAIN } from '../../../assembly/contract/generated/errno.ts';
import { NET_CSUM, NET_FRAME_MAX, NET_HDR_SIZE, NET_TSO4, NET_TSO6 } from '../../../assembly/contract/devices.ts';
import { putHeader } from '../../../vmm/devices/net/user-backend.ts';
import { Gateway, type GatewayConfig, type GatewayEvents } from '../../../vmm/gateway/gateway.ts';
import { parseIp } from '../../../vmm/gateway/link/address.ts';
import { OPEN_POLICY } from '../../../vmm/gateway/policy/config.ts';
import { addressOf, watchReadable } from '../../../vmm/host/ffi.ts';
import { randomNumbers } from './random.ts';
import { openTap, readTry, setTapOffloads, writeTry } from '../../../vmm/host/net.ts';

export const GUEST_MAC = Uint8Array.of(2, 0, 0, 0, 0, 15);
const v4 = { guest: parseIp('10.0.2.15'), prefix: 24, gateway: parseIp('10.0.2.2'), resolver: parseIp('10.0.2.3') };
const v6 = { guest: parseIp('fd76:6d6d:2::15'), prefix: 64, gateway: parseIp('fd76:6d6d:2::2'), resolver: parseIp('fd76:6d6d:2::3') };

/** A gateway that leads to this namespace's loopback, too. */
export function bedConfig(change: Partial<GatewayConfig> = {}): GatewayConfig {
  return { link: { mac: GUEST_MAC, mtu: 1500, asks: false, v4, v6 }, servers: [], policy: OPEN_POLICY, hostLoopback: true, ...change };
}

/** What becomes of a frame on its way. */
export interface Weather {
  /** Shares of frames that are lost on their way to and from the guest. */
  readonly lostTo?: number;
  readonly lostFrom?: number;
  /** Share of frames from the guest that change places with the next. */
  readonly swapped?: number;
  /** Share of frames from the guest that come twice. */
  readonly doubled?: number;
  /** No segments of 64 KiB, no sums left out. */
  readonly plain?: boolean;
}

export class Bed {
  readonly gateway: Gateway;
  readonly #fd: number;
  readonly #watch: { close(): void };
  readonly #holder: ChildProcess;
  readonly #weather: Weather;
  readonly #random = randomNumbers(7);
  readonly #input = new Uint8Array(NET_HDR_SIZE + NET_FRAME_MAX + 4096);
  readonly #inputAt = Number(addressOf(this.#input));
  readonly #output = new Uint8Array(NET_HDR_SIZE + NET_FRAME_MAX + 4096);
  readonly #outputAt = Number(addressOf(this.#output));
  #held: Uint8Array | undefined;
  #scheduled = false;
  readonly frames = { from: 0, to: 0, lost: 0 };

  constructor(config: GatewayConfig, weather: Weather = {}, denied: GatewayEvents['denied'] = () => {}) {
    this.#weather = weather;
    this.gateway = new Gateway(config, { frames: () => this.#schedule(), denied });
    const { link } = this.gateway;
    const plain = weather.plain === true;
    [link.sums, link.segments4, link.segments6] = [!plain, !plain, !plain];
    this.#fd = openTap('bed0', NET_HDR_SIZE);
    setTapOffloads(this.#fd, plain ? 0 : NET_CSUM | NET_TSO4 | NET_TSO6);
    this.#holder = spawn('unshare', ['-n', 'sleep', '600'], { stdio: 'ignore' });
    this.#moveTap(config);
    this.#watch = watchReadable(this.#fd, () => this.#readable());
  }

  #moveTap({ link }: GatewayConfig): void {
    const { pid } = this.#holder;
    const inside = (command: string): void => void execFileSync('nsenter', ['-t', `${pid}`, '-n', 'sh', '-c', command], { stdio: 'inherit', timeout: 10_000 });
    // unshare may not have left this namespace yet.
    const ours = execFileSync('readlink', ['/proc/self/ns/net']).toString();
    while (execFileSync('readlink', [`/proc/${pid}/ns/net`]).toString() === ours);
    execFileSync('ip', ['link', 'set', 'bed0', 'netns', `${pid}`], { timeout: 10_000 });
    const lines = ['ip link set lo up', `ip link set bed0 address ${[...link.mac].map((byte) => byte.toString(16)).join(':')} mtu ${link.mtu}`, 'sysctl -qw net.ipv6.conf.bed0.accept_ra=0 net.ipv6.conf.bed0.accept_dad=0'];
    if (link.v4 !== undefined) lines.push(`ip addr add ${link.v4.guest.join('.')}/${link.v4.prefix} dev bed0`);
    lines.push('ip link set bed0 up');
    if (link.v4 !== undefined) lines.push(`ip route add default via ${link.v4.gateway.join('.')}`);
    if (link.v6 !== undefined) lines.push('ip -6 addr add fd76:6d6d:2::15/64 dev bed0 nodad', 'ip -6 route add default via fd76:6d6d:2::2');
    inside(lines.join(' && '));
  }

  /** Runs a program where the guest is; its output, or what it failed with. */
  guest(command: string, args: readonly string[], input?: string): Promise<string> {
    const child = spawn('nsenter', ['-t', `${this.#holder.pid}`, '-n', command, ...args], { stdio: ['pipe', 'pipe', 'inherit'] });
    child.stdin.end(input);
    let out = '';
    child.stdout.on('data', (bytes: Buffer) => {
      out += bytes.toString();
    });
    const timer = setTimeout(() => child.kill('SIGKILL'), 300_000);
    return new Promise((resolve, reject) => {
      child.on('error', reject);
      child.on('close', (status) => {
        clearTimeout(timer);
        if (status === 0) resolve(out);
        else reject(new Error(`${command} ends with ${status}: ${out}`));
      });
    });
  }

  #readable(): void {
    for (let turn = 0; turn < 64; turn++) {
      const length = readTry(this.#fd, this.#inputAt, this.#input.length);
      if (length === -EAGAIN || length < NET_HDR_SIZE) return;
      this.frames.from++;
      if (this.#random() < (this.#weather.lostFrom ?? 0)) this.frames.lost++;
      else this.#received(length);
    }
  }

  #received(length: number): void {
    if (this.#held === undefined && this.#random() < (this.#weather.swapped ?? 0)) {
      this.#held = this.#input.slice(0, length);
      return;
    }
    this.#give(this.#input, length);
    if (this.#random() < (this.#weather.doubled ?? 0)) this.#give(this.#input, length);
    const held = this.#held;
    this.#held = undefined;
    if (held !== undefined) this.#give(held, held.length);
  }

  #give(bytes: Uint8Array, length: number): void {
    this.gateway.buffer.set(bytes.subarray(NET_HDR_SIZE, length));
    this.gateway.received(length - NET_HDR_SIZE, ((bytes[0] as number) & 1) !== 0);
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      for (let turn = 0; turn < 256; turn++) {
        const out = this.gateway.next(NET_FRAME_MAX);
        if (out === undefined) return;
        this.frames.to++;
        if (this.#random() < (this.#weather.lostTo ?? 0)) {
          this.frames.lost++;
          continue;
        }
        this.#output.fill(0, 0, NET_HDR_SIZE);
        putHeader(this.#output.subarray(0, NET_HDR_SIZE), out);
        this.#output.set(out.bytes.subarray(0, out.length), NET_HDR_SIZE);
        writeTry(this.#fd, this.#outputAt, NET_HDR_SIZE + out.length);
      }
      this.#schedule();
    });
  }

  close(): void {
    this.#watch.close();
    this.gateway.close();
    closeSync(this.#fd);
    this.#holder.kill('SIGKILL');
  }
}
