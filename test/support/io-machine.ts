/** A block device with its real I/O thread (dist/thread.cjs), and no CPU: the calling thread is the driver. */
import { readFileSync } from 'node:fs';
import { RAM_BASE, VIRTIO_MMIO_IRQ } from '../../assembly/core/layout.ts';
import { SharedWords } from '../../vmm/threads/words.ts';
import { ThreadPool } from '../../vmm/threads/pool.ts';
import type { KvmThreadMessage } from '../../vmm/accel/kvm-vcpu.ts';
import type { IoJob } from '../../vmm/devices/io-thread.ts';
import type { OpenDisk } from '../../vmm/devices/disk.ts';
import { acquireLinearMemory, releaseLinearMemory } from '../../vmm/host/linear-memory.ts';
import { close, epollCreate, epollCtl, epollWait, eventfd, eventfdDrain, eventfdSignal } from '../../vmm/host/sys.ts';
import { EPOLLIN, EPOLL_CTL_ADD } from '../../vmm/host/uapi/linux.ts';
import type { CoreExports } from '../../vmm/core/exports.ts';
import { instantiateCore } from '../../vmm/core/instance.ts';
import { BlkDriver, type Bus } from './io-driver.ts';

const RAM = 64 << 20;
const MACHINE_F_THREADS = 2;

export class IoMachine {
  readonly driver: BlkDriver;
  readonly core: CoreExports;
  /** Events that the thread has posted: kind and `b`. */
  readonly events: (readonly [kind: number, b: bigint])[] = [];
  readonly #linear = acquireLinearMemory((RAM_BASE + RAM) / 65536);
  readonly #kick = eventfd();
  readonly #command = eventfd();
  readonly #irq = eventfd();
  readonly #epoll = epollCreate();
  readonly #stop = new Int32Array(new SharedArrayBuffer(4));
  readonly #ended: Promise<unknown>;

  /** `dist`: URL of the built files. `blocking`: without io_uring. `trace`: its descriptor and events (TRACE_* bits). */
  constructor(dist: URL, { path, readOnly, id, fd, size }: OpenDisk, blocking: boolean, trace?: { readonly fd: number; readonly mask: number }) {
    const disk: OpenDisk = { path, readOnly, id, fd, size };
    const { memory } = this.#linear;
    const module = new WebAssembly.Module(readFileSync(new URL('core.wasm', dist)));
    const words = new SharedWords();
    this.core = instantiateCore(module, memory, {
      irq: () => {}, kick: (device, queue) => {
        words.kick(device, queue);
        eventfdSignal(this.#command);
      }, blk: () => -11, console: (_d, _p, n) => n, vsock: () => {}, event: () => {}, discard: () => {},
    });
    if (this.core.machine_init(RAM, 1, MACHINE_F_THREADS) !== 0 || this.core.blk_add(0, 0, disk.size / 512, disk.readOnly ? 1 : 2, 512, 1) !== 0) throw new Error('the core refuses the machine');
    if (trace !== undefined) this.core.machine_trace(trace.mask);
    this.driver = new BlkDriver(memory, this.core as unknown as Bus, 0);
    const irqfds = new Array<number>(24).fill(-1);
    irqfds[VIRTIO_MMIO_IRQ] = this.#irq;
    const data: IoJob = {
      module, memory, ramSize: RAM, disks: [disk], words: words.buffer, stop: this.#stop.buffer as SharedArrayBuffer, stopIndex: 0, queues: [{ slot: 0, queues: 1, fd: this.#kick }],
      irqfds, commandFd: this.#command, blocking, traceFd: trace?.fd,
    };
    epollCtl(this.#epoll, EPOLL_CTL_ADD, this.#irq, EPOLLIN, 0);
    const pool = new ThreadPool(new URL('thread.cjs', dist));
    this.#ended = new Promise((resolve, reject) => {
      const onMessage = (message: KvmThreadMessage): void => {
        if (message.type === 'event') this.events.push([message.kind, message.b]);
      };
      void pool.run<KvmThreadMessage>({ kind: 'io', ffi: true, data }, onMessage, reject).then(resolve);
    });
  }

  /** The driver's notification: what KVM's ioeventfd does. */
  kick(): void {
    eventfdSignal(this.#kick);
  }

  /** Blocks until the device interrupts. */
  interrupt(): void {
    epollWait(this.#epoll, -1, () => {});
    eventfdDrain(this.#irq);
  }

  /** Ends the thread; requests that were still in flight then: there must be none. */
  async stop(): Promise<number> {
    Atomics.store(this.#stop, 0, 1);
    eventfdSignal(this.#command);
    await this.#ended;
    const inflight = this.core.device_quiesce(0);
    releaseLinearMemory(this.#linear);
    for (const fd of [this.#kick, this.#command, this.#irq, this.#epoll]) close(fd);
    return inflight;
  }
}
