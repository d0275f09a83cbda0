import { ConsoleInput } from '../devices/console.ts';
import type { DiskSpec } from '../devices/disk/open.ts';
import type { RaiseChanges, ShareExport } from '../devices/fs/exports.ts';
import type { CableSpec } from '../devices/net/spec.ts';
import { VsockHost } from '../devices/vsock.ts';
import { VmmError } from '../../base/errors.ts';
import type { MachineConfig } from './config.ts';
import type { MachineResult } from './result.ts';
import { CountedRun } from '../time/counted.ts';
import { type DeviceList, deviceList } from './devices.ts';
import { sizeOf } from '../time/input-log.ts';
import { type MachineTime, realTime } from '../time/machine-time.ts';
import { Life } from './life.ts';
import type { ConsoleSize, MachineListener } from './listener.ts';
import { Timeline } from './timeline.ts';

export type { MachineListener };

/**
 * One virtual machine. It is built by the constructor from a checked configuration, runs once (resets of the guest
 * included), and frees everything when `run` settles or it is disposed of. Several may run in one process.
 */
export class Machine implements AsyncDisposable {
  readonly timeline: Timeline;
  readonly vsock = new VsockHost();
  readonly #time: MachineTime;
  readonly #config: MachineConfig;
  readonly #listener: MachineListener;
  readonly #devices: DeviceList;
  #life: Life | undefined;
  /** Of the console, as told last: it holds through resets. */
  #size: ConsoleSize | undefined;
  readonly #input = new ConsoleInput();
  #discardedBefore = 0;
  #started = false;
  #ended = false;

