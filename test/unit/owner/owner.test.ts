import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { askOwner } from '../../../vmm/owner/client.ts';
import { LogWriter, readLogs } from '../../../vmm/owner/logs.ts';
import { serve } from '../../../vmm/owner/server.ts';
import { type ContainerRecord, StateFolder } from '../../../vmm/owner/state.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'vmm-owner-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const record = (id: string, name: string): ContainerRecord => ({ version: 1, id: id.padEnd(64, '0'), name, image: 'i', command: [], labels: {}, created: '', argv: [], folder: '/' });

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

describe('names and ids', () => {
  it('one of two takes a name; a prefix of two ids is refused', async () => {
    const state = new StateFolder(folder);
    state.make();
    state.add(record('abc1', 'one'));
    expect(() => state.add(record('abc3', 'one'))).toThrowError(/taken/);
    state.add(record('abc2', 'two'));
    await expect(state.find('abc')).rejects.toMatchObject({ code: 'CONTAINER_AMBIGUOUS' });
    expect(await state.find('abc2')).toMatchObject({ record: { name: 'two' }, state: 'created' });
    await expect(state.find('../names')).rejects.toMatchObject({ code: 'CONTAINER_NOT_FOUND' });
    await expect(state.find('abc3')).rejects.toMatchObject({ code: 'CONTAINER_NOT_FOUND' });
  });
});

describe('the socket', () => {
  it('answers its own version, and refuses others by name', async () => {
    const server = await serve(folder, async (ask) => ({ done: true, status: ask.ask === 'wait' ? 3 : 4 }));
    expect(await askOwner(folder, { ask: 'wait' })).toEqual({ status: 3 });
    const answer = await new Promise<string>((resolve) => {
      const socket = connect({ path: join(folder, 'sock') });
      socket.write('{"version":2,"ask":"wait"}\n');
      socket.on('data', (bytes) => resolve(bytes.toString()));
    });
    expect(JSON.parse(answer)).toMatchObject({ version: 1, done: false, code: 'OWNER_REFUSED', message: expect.stringContaining('not 2') });
    await server.close();
    expect(readdirSync(folder)).toEqual([]);
    expect(await askOwner(folder, { ask: 'wait' })).toBeUndefined();
  });
});
