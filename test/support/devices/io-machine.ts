/** A block device with its real I/O thread (dist/thread.cjs), and no CPU: the calling thread is the driver. */
import type { SharedTrace } from '../../../vmm/core/trace.ts';
import { readFileSync } from 'node:fs';
import { RAM_BASE, VIRTIO_MMIO_IRQ } from '../../../assembly/core/layout.ts';
import { SharedWords } from '../../../vmm/threads/words.ts';
import { ThreadPool } from '../../../vmm/threads/pool.ts';
import type { KvmThreadMessage } from '../../../vmm/accel/kvm-vcpu.ts';
import { DiskTable } from '../../../vmm/devices/disk/table.ts';
import type { DiskThread } from '../../../vmm/devices/disk/thread.ts';
import type { OpenDisk } from '../../../vmm/devices/disk/open.ts';
import { acquireLinearMemory, releaseLinearMemory } from '../../../vmm/host/linear-memory.ts';
import { close, epollCreate, epollCtl, epollWait, eventfd, eventfdDrain, eventfdSignal } from '../../../vmm/host/sys.ts';
import { EPOLLIN, EPOLL_CTL_ADD } from '../../../vmm/host/uapi/linux.ts';
import type { CoreExports } from '../../../vmm/core/exports.ts';
import { instantiateCore } from '../../../vmm/core/instance.ts';
import { BlkDriver, type Bus } from './io-driver.ts';

const RAM = 64 << 20;
const MACHINE_F_THREADS = 2;
/** The thread's. */
const BELL = 1;

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
  readonly #words = new SharedWords();
  readonly #ended: Promise<unknown>;

  /** `dist`: URL of the built files. `blocking`: without io_uring. `trace`: its file and events (TRACE_* bits). */
  constructor(dist: URL, { path, readOnly, id, fd, size }: OpenDisk, blocking: boolean, trace?: { readonly file: SharedTrace; readonly mask: number }) {
    const disk: OpenDisk = { path, readOnly, id, fd, size };
    const { memory } = this.#linear;
    const module = new WebAssembly.Module(readFileSync(new URL('core.wasm', dist)));
    const words = this.#words;
    words.setOwner(0, BELL);
    words.setBellFd(BELL, this.#command);
    this.core = instantiateCore(module, memory, {
      kick: (device, queue) => {
        words.kick(device, queue);
        eventfdSignal(this.#command);
      },
    });
    if (this.core.machine_init(RAM, 1, MACHINE_F_THREADS) !== 0 || this.core.blk_add(0, 0, disk.size / 512, disk.readOnly ? 1 : 2, 512, 1) !== 0) throw new Error('the core refuses the machine');
    if (trace !== undefined) this.core.machine_trace(trace.mask);
    this.driver = new BlkDriver(memory, this.core as unknown as Bus, 0);
    const irqfds = new Array<number>(24).fill(-1);
    irqfds[VIRTIO_MMIO_IRQ] = this.#irq;
    const table = new DiskTable();
    table.set(0, disk);
    const data: DiskThread = {
      module, memory, ramSize: RAM, words: words.buffer, bell: BELL, own: { table: table.buffer, blocking }, queues: [{ slot: 0, queues: 1, fd: this.#kick }],
      irqfds, commandFd: this.#command, trace: trace?.file,
    };
    epollCtl(this.#epoll, EPOLL_CTL_ADD, this.#irq, EPOLLIN, 0);
    const pool = new ThreadPool(new URL('thread.cjs', dist));
    this.#ended = new Promise((resolve, reject) => {
      const onMessage = (message: KvmThreadMessage): void => {
        if (message.type === 'event') this.events.push([message.kind, message.b]);
      };
      void pool.run<KvmThreadMessage>({ kind: 'io', ffi: true, data }, onMessage, reject).then(() => this.#words.over(BELL)).then(resolve);
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

  /** Has the device take nothing more and its thread stand; resolves when it does. */
  async hold(number: number): Promise<void> {
    this.core.device_quiesce(0);
    this.#words.hold(BELL, number);
    eventfdSignal(this.#command);
    await this.#words.stands(BELL, number);
  }

  /** They go on. */
  goOn(): void {
    this.core.device_resume(0);
    this.#words.hold(BELL, 0);
    eventfdSignal(this.#command);
  }

  /** Resolves as for one that is held once more. */
  over(): Promise<void> {
    return this.#words.stands(BELL, 99);
  }

  /** Ends the thread; requests that were still in flight then: there must be none. */
  async stop(): Promise<number> {
    this.#words.end(BELL);
    eventfdSignal(this.#command);
    await this.#ended;
    const inflight = this.core.device_quiesce(0);
    releaseLinearMemory(this.#linear);
    for (const fd of [this.#kick, this.#command, this.#irq, this.#epoll]) close(fd);
    return inflight;
  }
}
