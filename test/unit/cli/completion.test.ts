/** What is made from the option tables beside --help: the manual, and completion of command lines: what `vmm completion -- WORDS…` answers, and that bash, zsh and fish make of it what they should. */
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { manual } from '../../../scripts/manual.ts';
import { busyboxImage } from '../../support/guests/busybox-image.ts';
import { BIN, vmm } from '../../support/cli/cli.ts';

const FOLDER = mkdtempSync(join(tmpdir(), 'vmm-completion-'));
const env = { VMM_STORE: join(FOLDER, 'store') };
const shellEnv = { ...env, PATH: `${FOLDER}:${process.env['PATH']}`, HOME: FOLDER };

beforeAll(async () => {
  writeFileSync(join(FOLDER, 'vmm'), `#!/bin/sh\nexec '${process.execPath}' -- '${BIN}' "$@"\n`);
  chmodSync(join(FOLDER, 'vmm'), 0o755);
  mkdirSync(join(FOLDER, 'here', 'rootfs'), { recursive: true });
  writeFileSync(join(FOLDER, 'here', 'kernel'), '');
  const image = busyboxImage();
  expect((await vmm(['image', 'import', '-q', image, 'debian:12'], { env })).status).toBe(0);
  rmSync(image, { recursive: true });
});
afterAll(() => rmSync(FOLDER, { recursive: true }));

/** Candidates without their help. */
async function complete(...words: string[]): Promise<string[]> {
  const { status, stdout, stderr } = await vmm(['completion', '--', ...words], { env });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  return stdout.toString().split('\n').filter(Boolean).map((line) => line.split('\t')[0] ?? '');
}

describe('candidates', () => {
  test.each([
    [['ru'], ['run']],
    [['image', 'r'], ['referrers', 'rm']],
    [['boot', '--kern'], ['--kernel']],
    [['boot', '--kernel', ''], [':files']],
    [['run', '--accel', ''], ['auto', 'kvm', 'wasm']],
    [['run', '--accel=k'], ['--accel=kvm']],
    [['run', '-itm', ''], []],
    [['run', 'deb'], ['debian:12', ':files']],
    [['run', '-q', '--memory', '1g', 'deb'], ['debian:12', ':files']],
    [['run', 'debian:12', '--acc'], [':files']],
    [['image', 'inspect', ''], ['debian:12']],
    [['image', 'ls', '--q'], ['--quiet']],
    [['boot', 'x'], []],
    [['nothing', ''], []],
  ])('%j gives %j', async (words, expected) => expect(await complete(...words)).toEqual(expected));

  test('every option of run that --help names is there', async () => {
    const help = (await vmm(['run', '--help'])).stdout.toString();
    const named = [...help.matchAll(/^ +(?:-\w, )?(--[\w-]+)/gm)].map(([, name]) => name);
    expect(named.length).toBeGreaterThan(20);
    expect(await complete('run', '-')).toEqual(expect.arrayContaining(named));
  });

  test('another shell is refused by name', async () => {
    expect(await vmm(['completion', 'tcsh'])).toMatchObject({ status: 125, stderr: expect.stringContaining('not tcsh') });
  });
});

test('the manual page is good roff, and has every option of every command', async () => {
  const { stdout, stderr } = spawnSync('groff', ['-man', '-Tutf8', '-ww', '-P-c', '-P-b', '-P-u'], { input: await manual(), encoding: 'utf8' });
  expect(stderr).toBe('');
  for (const command of ['run', 'boot', 'accel']) {
    const help = (await vmm([command, '--help'])).stdout.toString();
    for (const [, name] of help.matchAll(/^ +(?:-\w, )?(--[\w-]+)/gm)) expect(stdout, command).toContain(name);
  }
});

describe('shells', () => {
  const lines = (command: string, ...args: string[]): string[] =>
    execFileSync(command, args, { cwd: join(FOLDER, 'here'), env: shellEnv, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] }).split('\n').filter(Boolean);
  const bash = (line: string, words: string): string[] =>
    lines('bash', '--norc', '-c', `source <(vmm completion bash); COMP_LINE=${JSON.stringify(line)}; COMP_POINT=\${#COMP_LINE}; COMP_WORDS=(${words}); COMP_CWORD=$((\${#COMP_WORDS[@]} - 1)); _vmm; printf '%s\\n' "\${COMPREPLY[@]}"`);

  test('bash', () => {
    expect(bash('vmm run --acc', 'vmm run --acc')).toEqual(['--accel']);
    // Its words end at = and at a colon.
    expect(bash('vmm run --accel=w', "vmm run --accel '=' w")).toEqual(['wasm']);
    expect(bash('vmm run --accel=', "vmm run --accel '='")).toEqual(['auto', 'kvm', 'wasm']);
    expect(bash('vmm run debian:', "vmm run debian ':'")).toContain('12');
    expect(bash('vmm boot --kernel ker', 'vmm boot --kernel ker')).toEqual(['kernel']);
    expect(bash('vmm run ', "vmm run ''").sort()).toEqual(['debian:12', 'kernel', 'rootfs']);
  });

  test('fish', () => {
    const fish = (line: string): string[] => lines('fish', '--no-config', '-c', `vmm completion fish | source; complete -C ${JSON.stringify(line)}`);
    expect(fish('vmm run --acc')).toEqual([expect.stringMatching(/^--accel\t/)]);
    expect(fish('vmm boot --kernel ker')).toEqual([expect.stringMatching(/^kernel/)]);
    expect(fish('vmm image inspect d')).toEqual(['debian:12\timage']);
  });

  test('zsh', () => {
    // The completion system's own functions need a terminal: here they tell what they are given.
    const zsh = (...words: string[]): string[] => lines('zsh', '-f', '-c', `compdef() { }; _describe() { print -l -- "\${(@P)2}" }; _files() { print FILES }; source <(vmm completion zsh); words=(vmm ${words.map((word) => `'${word}'`).join(' ')}); CURRENT=\${#words}; _vmm`);
    expect(zsh('run', '--acc')).toEqual([expect.stringMatching(/^--accel:/)]);
    expect(zsh('run', 'deb')).toEqual(['debian\\:12:image', 'FILES']);
    expect(zsh('boot', '--kernel', '')).toEqual(['FILES']);
  });
});
