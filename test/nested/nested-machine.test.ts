import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { NestedMachine } from '../../scripts/nested/machine.mjs';
import { pathsAmong } from '../../scripts/nested/image.mjs';
import { root } from '../support/guests/programs.ts';

const dir = mkdtempSync(join(tmpdir(), 'taken-'));
let machine: NestedMachine;

beforeAll(async () => {
  writeFileSync(join(dir, 'file'), 'from the host');
  machine = await NestedMachine.boot({ take: [dir] });
}, 300_000);

afterAll(async () => {
  await machine?.close();
  rmSync(dir, { recursive: true });
});

describe('the nested machine', () => {
  test('has a KVM of hardware kind, trace events of it, and the checkout at its own path', async () => {
    const { status, stdout } = await machine.run('test -c /dev/kvm && ls -d /sys/module/kvm_amd /sys/kernel/tracing/events/kvm && pwd');
    expect({ status, stdout }).toEqual({ status: 0, stdout: `/sys/kernel/tracing/events/kvm\n/sys/module/kvm_amd\n${root}\n` });
  });

  test('hands back both streams apart, byte for byte, and the status', async () => {
    const { status, stdoutBytes, stderrBytes } = await machine.run("printf 'a\\000\\377b'; printf 'oops\\n' >&2; exit 93");
    expect({ status, out: [...stdoutBytes], err: stderrBytes.toString() }).toEqual({ status: 93, out: [97, 0, 255, 98], err: 'oops\n' });
  });

  test('a job ended by a signal has the shell’s status for it', async () => {
    expect((await machine.run('sh -c "kill -9 \\$\\$"')).status).toBe(137);
  });

  test('20 MB of output arrive whole', async () => {
    const { stdoutBytes } = await machine.run('head -c 20000000 /dev/zero');
    expect(stdoutBytes.length).toBe(20_000_000);
  }, 120_000);

  test('brings host files along and runs Node', async () => {
    const { stdout, stderr } = await machine.run(`node -e 'process.stdout.write(require("fs").readFileSync("${dir}/file"))'`);
    expect(stdout, stderr).toBe('from the host');
  });

  test('a job gets no input unless it asks for it', async () => {
    expect((await machine.run('cat; echo end')).stdout).toBe('end\n');
    const job = machine.run('wc -c', { stdin: true });
    machine.stdin.end('12345');
    expect((await job).stdout.trim()).toBe('5');
  });

  test('a job that runs too long is an error that carries its output', async () => {
    // The last job: the machine ends with it.
    await expect(machine.run('echo begun; sleep 1000', { timeoutMs: 3000 })).rejects.toMatchObject({ code: 'TIMEOUT' });
  }, 120_000);
});

test('words that name host files are taken along, those of the system or none are not', () => {
  expect(pathsAmong([dir, '/bin/sh', '/no/such', 'echo', '-c', `${dir}/file`, '/'])).toEqual([dir, `${dir}/file`]);
});
