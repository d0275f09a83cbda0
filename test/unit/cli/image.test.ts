/** `vmm image` as a user has it: what is stored, shown, and gone. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { BIN, vmm } from '../../support/cli/cli.ts';
import { Terminal } from '../../support/cli/terminal.ts';

let dir: string;
let store: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'vmm-image-cli-'));
  store = join(dir, 'store');
  for (const [name, text] of [['one', 'first'], ['two', 'second']] as const) {
    mkdirSync(join(dir, name, 'etc'), { recursive: true });
    writeFileSync(join(dir, name, 'etc', 'text'), text);
  }
  execFileSync('tar', ['-C', join(dir, 'two'), '-cf', join(dir, 'two.tar'), '.']);
});
afterAll(() => rmSync(dir, { recursive: true }));

async function image(...args: string[]): Promise<string> {
  const result = await vmm(['image', ...args], { env: { VMM_STORE: store } });
  expect({ status: result.status, stderr: result.stderr }).toEqual({ status: 0, stderr: '' });
  return result.stdout.toString();
}

/** What the store itself keeps of an image. */
async function record(name: string): Promise<{ id: string; size: number; path: string; source: string }> {
  return JSON.parse(await image('inspect', '-f', '{{json .Record}}', name)) as { id: string; size: number; path: string; source: string };
}

/** Columns of `vmm image ls`, by row. */
const rows = (text: string): string[][] => text.trimEnd().split('\n').map((line) => line.split(/ {2,}/));

test('images are imported, listed, shown, renamed, removed and cleared away', async () => {
  // An empty store
  expect(rows(await image('ls'))).toEqual([['REPOSITORY', 'TAG', 'IMAGE ID', 'CREATED', 'SIZE']]);
  expect(await image('ls', '-q')).toBe('');
  expect(await image('list')).toBe(await image('ls'));

  // A directory with a name, an archive under its own
  const [firstId = '', firstName] = (await image('import', '-q', join(dir, 'one'), 'first:1')).trimEnd().split(' ');
  expect(firstId).toMatch(/^sha256:[0-9a-f]{64}$/);
  expect(firstName).toMatch(/^(.*\/)?first:1$/);
  const [secondId = ''] = (await image('import', '-q', join(dir, 'two.tar'), 'second')).trimEnd().split(' ');
  expect(secondId).not.toBe(firstId);

  const short = (id: string): string => id.slice('sha256:'.length).slice(0, 12);
  const listed = rows(await image('ls'));
  expect(listed.slice(1).map(([, , id]) => id).sort()).toEqual([short(firstId), short(secondId)].sort());
  const row = listed.find(([, , id]) => id === short(firstId)) ?? [];
  expect(row).toEqual(['first', '1', short(firstId), expect.stringMatching(/second(s)? ago$|^About a minute ago$/), expect.stringMatching(/^[\d.]+(B|kB|MB)$/)]);
  expect(await image('ls', '--filter', `id=${short(firstId)}`, '--format', '{{.LastUsed}} {{.Source}}')).toMatch(new RegExp(`^\\d{4}-\\d\\d-\\d\\dT[\\d:.]+Z ${join(dir, 'one')}\n$`));
  expect((await image('ls', '-q')).trimEnd().split('\n').sort()).toEqual([short(firstId), short(secondId)].sort());

  // The same again gives the same, and a second name
  expect((await image('import', '-q', join(dir, 'one'), 'again')).split(' ')[0]).toBe(firstId);
  expect(rows(await image('ls')).filter(([, , id]) => id === short(firstId)).map(([name, tag]) => `${name}:${tag}`).sort()).toEqual(['again:latest', 'first:1']);

  // By name and by id
  const shown = await record('first:1');
  expect(shown.id).toBe(firstId);
  expect(existsSync(shown.path)).toBe(true);
  expect(statSync(shown.path).size).toBe(shown.size);
  expect(await record(short(firstId))).toMatchObject({ id: firstId, path: shown.path });

  // A name that another image has moves
  expect(await image('tag', 'first:1', 'third')).toBe('third:latest\n');
  expect(await record('third')).toMatchObject({ id: firstId });
  expect(await image('tag', 'second', 'third')).toBe('third:latest\n');
  expect(await record('third')).toMatchObject({ id: secondId });
  expect(await image('rm', 'third')).toBe('removed third:latest\n');
  const nothing = await vmm(['image', 'tag', 'nothing', 'x'], { env: { VMM_STORE: store } });
  expect(nothing).toMatchObject({ status: 125, stderr: expect.stringContaining('[IMAGE_NOT_FOUND]') });

  // One name of two: the image stays
  expect(await image('rm', 'again')).toMatch(/^removed .*again/);
  expect(existsSync(shown.path)).toBe(true);
  // The last name: it goes with prune at the latest, and nothing else does
  await image('rm', 'first:1');
  expect(await image('prune')).toMatch(/^freed [\d.]+ (B|KiB|MiB)\n$/);
  expect(existsSync(shown.path)).toBe(false);
  expect((await image('ls', '-q')).trim()).toBe(short(secondId));

  const second = await record('second');
  expect(await image('prune', '--all')).toMatch(/^freed [\d.]+ (B|KiB|MiB)\n$/);
  expect(existsSync(second.path)).toBe(false);
  expect(await image('ls', '-q')).toBe('');
});

