import { FS_HIPRIO, FS_RESET } from '../../../assembly/contract/fs.ts';
import { EINTR, EIO } from '../../../assembly/contract/generated/errno.ts';
import { FUSE_BATCH_FORGET, FUSE_COPY_FILE_RANGE, FUSE_FORGET, FUSE_INTERRUPT, FUSE_READ, FUSE_WRITE } from '../../../assembly/contract/generated/fuse.ts';
import { HOST_PENDING } from '../../../assembly/contract/hooks.ts';
import type { CoreExports } from '../../core/exports.ts';
import { serve } from './server.ts';
import type { Session } from './session.ts';

/** What the owner of a device's queues asks of the core. */
export type FsCore = Pick<CoreExports, 'device_process' | 'fs_complete' | 'fs_keep'>;

/** How long who waits for a lock that a process of the host has is not asked again: from, to, milliseconds. */
const ASK_MIN_MS = 10;
const ASK_MAX_MS = 500;

/** Works on requests that the core hands over, one after the other, in the thread that owns the queues. */
export class Work {
  readonly #session: Session;
  readonly #core: FsCore;
  /** Tags that the core has handed over in the call that is on, all of one device. */
  readonly #taken: number[] = [];
  #askMs = ASK_MIN_MS;
  readonly #served: (slot: number, bytes: number) => void;

  /** `served`: a request of the device in `slot` is over, which has moved so many bytes. */
  constructor(session: Session, core: FsCore, served: (slot: number, bytes: number) => void = () => {}) {
    this.#session = session;
    this.#core = core;
    this.#served = served;
  }

  /** host_fs. */
  take(tag: number): void {
    this.#taken.push(tag);
  }

  /** Processes a queue once: at most one request. True: there may be more. */
  step(slot: number, queue: number): boolean {
    const more = this.#core.device_process(slot, queue) > 0;
    for (let i = 0; i < this.#taken.length; i++) {
      const tag = this.#taken[i] as number;
      if (tag === FS_RESET) this.#reset(slot);
      else if (queue === FS_HIPRIO && !this.#urgent(slot, tag)) this.#core.fs_complete(slot, tag, -EIO, 0);
      else this.#one(slot, tag);
    }
    this.#taken.length = 0;
    return more;
  }

  /** The one queue that no limit holds back is for these alone (virtio 1.2 §5.11.6.1). */
  #urgent(slot: number, tag: number): boolean {
    const { request } = this.#session;
    request.select(slot, tag);
    return request.opcode === FUSE_FORGET || request.opcode === FUSE_BATCH_FORGET || request.opcode === FUSE_INTERRUPT;
  }

  /** Milliseconds until those who wait are to be asked again; -1: nobody waits. */
  get askMs(): number {
    return this.#session.locks.waiting.length === 0 ? -1 : this.#askMs;
  }

  /** Asks those who wait, where something was let go or, `late`, where it is time. */
  ask(late: boolean): void {
    const { locks } = this.#session;
    if (locks.waiting.length === 0) {
      this.#askMs = ASK_MIN_MS;
      locks.freed = false;
      return;
    }
    if (!late && !locks.freed) return;
    this.#askMs = locks.freed ? ASK_MIN_MS : Math.min(ASK_MAX_MS, 2 * this.#askMs);
    locks.freed = false;
    for (const each of [...locks.waiting]) {
      const { slot, tag } = each;
      const result = this.#serve(slot, tag);
      if (result === HOST_PENDING) continue;
      locks.end((other) => other === each);
      this.#core.fs_complete(slot, tag, Math.min(result, 0), 0);
    }
  }

  #serve(slot: number, tag: number): number {
    this.#session.slot = slot;
    this.#session.request.select(slot, tag);
    const { heart } = this.#session;
    heart.begin();
    const result = serve(this.#session);
    heart.end();
    // It was interrupted because it was stuck.
    return result === -EINTR && heart.isDead(heart.share) ? -EIO : result;
  }

  #one(slot: number, tag: number): void {
    const result = this.#serve(slot, tag);
    const { request, locks } = this.#session;
    if (result === HOST_PENDING) {
      this.#core.fs_keep(slot);
      locks.waiting.push({ slot, tag, unique: `${request.uniqueLow} ${request.uniqueHigh}`, asked: locks.asked });
      return;
    }
    if (request.opcode === FUSE_INTERRUPT) this.#end((each) => each.slot === slot && each.unique === `${request.argument(0)} ${request.argument(4)}`, -EINTR);
    const moved = result <= 0 ? 0 : request.opcode === FUSE_READ ? result : request.opcode === FUSE_WRITE || request.opcode === FUSE_COPY_FILE_RANGE ? request.written : 0;
    this.#core.fs_complete(slot, tag, Math.min(result, 0), Math.max(result, 0));
    this.#served(slot, moved);
  }

  /** What a device's guest had open is gone, and who waited with it. */
  #reset(slot: number): void {
    this.#end((each) => each.slot === slot, -EINTR);
    for (const share of this.#session.shares) if (share?.slot === slot) this.#session.forgetAll(share);
  }

  #end(which: (waiting: { slot: number; unique: string }) => boolean, error: number): void {
    for (const { slot, tag } of this.#session.locks.end(which)) this.#core.fs_complete(slot, tag, error, 0);
  }
}
