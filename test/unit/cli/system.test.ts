/** `vmm info`, `vmm system df` and `prune`. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
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

  it('what containers have stays, of the usual folder and of --root, and whether it has a name or not', async () => {
    await cli('image', 'import', '-q', image, 'usual:1');
    for (const name of ['given', 'third']) {
      mkdirSync(join(folder, name, 'etc'), { recursive: true });
      writeFileSync(join(folder, name, 'etc/passwd'), `${name}:x:1:1::/:/bin/sh\n`);
    }
    await cli('image', 'import', '-q', join(folder, 'given'), 'given:1');
    await cli('volume', 'create', 'data');
    const ids = async () => (await cli('images', '-q')).text.split('\n').filter(Boolean).sort();
    const all = await ids();
    expect(all).toHaveLength(2);
    expect(await cli('create', '--name', 'usual', 'usual:1', 'true')).toMatchObject({ status: 0 });
    const { text } = await cli('create', '--root', root, '--name', 'given', '-v', 'data:/data', 'given:1', 'true');
    const df = async (...at: string[]) => (await cli('system', 'df', ...at, '--format', '{{.Type}} {{.Active}}')).text.split('\n').slice(0, 3);
    expect(await df('--root', root)).toEqual(['Images 2', 'Containers 0', 'Local Volumes 1']);
    expect(await df()).toEqual(['Images 1', 'Containers 0', 'Local Volumes 0']);
    expect(await cli('volume', 'rm', '--root', root, 'data')).toMatchObject({ status: 1, stderr: expect.stringContaining('[VOLUME_BUSY]') });
    expect(await cli('volume', 'prune', '-af', '--root', root)).toEqual({ status: 0, stderr: '', text: 'Total reclaimed space: 0 B\n' });
    expect(await cli('image', 'prune', '-a', '--root', root)).toMatchObject({ status: 0, stderr: '' });
    expect(await ids()).toEqual(all);

    // Their names are another image's by now.
    await cli('image', 'import', '-q', join(folder, 'third'), 'usual:1');
    await cli('image', 'tag', 'usual:1', 'given:1');
    expect(await ids()).toHaveLength(3);
    for (const words of [[], ['-a']]) expect(await cli('image', 'prune', ...words, '--root', root)).toMatchObject({ status: 0, stderr: '' });
    expect(await ids()).toEqual(all);

    // One that container prune leaves: nobody understands its record.
    const record = join(root, 'containers', text.trim(), 'record.json');
    const whole = readFileSync(record, 'utf8');
    writeFileSync(record, whole.replace(/"version":\d+/, '"version":99'));
    for (const words of ['-f', '-af']) expect(await cli('system', 'prune', words, '--volumes', '--root', root)).toMatchObject({ status: 0, stderr: expect.stringMatching(/images that it names count as used\n$/) });
    expect(await ids()).toEqual(all);
    writeFileSync(record, whole);
    expect(await cli('system', 'prune', '-f', '--root', root)).toMatchObject({ status: 0, stderr: '' });
    expect(await ids()).toHaveLength(1);
    expect(await cli('system', 'prune', '-f')).toMatchObject({ status: 0, stderr: '' });
    expect(await ids()).toEqual([]);
  });

  it.each([['--help'], ['-h'], ['help']])('system %s tells the commands', async (word) => {
    expect(await cli('system', word)).toEqual({ status: 0, stderr: '', text: expect.stringMatching(/^Usage: vmm system COMMAND\n\n {2}info .*\n {2}df .*\n {2}prune .*\n {2}events /) });
  });

  it('container --help tells its commands', async () => {
    expect(await cli('container', '--help')).toEqual({ status: 0, stderr: '', text: expect.stringMatching(/^Usage: vmm container COMMAND\n\nCommands: ls, prune, attach, /) });
  });

  it('the machine of one that was removed: its id is said, not the name of who was in it', async () => {
    const at = ['--root', join(folder, 'joined'), '-q'];
    const make = async (name: string, ...words: string[]) => (await cli('create', ...at, '--name', name, ...words, image, 'true')).text.trim();
    const first = await make('first');
    await make('second', '--network', 'container:first');
    expect(await cli('rm', '--root', join(folder, 'joined'), 'first')).toMatchObject({ status: 0 });
    const { status, text, stderr } = await cli('create', ...at, '--network', 'container:second', image, 'true');
    expect({ status, text, stderr }).toEqual({ status: 125, text: '', stderr: `vmm: No such container: ${first} (second was made for its machine: make second again) [CONTAINER_NOT_FOUND]\n` });
    expect(await cli('create', ...at, '--network', 'container:third', image, 'true')).toMatchObject({ status: 125, stderr: expect.stringContaining('No such container: third ') });
  });

  it('a command that is none is told all that completion has', async () => {
    const { stderr } = await cli('nothing');
    const told = (/commands: (.*)\) \[USAGE\]/.exec(stderr)?.[1] ?? '').split(', ');
    const known = (await cli('completion', '--', '')).text.split('\n').filter(Boolean).map((line) => line.split('\t')[0]);
    expect(told).toEqual(expect.arrayContaining([...known, 'device', 'container', 'images', 'rmi', 'system', 'volume', 'trust']));
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