  /** Opens the disks and checks what can be checked. Throws VmmError. */
  constructor(config: MachineConfig, listener: MachineListener = {}, timeline = new Timeline()) {
    this.#config = config;
    this.#listener = listener;
    this.timeline = timeline;
    const time = config.counted === undefined ? realTime() : new CountedRun(config.counted);
    this.#time = time;
    timeline.counts = time.counts;
    time.onInput('console', (data) => this.#input.write(data));
    time.onInput('resize', (data) => {
      const { columns, rows } = sizeOf(data);
      this.#resize(columns, rows);
    });
    this.#devices = deviceList(config, this.vsock);
  }

  /**
   * Runs the machine until the guest ends, or `signal` aborts it (`stopped`). A reset by the guest starts it again
   * unless the configuration says otherwise. Rejects with VmmError when the machine cannot be built.
   */
  async run(options: { readonly signal?: AbortSignal } = {}): Promise<MachineResult> {
    if (this.#started) throw new VmmError('USAGE', 'a machine runs once: make another one');
    this.#started = true;
    const parts = { config: this.#config, listener: this.#listener, devices: this.#devices, timeline: this.timeline, time: this.#time, input: this.#input, size: () => this.#size };
    try {
      const ready = Promise.all(this.#devices.list.map((device) => device.ready));
      for (let stands = false; ; ) {
        if (options.signal?.aborted) return { kind: 'stopped' };
        // There at once: a pause may be asked for before the devices are ready.
        const life = new Life(parts);
        this.#life = life;
        // A debugger holds the guest by itself.
        if (stands && this.#config.debugger === undefined) void life.pause();
        const abort = (): void => life.requestStop();
        options.signal?.addEventListener('abort', abort, { once: true });
        let result: MachineResult;
        try {
          await ready;
          if (options.signal?.aborted) return { kind: 'stopped' };
          result = await life.run();
        } catch (error) {
          life.release();
          throw error;
        } finally {
          options.signal?.removeEventListener('abort', abort);
          this.#life = undefined;
          this.#discardedBefore += life.discarded;
        }
        const again = result.kind === 'reboot' && (life.resetAsked || !this.#config.exitOnReboot);
        this.#config.debugger?.ended(result, again);
        stands = life.stands;
        life.release();
        if (!again) return result;
        this.timeline.point('reset by the guest');
      }
    } finally {
      this.#ended = true;
      this.#input.close();
      this.#devices.close();
    }
  }

  /** Of a counted run: clock, counts, input by its kind. */
  get counted(): CountedRun | undefined {
    return this.#time instanceof CountedRun ? this.#time : undefined;
  }

  /** Name of the accelerator in use, once the machine runs. */
  get accelerator(): string | undefined {
    return this.#life?.accelName;
  }

  /** Bytes of guest memory that the guest gave up and the host has back, resets included. 0 without the FFI. */
  get discardedBytes(): number {
    return this.#discardedBefore + (this.#life?.discarded ?? 0);
  }

  /** Input for the guest's console. Resolves when more is welcome, or the machine has ended; what comes while 1 MiB waits is dropped. */
  input(bytes: Uint8Array): Promise<void> {
    this.#time.admit();
    return this.#input.write(bytes);
  }

  /** Tells the guest the size of its (virtio) console. */
  resize(columns: number, rows: number): void {
    this.#time.admit();
    this.#resize(columns, rows);
  }

  #resize(columns: number, rows: number): void {
    this.#size = { columns, rows };
    this.#life?.resized();
  }

  /** Puts a disk into an empty drive (MachineConfig.spareDisks), also while the guest runs. Throws as a machine with that disk, and DISK_SPARE. */
  addDisk(spec: DiskSpec): void {
    if (this.#ended) throw new VmmError('USAGE', 'the machine has ended');
    if (this.#started && this.counted !== undefined) throw new VmmError('USAGE', 'a counted run (--icount) takes no disk while it runs: nothing records when', { hint: 'give it the disk before it starts' });
    this.#devices.disks.insert(spec);
  }

  /** Takes a disk out again, by its id: its file is closed when this returns. What uses it in the guest meets errors. Throws DISK_SPARE, FFI_MISSING. */
  removeDisk(id: string): void {
    this.#devices.disks.eject(id);
  }

  /** Adds a directory or a file to a share's root (ShareSpec.exports), also while the guest runs. Throws SHARE_PATH. */
  async addExport(tag: string, added: ShareExport): Promise<void> {
    await this.#devices.shares.find(tag).export(added);
  }

  /** Takes one away: when this resolves nothing of it is open on the host. */
  async withdrawExport(tag: string, name: string): Promise<void> {
    await this.#devices.shares.find(tag).withdraw(name);
  }

  /** Who raises in the guest what programs of the host change in shares that are watched (ShareExport.watch); nobody hears of it before. */
  onShareChanges(raise: RaiseChanges): void {
    this.#devices.shares.raise = raise;
  }

  /** Gives a spare card (MachineConfig.spareCards) a cable, also while the guest runs: its index, as `setLink` counts. Throws as a machine with that card, and NET_CARD. */
  plugCard(cable: CableSpec): number {
    if (this.#ended) throw new VmmError('USAGE', 'the machine has ended');
    return this.#devices.cards.plug(cable);
  }

  /** Resolves once the other end of a card's cable is there, its ports taken. */
  async cardReady(card: number): Promise<void> {
    await this.#devices.cards.ready(card);
  }

  /** Binds the process, where ConfineConfig.when says that this is asked for. */
  confine(): void {
    this.#life?.confine();
  }

  /** Takes a card's cable out again: it is closed when this resolves, and the card is a spare one. */
  async unplugCard(card: number): Promise<void> {
    await this.#devices.cards.unplug(card);
  }

  /** The Ethernet address of a card. */
  cardAddress(card: number): Uint8Array {
    return this.#devices.cards.mac(card);
  }

  /** Pulls the cable of a card (by its place in MachineConfig.cards) out, or puts it back, also while the guest runs. */
  setLink(card: number, up: boolean): void {
    this.#devices.cards.setLink(card, up);
  }

  /** Asks the guest to give up so many bytes of its memory in all (MachineConfig.balloon); 0 gives them back. */
  setBalloon(bytes: number): void {
    this.#devices.balloon?.set(bytes);
  }

  /** When this resolves the guest stands, and so do its devices: nothing is in flight at the host, and nothing is written there or to the guest's memory until `resume`, but for what is asked for here meanwhile (plugCard, addDisk, setBalloon). */
  async pause(): Promise<void> {
    await this.#life?.pause();
  }

  resume(): void {
    this.#life?.resume();
  }

  /** Starts the guest anew, as its reset button. */
  reset(): void {
    this.#life?.requestReset();
  }

  /** Registers, stack and code of each vCPU as text; pauses the machine for it. */
  async dump(): Promise<string> {
    return (await this.#life?.dump()) ?? '';
  }

  /** Ends the run; `run` then resolves with `stopped`. */
  stop(): void {
    this.#life?.requestStop();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#started) this.#devices.close();
    else if (!this.#ended) this.stop();
  }
}