test('an import without a name prints the id of what it stored', async () => {
  const result = await vmm(['image', 'import', join(dir, 'one')], { env: { VMM_STORE: store } });
  expect(result.status, result.stderr).toBe(0);
  expect(result.stdout.toString()).toMatch(/^sha256:[0-9a-f]{64}( \S+)?\n$/);
});

test('an archive on standard input becomes an image; a terminal there is no archive', async () => {
  const env = { VMM_STORE: store };
  const tar = readFileSync(join(dir, 'two.tar'));
  for (const [bytes, name] of [[tar, 'plain'], [gzipSync(tar), 'packed']] as const) {
    const result = await vmm(['image', 'import', '-', name], { env, stdin: bytes });
    expect({ status: result.status, stderr: result.stderr }).toEqual({ status: 0, stderr: '' });
    expect(result.stdout.toString()).toMatch(new RegExp(`^sha256:[0-9a-f]{64} ${name}\n$`));
  }
  expect(readdirSync(join(store, 'tmp'))).toEqual([]);
  const shown = await record('plain');
  expect(shown.source).toBe('-');
  expect(await record('packed')).toMatchObject({ id: shown.id });
  for (const [bytes, code] of [['', 'IMAGE_BAD'], ['text', 'IMAGE_TAR_TRUNCATED']] as const) {
    const bad = await vmm(['image', 'import', '-'], { env, stdin: bytes });
    expect(bad.status).toBe(125);
    expect(bad.stderr).toMatch(new RegExp(`^vmm: .*image -[: ].*\\[${code}\\]`));
  }
});

test('on a terminal an import tells how far it is, elsewhere it does not', async () => {
  // Two halves of an archive with a pause between them.
  const feed = `(head -c 5000; sleep 1.2; cat) < ${join(dir, 'two.tar')} | ${process.execPath} -- ${BIN} image import - slow`;
  const terminal = new Terminal(feed, { VMM_STORE: store });
  expect((await terminal.until(/vmm: fetching \d+\.\d KiB(, [\d.]+ (B|KiB)\/s)?/)).index).toBeGreaterThanOrEqual(0);
  expect(await terminal.status).toBe(0);
  expect(terminal.output).toMatch(/\r\u001b\[Ksha256:[0-9a-f]{64} slow/);
  const quiet = new Terminal(feed.replace('import', 'import -q'), { VMM_STORE: store });
  expect(await quiet.status).toBe(0);
  expect(quiet.output).toMatch(/^sha256:/);
  expect(execFileSync('sh', ['-c', `${feed} 2>&1`], { encoding: 'utf8', env: { ...process.env, VMM_STORE: store } })).toMatch(/^sha256:\S+ slow\n$/);
});

test('save, load, history and fsck, by files and by pipes', async () => {
  const saved = await vmm(['image', 'save', 'plain'], { env: { VMM_STORE: store } });
  expect(saved.status, saved.stderr).toBe(0);
  expect(saved.stderr).toMatch(/one layer/);
  const other = { VMM_STORE: join(dir, 'other-store') };
  const loaded = await vmm(['image', 'load', '-q'], { env: other, stdin: saved.stdout });
  expect(loaded.stdout.toString()).toMatch(/^sha256:[0-9a-f]{64} plain:latest\n$/);
  const out = join(dir, 'saved.tar');
  expect(await vmm(['image', 'save', '-o', out, 'plain'], { env: other })).toMatchObject({ status: 0 });
  expect(readFileSync(out)).toEqual(saved.stdout);
  expect((await vmm(['image', 'load', '-q', '--input', out], { env: other })).stdout).toEqual(loaded.stdout);
  expect((await vmm(['image', 'history', 'plain'], { env: other })).stdout.toString()).toMatch(/^IMAGE .*\n[0-9a-f]{12} .* years ago .*vmm .* one layer of the stored disk\n$/);
  expect((await vmm(['image', 'fsck'], { env: other })).stdout.toString()).toBe('the store is whole\n');
  const [file = ''] = readdirSync(join(dir, 'other-store', 'rootfs'));
  writeFileSync(join(dir, 'other-store', 'rootfs', file), 'x');
  const faulty = await vmm(['image', 'fsck'], { env: other });
  expect(faulty.status).toBe(125);
  expect(faulty.stdout.toString()).toMatch(/^image \w{12}: its disk has 1 bytes/);
  expect(faulty.stderr).toMatch(/1 fault .*--repair.*\[STORE_DAMAGED\]\n$/);
  expect(await vmm(['image', 'fsck', '--repair'], { env: other })).toMatchObject({ status: 0 });
  const nowhere = await vmm(['image', 'save', '-o', join(dir, 'no', 'such', 'a.tar'), 'plain'], { env: { VMM_STORE: store } });
  expect(nowhere.stderr).toMatch(/^vmm: cannot write .*ENOENT.*\[OUTPUT_WRITE\]\n$/);
});
