import { execFileSync } from 'node:child_process';
import { appendFileSync, existsSync, mkdirSync, lutimesSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, statSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { EMPTY_CONFIG } from '../../../image/documents/config.ts';
import { VmmError } from '../../../base/errors.ts';
import { askOwner } from '../../../vmm/owner/client.ts';
import { LogWriter, readLogs } from '../../../vmm/owner/logs.ts';
import { PROTOCOL_VERSION } from '../../../vmm/owner/protocol.ts';
import { NO_RESTART, Restarts } from '../../../vmm/owner/restarts.ts';
import { serve } from '../../../vmm/owner/server.ts';
import type { ContainerRecord } from '../../../vmm/owner/record.ts';
import { StateFolder } from '../../../vmm/owner/state.ts';
import { hostFs } from '../../../vmm/guest/host-fs.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'vmm-owner-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const record = (id: string, name: string): ContainerRecord => ({
  version: 2, id: id.padEnd(64, '0'), name, image: 'i', imageId: 'sha256:0', rootfs: '/none', config: EMPTY_CONFIG, command: [], env: [], labels: {}, created: '', argv: [], folder: '/',
  disk: false, restart: NO_RESTART, autoRemove: false, stopTimeout: undefined,
});

describe('logs', () => {
  it('come back as they were written, over files and pieces of characters', async () => {
    const writer = new LogWriter(folder, 1000);
    const text = Array.from({ length: 100 }, (_, i) => `line ${i} ä€😀\n`).join('') + 'x'.repeat(20_000);
    const bytes = Buffer.from(text);
    for (let at = 0; at < bytes.length; at += 7) writer.write('stdout', bytes.subarray(at, at + 7));
    writer.write('stderr', Buffer.from('no end'));
    writer.close();
    const files = readdirSync(folder);
    expect(files.length).toBeGreaterThan(5);
    expect(files.filter((name) => statSync(join(folder, name)).size > 1000)).toHaveLength(2); // the long line's pieces
    const read = { stdout: '', stderr: '' };
    for await (const { log, stream } of readLogs(folder)) read[stream] += log;
    expect(read).toEqual({ stdout: text, stderr: 'no end' });
  });
});

describe.skipIf(process.getuid?.() !== 0)('logs on a full disk', () => {
  it('what could not be written is told before the next line that could, and no line is spoilt', async () => {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'none', folder], { timeout: 60_000 });
    try {
      const writer = new LogWriter(folder);
      writer.write('stdout', Buffer.from('first\n'));
      execFileSync('sh', ['-c', `head -c 60000 /dev/zero > ${folder}/filler`], { timeout: 60_000 });
      // Some fit in the last page, one only in part, the others not at all.
      for (let i = 0; i < 200; i++) writer.write('stdout', Buffer.from(`line ${i} ${'x'.repeat(100)}\n`));
      rmSync(join(folder, 'filler'));
      writer.write('stderr', Buffer.from('again\n'));
      writer.write('stderr', Buffer.from('and again\n'));
      writer.close();
      const read: string[] = [];
      for await (const { log } of readLogs(folder)) read.push(log);
      const kept = read.filter((line) => line.startsWith('line ')).length;
      expect(kept).toBeLessThan(200);
      expect(read.slice(-3)).toEqual([`vmm: ${200 - kept} lines of the log are lost: they could not be written\n`, 'again\n', 'and again\n']);
      expect(read.length).toBe(kept + 4);
    } finally {
      execFileSync('umount', [folder], { timeout: 60_000 });
    }
  });
});

