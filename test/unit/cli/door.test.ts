/** bin/vmm.js on a Node that is too old: one line, whatever that Node can parse. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
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

test('the commands of the small program are those that it has', () => {
  const { CLIENT } = createRequire(import.meta.url)(join(ROOT, 'bin', 'vmm.js')) as { CLIENT: string[] };
  expect(CLIENT).toEqual(containersCommands().map(({ name }) => name));
});
