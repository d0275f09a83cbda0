/** The main thread's side of shares that are watched: which may be, and how lots come to the guest. */
import { mkdtempSync, readdirSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { HOST_EV_SHARE_UNWATCHED } from '../../../assembly/contract/machine.ts';
import type { DevicePort } from '../../../vmm/devices/device.ts';
import type { Change } from '../../../vmm/agent/changes.ts';
import { ChangeBox } from '../../../vmm/devices/fs/changes.ts';
import { type RaiseChanges, Shares } from '../../../vmm/devices/fs/exports.ts';
import { Mailbox, type ShareCommand } from '../../../vmm/devices/fs/mailbox.ts';
import type { ShareThread } from '../../../vmm/devices/fs/thread.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'vmm-exports-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

describe('watch', () => {
  it('is of one device of a machine’s', () => {
    const shares = new Shares(false);
    const first = shares.device({ tag: 'one', exports: [{ name: 'x', path: dir, watch: true }, { name: 'y', path: dir, watch: true }] });
    expect(() => shares.device({ tag: 'two', exports: [{ name: 'x', path: dir, watch: true }] })).toThrow('share two cannot be watched: share one is');
    expect(() => shares.find('two')).toThrow('no share two');
    shares.device({ tag: 'three', exports: [{ name: 'x', path: dir }] }).close();
    first.close();
  });

  it('is not of a device’s root', () => {
    expect(() => new Shares(false).device({ tag: 'one', root: { path: dir, watch: true } })).toThrow(`share one: ${dir} cannot be watched as its root`);
  });
});

describe('later', () => {
  const lockOf = (later: boolean | readonly string[]): ShareThread['own']['lock'] => {
    const shares = new Shares(true);
    const device = shares.device({ tag: 'one', exports: [], later });
    let lock: ShareThread['own']['lock'];
    const port = { slot: 3, ramSize: 1 << 26, thread: (_kind: string, _slots: readonly number[], own: ShareThread['own']) => {
      lock = own.lock;
      return false;
    } };
    device.attach(port as unknown as DevicePort);
    shares.bound();
    device.close();
    return lock;
  };

  it('anywhere, in folders, or nowhere', () => {
    expect(lockOf(true)).toEqual({ later: true, folders: [] });
    expect(lockOf([dir])).toEqual({ later: false, folders: [expect.any(Number)] });
    expect(lockOf([])).toEqual({ later: false, folders: [] });
    expect(lockOf(false)).toEqual({ later: false, folders: [] });
  });

  it('a withdrawal that nobody answers ends with the device, and nothing stays open', async () => {
    const shares = new Shares(false);
    const device = shares.device({ tag: 'one', exports: [{ name: 'x', path: dir }], later: true });
    device.attach({ slot: 3, ramSize: 1 << 26, thread: () => true, wake: () => {}, event: () => {} } as unknown as DevicePort);
    shares.wanted();
    const open = (): number => readdirSync('/proc/self/fd').filter((fd) => {
      try {
        return readlinkSync(`/proc/self/fd/${fd}`) === dir;
      } catch {
        return false;
      }
    }).length;
    expect(open()).toBe(1);
    const gone = device.withdraw('x');
    device.close();
    expect(open()).toBe(0);
    device.detach();
    await gone;
  });
});

/** The thread's end of both boxes: what the main thread said after each lot, and which events there were. */
class Thread {
  readonly shares = new Shares(false);
  readonly events: [kind: number, slot: number, value: bigint][] = [];
  readonly #device = this.shares.device({ tag: 'tag', exports: [{ name: 'x', path: dir, watch: true }] });
  #box: ChangeBox | undefined;
  #mailbox: Mailbox | undefined;
  #said: ShareCommand[] = [];
  #done: () => void = () => {};

  constructor(raise: RaiseChanges) {
    this.shares.raise = raise;
    this.#device.attach({
      slot: 3,
      ramSize: 1 << 26,
      thread: (_kind: string, _slots: readonly number[], own: ShareThread['own']) => {
        this.#box = new ChangeBox(own.changes);
        this.#mailbox = new Mailbox(own.mailbox);
        return true;
      },
      wake: () => this.#mailbox?.answer((command) => {
        this.#said.push(command);
        if (command.kind === 'raiser' && command.done) this.#done();
      }),
      event: (kind: number, slot: number, value: bigint) => this.events.push([kind, slot, value]),
    } as unknown as DevicePort);
    this.shares.wanted();
  }

  /** Fills the box; what is said until the lot is done. */
  async lot(path: string): Promise<string[]> {
    const done = new Promise<void>((resolve) => (this.#done = resolve));
    this.#box?.fill([{ kinds: ['create'], type: 8, path }]);
    await done;
    return this.#said.splice(0).map((command) => (command.kind === 'raiser' ? `${command.pid}${command.done ? ' done' : ''}` : command.kind));
  }

  close(): void {
    this.#device.detach();
    this.#device.close();
  }
}

describe('the guest’s init', () => {
  it('refuses a lot, for once: it is dropped, and the next is raised', async () => {
    const raised: string[] = [];
    let refuses = true;
    const thread = new Thread(async (_tag, changes: readonly Change[]) => {
      if (refuses) return undefined;
      raised.push(...changes.map(({ path }) => path));
      return 7;
    });
    expect(await thread.lot('x/first')).toEqual(['0 done']);
    refuses = false;
    expect(await thread.lot('x/second')).toEqual(['7', '7 done']);
    refuses = true;
    expect(await thread.lot('x/third')).toEqual(['7 done']);
    refuses = false;
    expect(await thread.lot('x/fourth')).toEqual(['7 done']);
    expect(raised).toEqual(['x/second', 'x/fourth']);
    expect(thread.events).toEqual([]);
    thread.close();
  });

  it('has another process each time, or refuses all: told of once, and lots are taken all the same', async () => {
    let process = 0;
    const changing = new Thread(async () => ++process);
    const refusing = new Thread(async () => undefined);
    for (const thread of [changing, refusing]) {
      for (let i = 0; i < 6; i++) expect((await thread.lot('x/lot')).at(-1)).toBe('0 done');
      expect(thread.events).toEqual([[HOST_EV_SHARE_UNWATCHED, 3, 0n]]);
      thread.close();
    }
  });
});
