/** bin/vmm.js on a Node that is too old: one line, whatever that Node can parse. */
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { transformSync } from 'esbuild';
import { afterAll, expect, test } from 'vitest';
import { containersCommands } from '../../../vmm/cli/containers.ts';
import { BIN, ROOT } from '../../support/cli/cli.ts';

const FOLDER = mkdtempSync(join(tmpdir(), 'vmm-door-'));
afterAll(() => rmSync(FOLDER, { recursive: true }));

/** The door's answer where Node says that it is `version`. */
function doorOf(version: string, ...args: string[]) {
  const preload = join(FOLDER, `${version}.cjs`);
  writeFileSync(preload, `Object.defineProperty(process, 'version', { value: 'v${version}' });
Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '${version}' } });`);
  return spawnSync(process.execPath, ['--require', preload, '--', BIN, ...args], { encoding: 'utf8' });
}

test.each(['0.12.18', '4.9.1', '20.20.2', '22.23.3', '24.10.0'])('Node %s: one line, status 125', (version) => {
  expect(doorOf(version, 'run', 'image')).toMatchObject({ status: 125, stdout: '', stderr: `vmm: needs Node 24.11 or newer, this is v${version}\n` });
});

test.each(['24.11.0', '24.22.3', '26.0.0', '100.0.0'])('Node %s: the program runs', (version) => {
  expect(doorOf(version, 'version')).toMatchObject({ status: 0, stderr: '' });
});

test('the line names what package.json asks for', () => {
  const { engines } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  expect(engines.node).toBe('>=24.11.0');
});

test('any Node since 6 can parse it: its syntax is that of ES2015', () => {
  const text = readFileSync(join(ROOT, 'bin', 'vmm.js'), 'utf8').replace(/^#!.*/, '');
  const plain = (target: string): string => transformSync(text, { target, minifyWhitespace: true, legalComments: 'none' }).code;
  expect(plain('es2015')).toBe(plain('esnext'));
});

test('code of programs that were not used for long is swept by who adds its own; nothing else in the folder is', () => {
  const place = join(FOLDER, 'installed');
  const code = join(FOLDER, 'cache', 'vmm', 'code');
  mkdirSync(join(place, 'bin'), { recursive: true });
  mkdirSync(join(place, 'dist'));
  mkdirSync(code, { recursive: true, mode: 0o700 });
  copyFileSync(BIN, join(place, 'bin', 'vmm.js'));
  copyFileSync(join(ROOT, 'bin', 'package.json'), join(place, 'bin', 'package.json'));
  copyFileSync(join(ROOT, 'dist', 'client.cjs'), join(place, 'dist', 'client.cjs'));
  const day = 86_400_000;
  const put = (name: string, ageMs: number): string => {
    const at = new Date(Date.now() - ageMs);
    writeFileSync(join(code, name), 'x');
    utimesSync(join(code, name), at, at);
    return name;
  };
  const old = Array.from({ length: 30 }, (_, i) => put(`${i.toString(16).padStart(16, '0')}-v24.11.${i}`, (i + 1) * day));
  // Written long ago and still read.
  utimesSync(join(code, old[29] as string), new Date(), new Date(Date.now() - 90 * day));
  const left = put('00000000000000ff-v24.11.0.4711', day);
  const others = [put('00000000000000fe-v24.11.0.4712', 1000), put('core-v24.22.3-1ea64c0e', 90 * day), put('notes', 90 * day), put('00000000000000fd-v24.11.0-mine', 90 * day)];
  const run = spawnSync(process.execPath, ['--', join(place, 'bin', 'vmm.js'), 'ps', '--root', join(FOLDER, 'root')], { encoding: 'utf8', env: { ...process.env, XDG_CACHE_HOME: join(FOLDER, 'cache') }, timeout: 60_000 });
  expect(run).toMatchObject({ status: 0, stderr: '' });
  const names = readdirSync(code);
  const own = names.filter((name) => ![...old, left, ...others].includes(name));
  expect(own).toEqual([expect.stringMatching(new RegExp(`^[0-9a-f]{16}-${process.version}$`))]);
  expect(names.sort()).toEqual([...own, ...old.slice(0, 22), old[29], ...others].sort());
});

test('a run that -d sends away is not first joined: it has no use for the small program', () => {
  const { programOf } = createRequire(import.meta.url)(join(ROOT, 'bin', 'vmm.js')) as { programOf(words: string[]): string };
  const of = (...words: string[]): string => programOf(['run', '--name', 'web', ...words, 'image', 'sh']);
  expect([of(), of('-it'), of('-d'), of('-dit'), of('-itd'), of('--detach')]).toEqual(['client.cjs', 'client.cjs', 'run.cjs', 'run.cjs', 'run.cjs', 'run.cjs']);
});

test('the commands of the small program are those that it has', () => {
  const { CLIENT } = createRequire(import.meta.url)(join(ROOT, 'bin', 'vmm.js')) as { CLIENT: string[] };
  expect(CLIENT).toEqual(containersCommands().map(({ name }) => name));
});