describe.skipIf(process.getuid?.() !== 0)('a name on a full disk', () => {
  it('is not half taken, by a new container or by rename', async () => {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k,mode=0700', 'none', folder], { timeout: 60_000 });
    try {
      const state = new StateFolder(folder);
      state.make();
      const one = record('a', 'one');
      await state.add(one, hostFs);
      execFileSync('sh', ['-c', `head -c 100000 /dev/zero > ${folder}/filler || true`], { timeout: 60_000, stdio: 'ignore' });
      await expect(state.rename(one.id, 'two', hostFs)).rejects.toMatchObject({ code: 'STATE_FOLDER' });
      await expect(state.add(record('b', 'three'), hostFs)).rejects.toMatchObject({ code: 'STATE_FOLDER' });
      expect([readdirSync(join(folder, 'names')), readdirSync(join(folder, 'containers'))]).toEqual([['one'], [one.id]]);
      expect((await state.find('one')).record.name).toBe('one');
      rmSync(join(folder, 'filler'));
      await state.rename(one.id, 'two', hostFs);
      expect(readdirSync(join(folder, 'names'))).toEqual(['two']);
    } finally {
      execFileSync('umount', [folder], { timeout: 60_000 });
    }
  });
});

describe('logs of a container that is started again', () => {
  it('go on where they ended, without the piece of a line that an owner which was killed has left', async () => {
    for (const text of ['one\n', 'two\n', 'three\n']) {
      const writer = new LogWriter(folder, 100);
      writer.write('stdout', Buffer.from(text));
      writer.close();
      appendFileSync(join(folder, readdirSync(folder).sort().at(-1) as string), '{"log":"to');
    }
    const writer = new LogWriter(folder, 100);
    writer.close();
    const read = [];
    for await (const { log } of readLogs(folder)) read.push(log);
    expect(read).toEqual(['one\n', 'two\n', 'three\n']);
  });
});

describe('names and ids', () => {
  it('one of two takes a name; a prefix of two ids is refused', async () => {
    const state = new StateFolder(folder);
    state.make();
    const both = await Promise.allSettled([state.add(record('abc1', 'one'), hostFs), state.add(record('abc3', 'one'), hostFs)]);
    expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    expect(both.find(({ status }) => status === 'rejected')).toMatchObject({ reason: { code: 'CONTAINER_NAME' } });
    await state.add(record('abc2', 'two'), hostFs);
    await expect(state.find('abc')).rejects.toMatchObject({ code: 'CONTAINER_AMBIGUOUS' });
    expect(await state.find('abc2')).toMatchObject({ record: { name: 'two' }, state: 'created' });
    await expect(state.find('../names')).rejects.toMatchObject({ code: 'CONTAINER_NOT_FOUND' });
    await expect(state.find('abc4')).rejects.toMatchObject({ code: 'CONTAINER_NOT_FOUND' });
    expect(readdirSync(state.containers)).toHaveLength(2);
  });

  it('a new name takes the old one’s place; of two at once for one name one has it', async () => {
    const state = new StateFolder(folder);
    state.make();
    for (const [id, name] of [['a', 'one'], ['b', 'two']] as const) await state.add(record(id, name), hostFs);
    await expect(state.rename(record('a', '').id, 'two', hostFs)).rejects.toMatchObject({ code: 'CONTAINER_NAME' });
    const both = await Promise.allSettled(['a', 'b'].map((id) => state.rename(record(id, '').id, 'three', hostFs)));
    expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    expect((await state.list(() => {})).map(({ record: { name } }) => name).filter((name) => name === 'three')).toHaveLength(1);
    expect(readdirSync(state.names)).toHaveLength(2);
    await state.remove((await state.find('three')).record.id, hostFs);
    expect(readdirSync(state.names)).toHaveLength(1);
  });

  it('a name of a container that is not there, as a command that was killed leaves it, is free', async () => {
    const state = new StateFolder(folder);
    state.make();
    writeFileSync(join(state.names, 'one'), record('a', '').id);
    await expect(state.find('one')).rejects.toMatchObject({ code: 'CONTAINER_NOT_FOUND' });
    await state.add(record('b', 'one'), hostFs);
    expect(await state.find('one')).toMatchObject({ record: { id: record('b', '').id } });
  });

  it('what a command that was killed has left of a folder is swept when it is old', async () => {
    const state = new StateFolder(folder);
    state.make();
    const left = join(state.containers, `.${record('a', '').id}`);
    mkdirSync(left);
    writeFileSync(join(left, 'disk'), '');
    await state.list(() => {});
    expect(readdirSync(state.containers)).toHaveLength(1);
    utimesSync(left, 1, 1);
    await state.list(() => {});
    expect(readdirSync(state.containers)).toEqual([]);
  });

  it('what cannot be filled leaves nothing', async () => {
    const state = new StateFolder(folder);
    state.make();
    await expect(state.add(record('a', 'one'), hostFs, () => { throw new VmmError('SCRATCH_MAKE', 'full'); })).rejects.toMatchObject({ code: 'SCRATCH_MAKE' });
    expect([readdirSync(state.containers), readdirSync(state.names)]).toEqual([[], []]);
  });
});

