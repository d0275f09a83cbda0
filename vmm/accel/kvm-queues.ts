import { VIRTIO_MMIO_QUEUE_NOTIFY } from '../../assembly/contract/generated/virtio.ts';
import { IOAPIC_PINS } from '../../assembly/contract/x86.ts';
import { COM1_IRQ, VIRTIO_MMIO_GPA, VIRTIO_MMIO_IRQ, VIRTIO_MMIO_STRIDE } from '../../assembly/core/layout.ts';
import { VmmError } from '../../base/errors.ts';
import { type Watch, watchReadable } from '../host/ffi.ts';
import { close, eventfd, eventfdDrain, eventfdSignal } from '../host/sys.ts';
import type { KvmVm } from '../kvm/vm.ts';
import { BELL_MAIN, DEVICE_THREADS_MAX, type SharedWords } from '../threads/words.ts';
import type { DevicePlace } from './types.ts';


interface Queues extends DevicePlace {
  /** Signalled by a driver's notification, of any queue: an empty queue costs less than a descriptor each. */
  readonly fd: number;
}

/** How drivers' notifications leave KVM, as signals of eventfds, and how interrupts get in. */
export class KvmQueues {
  readonly #words: SharedWords;
  readonly #places: readonly DevicePlace[];
  readonly #eventfds: number[] = [];
  readonly #queues: Queues[] = [];
  /** Of devices that the main thread owns, by slot. */
  readonly #watches = new Map<number, Watch>();
  /** Eventfd of each interrupt line that has one, else -1. */
  readonly irqfds: number[] = new Array<number>(IOAPIC_PINS).fill(-1);
  #bell = BELL_MAIN;

  constructor(places: readonly DevicePlace[], words: SharedWords) {
    this.#places = places;
    this.#words = words;
  }

  /** Connects all devices; the main thread owns them at first. `onKick`: the driver of a slot has notified, of whichever queue. */
  build(vm: KvmVm, onKick: (slot: number, queue: number) => void): void {
    for (const place of this.#places) {
      const { slot, queues } = place;
      const fd = this.#eventfd();
      vm.ioeventfd(fd, { space: 'mmio', address: VIRTIO_MMIO_GPA + slot * VIRTIO_MMIO_STRIDE + VIRTIO_MMIO_QUEUE_NOTIFY, length: 4 });
      this.#queues.push({ ...place, fd });
      this.#watches.set(slot, watchReadable(fd, () => {
        if (eventfdDrain(fd)) for (let queue = 0; queue < queues; queue++) onKick(slot, queue);
      }));
      this.#irqfd(vm, VIRTIO_MMIO_IRQ + slot);
    }
    this.#irqfd(vm, COM1_IRQ);
  }

  /** One pulse on GSI `line`. */
  interrupt(vm: KvmVm | undefined, line: number): void {
    const fd = this.irqfds[line] ?? -1;
    if (fd >= 0) eventfdSignal(fd);
    else {
      vm?.irqLine(line, 1);
      vm?.irqLine(line, 0);
    }
  }

  /** Gives `slots` to a thread that `start` begins, with its bell. The new owner looks at all queues first: nothing is lost in between. */
  give(slots: readonly number[], start: (bell: number, queues: readonly { slot: number; queues: number; fd: number }[], commandFd: number) => void): void {
    if (this.#bell === DEVICE_THREADS_MAX) throw new VmmError('INTERNAL', `more than ${DEVICE_THREADS_MAX} threads of devices`);
    const bell = ++this.#bell;
    const commandFd = this.#eventfd();
    this.#words.setBellFd(bell, commandFd);
    for (const slot of slots) this.#words.setOwner(slot, bell);
    start(bell, this.#queues.filter(({ slot }) => slots.includes(slot)).map(({ slot, queues, fd }) => ({ slot, queues, fd })), commandFd);
    for (const slot of slots) {
      this.#watches.get(slot)?.close();
      this.#watches.delete(slot);
    }
  }

  /** Has the eventfd of a bell signalled, where it has one. */
  signal(bell: number): void {
    const fd = this.#words.bellFd(bell);
    if (fd >= 0) eventfdSignal(fd);
  }

  /** Has all threads of devices end. */
  end(): void {
    for (let bell = BELL_MAIN + 1; bell <= this.#bell; bell++) {
      this.#words.end(bell);
      this.signal(bell);
    }
  }

  unwatch(): void {
    for (const watch of this.#watches.values()) watch.close();
    this.#watches.clear();
  }

  /** Once neither KVM nor a thread uses them. */
  close(): void {
    for (const fd of this.#eventfds.splice(0)) close(fd);
    this.irqfds.fill(-1);
  }

  #eventfd(): number {
    const fd = eventfd();
    this.#eventfds.push(fd);
    return fd;
  }

  #irqfd(vm: KvmVm, gsi: number): void {
    const fd = this.#eventfd();
    vm.irqfd(fd, gsi);
    this.irqfds[gsi] = fd;
  }
}
