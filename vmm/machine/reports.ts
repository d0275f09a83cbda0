import { EBADFD, EBADMSG } from '../../assembly/contract/generated/errno.ts';
import { errnoName } from '../host/errno.ts';
import type { MachineListener } from './listener.ts';

/** What goes wrong in one life of a machine, each told once: a guest can do it for ever, and many threads may meet it. */
export class Reports {
  readonly #listener: MachineListener;
  readonly #told = new Set<string>();
  #traceLost = false;

  constructor(listener: MachineListener) {
    this.#listener = listener;
  }

  /** `rule`: REASON_* of assembly/virtio/device.ts, which of the device's rules its driver broke. */
  needsReset(slot: number, rule: bigint): void {
    this.#once(`${slot}`, `device in slot ${slot} needs a reset: its driver broke the rules (${rule})`);
  }

  diskError(name: string | undefined, errno: number): void {
    const text = `${name}: ${errnoName(errno)}: the guest gets I/O errors`;
    this.#once(text, text);
  }

  netLost(name: string | undefined, errno: number): void {
    const why = new Map([[0, 'the other side has closed it'], [EBADMSG, 'the other side sends no frames'], [EBADFD, 'it is gone']]).get(errno) ?? errnoName(errno);
    this.#once(`${name} lost`, `${name}: ${why}: its link is down`);
  }

  captureError(name: string | undefined, errno: number): void {
    this.#once(`${name} capture`, `${name}: its capture cannot be written: ${errnoName(errno)}: it ends here, the card goes on`);
  }

  shareStuck(name: string | undefined): void {
    const text = `${name}: the host does not answer: the guest gets I/O errors`;
    this.#once(text, text);
  }

  /** `errno`: the host's; 0: the guest does not raise what it is told. */
  shareUnwatched(name: string | undefined, errno: number): void {
    if (errno === 0) this.#once(`${name} raise`, `${name}: the guest refuses what it is told of the host's changes: programs in it do not hear of them`);
    else this.#once(`${name} watch`, `${name}: ${errnoName(errno)}: not all of its directories can be watched (fs.inotify.max_user_watches, max_user_instances): changes in the others are not told`);
  }

  traceError(errno: number): void {
    if (!this.#traceLost) this.#listener.traceLost?.(errnoName(errno));
    this.#traceLost = true;
  }

  #once(key: string, text: string): void {
    if (this.#told.has(key)) return;
    this.#told.add(key);
    this.#listener.note?.(text);
  }
}
