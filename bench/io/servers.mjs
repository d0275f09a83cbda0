// `node bench/io/servers.mjs [ROUNDS [PATTERN]]`: the I/O thread's two ways of serving a disk, against each other, on this machine.
import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { buildSync } from 'esbuild';
import { cache, envWithoutNode, root } from '../../scripts/lib.mjs';

const folder = join(cache, 'bench-io');
mkdirSync(folder, { recursive: true });
const program = join(folder, 'servers.mjs');
buildSync({ entryPoints: [join(root, 'test/support/devices/io-servers.ts')], outfile: program, bundle: true, format: 'esm', platform: 'node', target: 'node24', external: ['koffi', '@koromix/*'], logLevel: 'warning' });
const disk = join(folder, 'disk.img');
spawnSync('dd', ['if=/dev/urandom', `of=${disk}`, 'bs=1M', 'count=512', 'conv=fsync'], { stdio: 'ignore' });
const env = envWithoutNode();
const dist = process.env['VMM_DIST'] ?? join(root, 'dist');
const { status } = spawnSync(process.execPath, [program, disk, `${pathToFileURL(dist)}/`, process.argv[2] ?? '7', ...process.argv.slice(3, 4)], { stdio: 'inherit', env });
rmSync(disk);
process.exitCode = status ?? 1;
