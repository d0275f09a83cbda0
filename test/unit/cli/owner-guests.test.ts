/** Containers that join a machine, against a guest that is late, busy or silent. */
import { mkdtempSync, openSync, closeSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { VmmError } from '../../../base/errors.ts';
import type { ContainerRun } from '../../../vmm/api/containers.ts';
import { sendDescriptors } from '../../../vmm/api/devices.ts';
import type { JoinAsk, Reply } from '../../../vmm/api/owner.ts';
import { OwnerGuests } from '../../../vmm/cli/owner-guests.ts';

const GUEST_MS = 200;
const FOREVER = new Promise<never>(() => {});
let folder: string;
let guests: OwnerGuests;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'vmm-guests-'));
  writeFileSync(join(folder, 'image'), 'x');
  guests = new OwnerGuests({ joinSocket: () => join(folder, 'web.join') }, 'web', GUEST_MS);
});
afterEach(() => {
  guests.close();
  rmSync(folder, { recursive: true });
});

/** A machine whose commands go on until they are killed. `told`: what its guest was asked, in order. */
function machine(over: { addDisk?: () => Promise<void>; removeDisk?: (id: string) => Promise<void>; started?: () => Promise<unknown> } = {}) {
  const told: string[] = [];
  const disks = new Set<string>();
  let kill = (): void => {};
  const create = () => {
    const ended = Promise.withResolvers<{ status: number }>();
    const signal = async (number: number): Promise<void> => {
      told.push(`signal ${number}`);
      if (number === 9) ended.resolve({ status: 137 });
    };
    const process = { started: over.started?.() ?? Promise.resolve(), wait: () => ended.promise, signal };
    told.push('create');
    kill = () => ended.resolve({ status: 137 });
    return { process, signal, resume: async () => {} };
  };
  const eject = (id: string): void => {
    if (!disks.delete(id)) throw new VmmError('DISK_SPARE', id);
  };
  const guest = {
    create, sync: async () => void told.push('sync'),
    addDisk: async ({ id }: { id: string }) => {
      disks.add(id);
      await over.addDisk?.();
    },
    removeDisk: async (id: string) => {
      if (disks.has(id)) await over.removeDisk?.(id);
      eject(id);
    },
  };
  const run = { guest, machine: { removeDisk: eject }, process: { started: Promise.resolve() }, spec: {}, shares: [{ name: '0', path: '/shared' }], lent: new Map() };
  return { told, disks, kill: () => kill(), run: run as unknown as ContainerRun };
}

let tokens = 0;
/** Asks as a joining process does, with its image's descriptor. */
function asks(run: ContainerRun, id: string, more: Partial<JoinAsk> = {}, mounts: unknown[] = []): Promise<Reply> {
  const token = Buffer.alloc(16, ++tokens);
  const fd = openSync(join(folder, 'image'), 'r');
  sendDescriptors(join(folder, 'web.join'), token, [fd]);
  closeSync(fd);
  const ask: JoinAsk = { ask: 'join', id: id.padEnd(64, '0'), token: token.toString('hex'), spec: JSON.stringify({ args: ['x'], env: [], mounts }), root: '/image', shares: [], seconds: 60, ...more };
  return guests.join(run, ask);
}
const open = (): number => readdirSync('/proc/self/fd').length;

describe('OwnerGuests', () => {
  it('a disk that stays busy is tried once at each join, and holds none of them up', async () => {
    const tries: string[] = [];
    const { run, disks, kill } = machine({ removeDisk: async (id) => {
      tries.push(id[0] as string);
      if (id.startsWith('a') && tries.filter((each) => each === 'a').length <= 2) throw new VmmError('AGENT_SYSTEM', 'EBUSY');
    } });
    await asks(run, 'a');
    kill();
    await expect.poll(() => tries).toEqual(['a']);
    await asks(run, 'b');
    expect([tries, disks.size]).toEqual([['a', 'a'], 2]);
    await asks(run, 'c');
    expect([tries, disks.size]).toEqual([['a', 'a', 'a'], 2]);
    await guests.end(0);
    expect(disks.size).toBe(0);
  });

  it('without the descriptors nothing is opened, and those that came are closed, whatever is answered', async () => {
    const { run, told } = machine({ addDisk: () => FOREVER });
    const before = open();
    await expect(asks(run, 'a', { token: 'f'.repeat(32) })).rejects.toMatchObject({ code: 'OWNER_REFUSED' });
    await expect(asks(run, 'a', { changes: '/disk' })).rejects.toMatchObject({ code: 'OWNER_REFUSED' });
    await expect(asks(run, 'a')).rejects.toMatchObject({ code: 'CONTAINER_BUSY', message: expect.stringMatching(/does not answer within/) });
    expect(told).toEqual([]);
    // The first one's, whose token was another.
    expect(open()).toBe(before + 1);
  });

  it('one whose disk comes while the machine ends is not started', async () => {
    const seen = Promise.withResolvers<void>();
    const { run, told, disks } = machine({ addDisk: () => seen.promise });
    const joins = asks(run, 'a');
    joins.catch(() => {});
    await new Promise(setImmediate);
    const end = guests.end(Number.POSITIVE_INFINITY);
    seen.resolve();
    await end;
    await expect(joins).rejects.toMatchObject({ code: 'CONTAINER_STATE' });
    expect([told, [...disks]]).toEqual([[], []]);
  });

  it('one that is being started while the machine ends is waited for and stopped; a sooner time counts', async () => {
    const starts = Promise.withResolvers<void>();
    const { run, told, disks } = machine({ started: () => starts.promise });
    const joins = asks(run, 'a');
    await expect.poll(() => told).toEqual(['create']);
    const end = guests.end(Number.POSITIVE_INFINITY);
    starts.resolve();
    await joins;
    await expect.poll(() => told).toEqual(['create', 'signal 15']);
    await guests.end(performance.now());
    await end;
    expect([told.filter((word) => word === 'signal 15'), told.at(-1), [...disks]]).toEqual([['signal 15'], 'signal 9', []]);
  });

  it('the next life of one that was left waits until nothing of the last is left', async () => {
    const { run, told, kill } = machine();
    await asks(run, 'a');
    const again = asks(run, 'a');
    await new Promise(setImmediate);
    expect(told).toEqual(['create']);
    kill();
    expect(await again).toMatchObject({ done: true });
    expect(told).toEqual(['create', 'create']);
    // It is there still.
    await expect(asks(run, 'a')).rejects.toMatchObject({ code: 'CONTAINER_STATE' });
    await guests.end(0);
  });

  it('lends what it has mounted until its end', async () => {
    const { run } = machine();
    const mount = { target: '/mine', source: { kind: 'share', tag: 'vmm' }, subpath: 'theirs', flags: 0 };
    await asks(run, 'a', { shares: [{ name: 'theirs', path: '/shared', readOnly: false }] }, [mount]);
    expect([...run.lent]).toEqual([['0', 1]]);
    await guests.end(0);
    expect([...run.lent]).toEqual([['0', 0]]);
  });
});