describe('a list', () => {
  it('clears what goes with its client and was killed before it had a life, unless an owner holds it or it is new', async () => {
    const state = new StateFolder(folder);
    state.make();
    for (const [id, bound] of [['a', true], ['b', true], ['c', true], ['d', false]] as const) await state.add({ ...record(id, `of-${id}`), bound }, hostFs);
    for (const id of ['a', 'b', 'd']) utimesSync(state.folder(record(id, '').id), 1, 1);
    const held = await state.hold(record('b', '').id, hostFs);
    await state.list(() => {});
    expect((await state.list(() => {})).map(({ record: { name }, state: now }) => `${name} ${now}`).sort()).toEqual(['of-b created', 'of-c created', 'of-d created']);
    held?.release();
    await state.list(() => {});
    expect(readdirSync(state.names).sort()).toEqual(['of-c', 'of-d']);
  });

  it('is there also where what is left cannot be cleared', async () => {
    const state = new StateFolder(folder);
    state.make();
    const { id } = record('a', 'one');
    await state.add({ ...record('a', 'one'), autoRemove: true }, hostFs);
    state.writeLife(id, { pid: 0, ran: true, restarts: 0, started: '', end: undefined, restarting: false });
    // Opened to be locked it is no folder: ENOTDIR.
    renameSync(state.folder(id), join(folder, 'elsewhere'));
    symlinkSync(join(folder, 'elsewhere'), state.folder(id));
    lutimesSync(state.folder(id), 1, 1);
    expect(await state.list(() => {})).toMatchObject([{ state: 'dead' }]);
  });

  it('gives records of another version to who asks for them, and goes on', async () => {
    const state = new StateFolder(folder);
    state.make();
    for (const id of ['a', 'b']) await state.add(record(id, `of-${id}`), hostFs);
    const path = join(state.folder(record('b', '').id), 'record.json');
    writeFileSync(path, readFileSync(path, 'utf8').replace('"version":2', '"version":3'));
    const foreign: unknown[] = [];
    expect(await state.list((one) => foreign.push(one))).toMatchObject([{ record: { name: 'of-a' } }]);
    expect(foreign).toMatchObject([{ id: record('b', '').id, error: { code: 'STATE_FOLDER' }, text: readFileSync(path, 'utf8') }]);
  });

  it.each([['', 'nothing'], ['{"version":2', 'half a record'], ['null', 'no object'], ['{"version":2,"id":"ID"}', 'an object without the fields'], ['[]', 'a list']])('a record that is %j is told as damaged, stays, and the others are listed', async (text) => {
    const state = new StateFolder(folder);
    state.make();
    for (const id of ['a', 'b']) await state.add(record(id, `of-${id}`), hostFs);
    const { id } = record('b', '');
    const path = join(state.folder(id), 'record.json');
    writeFileSync(path, text.replace('ID', id));
    // Older than what is swept.
    lutimesSync(state.folder(id), 1, 1);
    const foreign: unknown[] = [];
    expect(await state.list((one) => foreign.push(one))).toMatchObject([{ record: { name: 'of-a' } }]);
    expect(foreign).toMatchObject([{ id, error: { code: 'STATE_FOLDER', message: expect.stringContaining('damaged') } }]);
    expect(existsSync(path)).toBe(true);
    expect((await state.find('of-a')).state).toBe('created');
  });

  it.each(['', '{', '{"pid":"x"}', '{"pid":1,"ran":true,"end":5}', '{"pid":1,"ran":true,"end":{"status":"0"}}'])('a life that is %j is none', async (text) => {
    const state = new StateFolder(folder);
    state.make();
    await state.add(record('a', 'one'), hostFs);
    writeFileSync(join(state.folder(record('a', '').id), 'life.json'), text);
    expect(await state.list(() => {})).toMatchObject([{ state: 'created', life: undefined }]);
  });

  it('with a container both of its sockets go', async () => {
    const state = new StateFolder(folder);
    state.make();
    const { id } = record('a', 'one');
    await state.add(record('a', 'one'), hostFs);
    for (const socket of [state.socket(id), state.filesSocket(id)]) writeFileSync(socket, '');
    await state.remove(id, hostFs);
    expect(readdirSync(state.sockets)).toEqual([]);
  });
});

