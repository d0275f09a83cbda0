/** Volumes that an image's configuration names: directories, writable, with the image's content, as Docker and podman have them. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { busyboxImage } from '../support/guests/busybox-image.ts';
import { vmm } from '../support/cli/cli.ts';
import { configOf, Layout } from '../unit/image/forms.ts';

let dir: string;
let image: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'vmm-volumes-'));
  const root = busyboxImage(join(dir, 'root'));
  mkdirSync(join(root, 'kept'), { mode: 0o700 });
  writeFileSync(join(root, 'kept', 'file'), 'of the image\n');
  const layers = [{ tar: execFileSync('tar', ['--owner=0', '--group=0', '-C', root, '-cf', '-', '.'], { maxBuffer: 1 << 26 }) }];
  const layout = new Layout(join(dir, 'layout'));
  image = layout.add(layout.manifest(layers, configOf(layers, { config: { Cmd: ['/bin/sh'], Env: ['PATH=/bin'], Volumes: { '/data': {}, '/kept': {}, '/new/deep': {}, '/tmp': {} } } })), 'latest').write();
});
afterAll(() => rmSync(dir, { recursive: true }));

const SCRIPT = `stat -c '%n %a %u %g' /data /kept /new/deep
cat /kept/file
for d in /data /kept /new/deep /tmp; do echo $d > $d/own && cat $d/own; done
echo x > /etc/x 2>/dev/null && echo root writable
stat -c %d / /data /kept | sort -u | wc -l`;
const SEEN = '/data 755 0 0\n/kept 700 0 0\n/new/deep 755 0 0\nof the image\n/data\n/kept\n/new/deep\n/tmp\n';

describe('volumes of the image', () => {
  it.each([[[], 'root writable\n1\n'], [['--read-only'], '1\n']] as const)('are directories that can be written to, with %j', async (options, rest) => {
    const result = await vmm(['run', '-q', '--accel', 'wasm', '-m', '128m', ...options, image, 'sh', '-c', SCRIPT], { env: { VMM_STORE: join(dir, 'store') } });
    expect(result.stdout.toString(), result.stderr).toBe(SEEN + rest);
    expect(result.status).toBe(0);
  });

  it('give way to what is mounted there', async () => {
    const result = await vmm(['run', '-q', '--accel', 'wasm', '-m', '128m', '--tmpfs', '/kept', image, 'ls', '/kept'], { env: { VMM_STORE: join(dir, 'store') } });
    expect({ out: result.stdout.toString(), status: result.status }).toEqual({ out: '', status: 0 });
  });
});
