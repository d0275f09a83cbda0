/** `vmm info`, `vmm system df` and `prune`. */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { vmm } from '../../support/cli/cli.ts';
import { busyboxImage } from '../../support/guests/busybox-image.ts';

const folder = mkdtempSync(join(tmpdir(), 'vmm-system-'));
const image = busyboxImage();
const env = { VMM_STORE: join(folder, 'store'), XDG_RUNTIME_DIR: folder };
const root = join(folder, 'root');
const cli = async (...words: string[]) => {
  const { status, stdout, stderr } = await vmm(words, { env });
  return { status, text: stdout.toString(), stderr };
};
afterAll(() => [folder, image].forEach((each) => rmSync(each, { recursive: true })));

describe('what there is as a whole', () => {
  it('is counted by info and df, and what nobody uses goes by prune', async () => {
    await cli('image', 'import', '-q', image, 'one:1');
    expect(await cli('create', '--root', root, '--name', 'kept', 'one:1', 'true')).toMatchObject({ status: 0 });
    const made = (await cli('volume', 'create')).text.trim();
    writeFileSync(join((await cli('volume', 'inspect', '--format', '{{.Mountpoint}}', made)).text.trim(), 'file'), Buffer.alloc(3_000_000, 1));
    expect(await cli('info', '--root', root, '--format', '{{.Containers}} {{.ContainersStopped}} {{.Images}} {{.KernelVersion}}')).toEqual({ status: 0, stderr: '', text: `1 1 1 ${release()}\n` });
    expect((await cli('system', 'info', '--root', root)).text).toMatch(/^Containers: 1\n Running: 0\n Paused: 0\n Stopped: 1\nImages: 1\n/);
    const { text } = await cli('system', 'df', '--root', root);
    expect(text.split('\n').map((line) => line.split(/ {2,}/))).toEqual([
      ['TYPE', 'TOTAL', 'ACTIVE', 'SIZE', 'RECLAIMABLE'],
      ['Images', '1', '1', expect.stringMatching(/^[\d.]+MB$/), '0B (0%)'],
      ['Containers', '1', '0', expect.stringMatching(/^[\d.]+[kM]B$/), expect.stringMatching(/ \(100%\)$/)],
      ['Local Volumes', '1', '0', expect.stringMatching(/^3[.\d]*MB$/), expect.stringMatching(/^3[.\d]*MB \(100%\)$/)],
      ['Build Cache', '0', '0', '0B', '0B'],
      [''],
    ]);
    expect((await cli('system', 'prune', '--root', root)).text).toMatch(/^WARNING! .*all containers that do not run\n.*\[y\/N\] $/s);
    expect(await cli('system', 'prune', '-af', '--volumes', '--root', root)).toMatchObject({ status: 0, stderr: '', text: expect.stringMatching(new RegExp(`^Deleted Containers:\n[0-9a-f]{64}\n.*Deleted Volumes:\n${made}\n.*freed `, 's')) });
    expect(readdirSync(join(root, 'containers'))).toEqual([]);
    expect((await cli('system', 'df', '--root', root, '--format', '{{.TotalCount}}')).text).toBe('0\n0\n0\n0\n');
  });

  it.each([
    [['system'], /^vmm: system needs a command \(df, events, info, prune\) \[USAGE\]\n$/],
    [['system', 'x'], /unknown command system x/],
    [['system', 'df', 'x'], /takes no argument/],
    [['swarm', 'init'], /^vmm: unknown command swarm \(of swarms[^\n]*\[USAGE\]\n$/],
    [['constructor'], /^vmm: unknown command constructor/],
  ] as const)('%j is one line', async (words, line) => {
    expect(await cli(...words)).toMatchObject({ status: 125, text: '', stderr: expect.stringMatching(line) });
  });
});