describe('a folder that is held', () => {
  it('is nobody else’s until it is let go, and gone when it was removed', async () => {
    const state = new StateFolder(folder);
    state.make();
    const { id } = record('a', 'one');
    await state.add(record('a', 'one'), hostFs);
    const held = await state.hold(id, hostFs);
    expect(held).toBeDefined();
    expect(await state.hold(id, hostFs)).toBeUndefined();
    const waits = state.hold(id, hostFs, 60_000);
    await state.remove(id, hostFs);
    held?.release();
    await expect(waits).rejects.toMatchObject({ code: 'CONTAINER_NOT_FOUND' });
  });
});

describe('restarts', () => {
  it('wait 100 ms, then twice as long each time, a minute at most; a run of 10 s begins anew', () => {
    const restarts = new Restarts({ name: 'always', most: 0 });
    expect(Array.from({ length: 12 }, () => restarts.after(0, 0))).toEqual([100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 51_200, 60_000, 60_000]);
    expect([restarts.after(0, 10_000), restarts.after(0, 9999)]).toEqual([100, 200]);
    expect(restarts.count).toBe(14);
  });

  it('on-failure: so many times, and not after 0', () => {
    const restarts = new Restarts({ name: 'on-failure', most: 2 });
    expect([restarts.after(1, 0), restarts.after(1, 0), restarts.after(1, 0)]).toEqual([100, 200, undefined]);
    expect(new Restarts({ name: 'on-failure', most: 0 }).after(0, 0)).toBeUndefined();
    expect(new Restarts(NO_RESTART).after(1, 0)).toBeUndefined();
  });
});

describe('the socket', () => {
  it('answers its own version, and refuses others by name', async () => {
    const server = await serve(join(folder, 'sock'), async (ask) => ({ done: true, status: ask.ask === 'wait' ? 3 : 4 }));
    expect(await askOwner(join(folder, 'sock'), { ask: 'wait' })).toMatchObject({ status: 3 });
    const answer = await new Promise<string>((resolve) => {
      const socket = connect({ path: join(folder, 'sock') });
      socket.write('{"version":1,"ask":"wait"}\n');
      socket.on('data', (bytes) => resolve(bytes.toString()));
    });
    expect(JSON.parse(answer)).toMatchObject({ version: PROTOCOL_VERSION, done: false, code: 'OWNER_REFUSED', message: expect.stringContaining('not 1') });
    await server.close();
    expect(readdirSync(folder)).toEqual([]);
    expect(await askOwner(join(folder, 'sock'), { ask: 'wait' })).toBeUndefined();
  });
});
