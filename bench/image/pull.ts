/**
 * A pull into a store of its own, to data on the disk (sync), beside podman's of the same image: `node bench/image/pull.ts [--pairs 5] [--megabytes 1000]
 * [--save]`, as root. The image is 10 gzip layers of the host's programs and libraries, in Debian's docker-registry on loopback.
 */
import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { inTurns, middle, ROOT, ratio, report } from '../harness.ts';
import { ended, env, folder } from '../start/process.ts';
import { median } from '../statistics.ts';
import { startRegistry, writeImage } from './layers.ts';

const { values } = parseArgs({ options: { pairs: { type: 'string', default: '5' }, megabytes: { type: 'string', default: '1000' }, save: { type: 'boolean' } } });
const LAYERS = 10;

interface Taken {
  /** s */
  readonly wall: number;
  /** User and system time of its processes, s. */
  readonly cpu: number;
  /** Most that one process had resident, MiB. */
  readonly resident: number;
}

/** One pull into an empty folder, and the file system's sync behind it. */
function taken(store: string, command: readonly string[]): Taken {
  rmSync(store, { recursive: true, force: true });
  execFileSync('sync');
  // GNU time: wall clock, user, system, KiB of the largest process.
  const { wall, stderr } = ended(['sh', '-c', 'store=$1; shift; /usr/bin/time -f "took %U %S %M" "$@" >&2 && sync -f "$store"', 'sh', store, ...command]);
  const [, user, system, kib] = /^took ([\d.]+) ([\d.]+) (\d+)$/m.exec(stderr) ?? [];
  if (kib === undefined) throw new Error(`no times in: ${stderr}`);
  return { wall: wall / 1000, cpu: Number(user) + Number(system), resident: Number(kib) / 1024 };
}

const made = await writeImage(join(folder, 'layout'), LAYERS, (Number(values.megabytes) / LAYERS) * 1e6);
const port = await startRegistry(join(folder, 'registry'));
const name = `127.0.0.1:${port}/bench/image:1`;
execFileSync('skopeo', ['copy', '-q', '--dest-tls-verify=false', `oci:${join(folder, 'layout')}`, `docker://${name}`]);
rmSync(join(folder, 'layout'), { recursive: true });

const store = env['VMM_STORE'] as string;
const graph = join(folder, 'podman');
const { ours, theirs } = await inTurns({
  ours: () => taken(store, [process.execPath, '--', join(ROOT, 'bin/vmm.js'), 'pull', '-q', name]),
  theirs: () => taken(graph, ['podman', '--root', graph, '--runroot', `${graph}-run`, 'pull', '-q', '--tls-verify=false', name]),
}, { rounds: Number(values.pairs), warmUp: 0 });
const of = (what: keyof Taken, which = ours): number[] => which.map((one) => one[what]);
report('image-pull', {
  title: `Pull and import of ${Math.round(made.plain / 1e6)} MB in ${LAYERS} gzip layers (${Math.round(made.packed / 1e6)} MB packed), against podman pull`,
  section: 'Images',
  rows: [
    { what: 'time until it is on the disk', ...ratio(of('wall'), of('wall', theirs)), target: { atMost: 1 }, note: `${median(of('wall')).toFixed(1)} s against ${median(of('wall', theirs)).toFixed(1)} s` },
    { what: 'CPU time', ...ratio(of('cpu'), of('cpu', theirs)), note: `${median(of('cpu')).toFixed(1)} s against ${median(of('cpu', theirs)).toFixed(1)} s` },
    { what: 'resident at most, one process', ...middle(of('resident'), 'MiB'), target: { atMost: 200 }, note: `podman ${median(of('resident', theirs)).toFixed(0)} MiB` },
  ],
  notes: ['podman unpacks its layers into files; ours become one EROFS disk, and the layers are kept, too, as they came.'],
});
