import { closeSync } from 'node:fs';
import { VIRTIO_MMIO_SLOTS } from '../../assembly/core/layout.ts';
import { ConsoleInput } from '../devices/console.ts';
import { type OpenDisk, openDisk } from '../devices/disk.ts';
import { VsockHost } from '../devices/vsock.ts';
import { VmmError } from '../../base/errors.ts';
import type { MachineConfig } from './config.ts';
import type { MachineResult } from './result.ts';
import { CountedRun } from '../time/counted.ts';
import { otherDevices } from './devices.ts';
import { sizeOf } from '../time/input-log.ts';
import { type ConsoleSize, type MachineListener, Running } from './running.ts';
import { Timeline } from './timeline.ts';

export type { MachineListener };

/**
 * One virtual machine. It is built by the constructor from a checked configuration, runs once (resets of the guest
 * included), and frees everything when `run` settles or it is disposed of. Several may run in one process.
 */
export class Machine implements AsyncDisposable {
  readonly timeline: Timeline;
  readonly vsock = new VsockHost();
  /** Of a counted run: clock, counts, input by its kind. */
  readonly counted: CountedRun | undefined;
  readonly #config: MachineConfig;
  readonly #listener: MachineListener;
  readonly #disks: OpenDisk[] = [];
  #running: Running | undefined;
  /** Of the console, as told last: it holds through resets. */
  #size: ConsoleSize | undefined;
  readonly #input = new ConsoleInput();
  #discardedBefore = 0;
  #started = false;
  #ended = false;

  /** Opens the disks and checks what can be checked. Throws VmmError. */
  constructor(config: MachineConfig, listener: MachineListener = {}, timeline = new Timeline()) {
    const count = (config.disks?.length ?? 0) + otherDevices(config);
    if (count > VIRTIO_MMIO_SLOTS) throw new VmmError('USAGE', `${count} devices, a machine has ${VIRTIO_MMIO_SLOTS} slots`, { hint: 'give fewer disks' });
    this.#config = config;
    this.#listener = listener;
    this.timeline = timeline;
    const counted = config.counted === undefined ? undefined : new CountedRun(config.counted);
    this.counted = counted;
    if (counted !== undefined) {
      timeline.counts = () => counted.counts();
      counted.onInput('console', (data) => this.#input.write(data));
      counted.onInput('resize', (data) => {
        const { columns, rows } = sizeOf(data);
        this.#resize(columns, rows);
      });
    }
    try {
      for (const disk of config.disks ?? []) this.#disks.push(openDisk(disk));
    } catch (error) {
      this.#closeDisks();
      throw error;
    }
  }

  /**
   * Runs the machine until the guest ends, or `signal` aborts it (`stopped`). A reset by the guest starts it again
   * unless the configuration says otherwise. Rejects with VmmError when the machine cannot be built.
   */
  async run(options: { readonly signal?: AbortSignal } = {}): Promise<MachineResult> {
    if (this.#started) throw new VmmError('USAGE', 'a machine runs once: make another one');
    this.#started = true;
    try {
      for (;;) {
        if (options.signal?.aborted) return { kind: 'stopped' };
        const running = new Running(this.#config, this.#listener, this.#disks, this.vsock, this.timeline, this.counted, () => this.#size, this.#input);
        this.#running = running;
        const abort = (): void => running.requestStop();
        options.signal?.addEventListener('abort', abort, { once: true });
        let result: MachineResult;
        try {
          result = await running.run();
        } catch (error) {
          running.release();
          throw error;
        } finally {
          options.signal?.removeEventListener('abort', abort);
          this.#running = undefined;
          this.#discardedBefore += running.discarded;
          this.vsock.detach();
        }
        const again = result.kind === 'reboot' && (running.resetAsked || !this.#config.exitOnReboot);
        this.#config.debugger?.ended(result, again);
        running.release();
        if (!again) return result;
        this.timeline.point('reset by the guest');
      }
    } finally {
      this.#ended = true;
      this.#input.close();
      this.#closeDisks();
    }
  }

  /** Name of the accelerator in use, once the machine runs. */
  get accelerator(): string | undefined {
    return this.#running?.accelName;
  }

  /** Bytes of guest memory that the guest gave up and the host has back, resets included. 0 without the FFI. */
  get discardedBytes(): number {
    return this.#discardedBefore + (this.#running?.discarded ?? 0);
  }

  /** Input for the guest's console. Resolves when more is welcome, or the machine has ended; what comes while 1 MiB waits is dropped. */
  input(bytes: Uint8Array): Promise<void> {
    this.#refuseInput();
    return this.#input.write(bytes);
  }

  /** Tells the guest the size of its (virtio) console. */
  resize(columns: number, rows: number): void {
    this.#refuseInput();
    this.#resize(columns, rows);
  }

  #resize(columns: number, rows: number): void {
    this.#size = { columns, rows };
    this.#running?.resized();
  }

  async pause(): Promise<void> {
    await this.#running?.pause();
  }

  resume(): void {
    this.#running?.resume();
  }

  /** Starts the guest anew, as its reset button. */
  reset(): void {
    this.#running?.requestReset();
  }

  /** Registers, stack and code of each vCPU as text; pauses the machine for it. */
  async dump(): Promise<string> {
    return (await this.#running?.dump()) ?? '';
  }

  /** Ends the run; `run` then resolves with `stopped`. */
  stop(): void {
    this.#running?.requestStop();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#started) this.#closeDisks();
    else if (!this.#ended) this.stop();
  }

  #refuseInput(): void {
    if (this.counted !== undefined) throw new VmmError('ICOUNT_INPUT', 'input of a counted run has a place in it', { hint: 'give it to the InputRecorder of its configuration' });
  }

  #closeDisks(): void {
    for (const disk of this.#disks.splice(0)) closeSync(disk.fd);
  }
}
