/** What a container may make of device nodes, and do with them: the verdicts of runc with Docker's device rules, node by node, on this machine's kernel. */
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CAPABILITIES } from '../../vmm/container/capabilities.ts';
import { DOCKER_CAPABILITIES } from '../../vmm/seccomp/filter.ts';
import { vmm } from '../support/cli/cli.ts';
import { busyboxImage } from '../support/guests/busybox-image.ts';
import { HANG_MS } from '../support/limits.ts';

const ready = process.getuid?.() === 0 && existsSync('/sys/fs/cgroup/devices') && spawnSync('runc', ['--version']).status === 0;

/** Memory, kernel log, terminals, serial port, entropy source, tun, fuse, KVM, loop control, a pts, hvc0; a loop device and the machine's own disk. */
const NODES = [
  'c:1:1', 'c:1:2', 'c:1:3', 'c:1:4', 'c:1:5', 'c:1:7', 'c:1:8', 'c:1:9', 'c:1:11', 'c:4:0', 'c:4:64', 'c:5:0', 'c:5:1', 'c:5:2', 'c:10:183', 'c:10:200', 'c:10:229', 'c:10:232', 'c:10:237',
  'c:136:0', 'c:229:0', 'b:7:0', 'b:254:0',
];
/** A line each: whether it can be made, and opened to read and to write. A driver that is missing or busy says something else than no. */
const SCRIPT = `for n in ${NODES.join(' ')}; do
  IFS=:; set -- $n
  busybox mknod /tmp/n $1 $2 $3 2>/dev/null && made=yes || made=no
  out=$( (exec 3</tmp/n) 2>&1 ); case $out in *"not permitted"*) r=no;; *) r=yes;; esac
  out=$( (exec 3>/tmp/n) 2>&1 ); case $out in *"not permitted"*) w=no;; *) w=yes;; esac
  busybox rm -f /tmp/n
  echo "$n $made $r $w"
done`;

let image: string;
let bundle: string;
beforeAll(() => {
  image = busyboxImage();
  writeFileSync(join(image, 'verdicts'), SCRIPT);
  mkdirSync(join(image, 'tmp'), { recursive: true });
  bundle = mkdtempSync(join(tmpdir(), 'vmm-runc-'));
  chmodSync(bundle, 0o755);
});
afterAll(() => {
  rmSync(image, { recursive: true });
  rmSync(bundle, { recursive: true });
});

/** moby, daemon/pkg/oci/defaults.go: nothing but the console; runc adds what each container has, and that any node may be made. */
function byRunc(capabilities: readonly string[]): string {
  writeFileSync(join(bundle, 'config.json'), JSON.stringify({
    ociVersion: '1.0.0',
    process: { user: { uid: 0, gid: 0 }, args: ['/bin/sh', '/verdicts'], env: ['PATH=/bin'], cwd: '/', capabilities: { bounding: capabilities, effective: capabilities, permitted: capabilities } },
    root: { path: image },
    mounts: [{ destination: '/proc', type: 'proc', source: 'proc' }, { destination: '/dev', type: 'tmpfs', source: 'tmpfs', options: ['mode=755'] }, { destination: '/tmp', type: 'tmpfs', source: 'tmpfs' }],
    linux: {
      cgroupsPath: `/vmm-test-${process.pid}`, namespaces: ['pid', 'mount', 'ipc', 'uts', 'network'].map((type) => ({ type })),
      resources: { devices: [{ allow: false, access: 'rwm' }, { allow: true, type: 'c', major: 5, minor: 1, access: 'rwm' }, { allow: false, type: 'c', major: 10, minor: 229, access: 'rwm' }] },
    },
  }));
  return execFileSync('runc', ['--root', join(bundle, 'state'), 'run', '--bundle', bundle, `vmm-test-${process.pid}`], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], timeout: HANG_MS });
}

describe.skipIf(!ready)(`${NODES.length} device nodes (needs root, runc and its device cgroup)`, () => {
  it.each([['root', []], ['root without MKNOD', ['MKNOD']]])('%s: the same verdict for each', async (_, dropped) => {
    const names = CAPABILITIES.filter((name, i) => (DOCKER_CAPABILITIES >> BigInt(i)) & 1n && !dropped.includes(name)).map((name) => `CAP_${name}`);
    const expected = byRunc(names);
    expect(expected.trim().split('\n').length).toBe(NODES.length);
    const { status, stdout, stderr } = await vmm(['run', '-q', '--accel', 'wasm', ...dropped.flatMap((name) => ['--cap-drop', name]), image, '/bin/sh', '/verdicts']);
    expect(status, stderr).toBe(0);
    // Before 1.2 runc gave every container /dev/net/tun; here it takes --device.
    const tun = (text: string): string => text.replace(/^c:10:200 .*$/m, '');
    expect(tun(stdout.toString())).toBe(tun(expected));
    expect(stdout.toString()).toMatch(dropped.length === 0 ? /^c:10:200 yes no no$/m : /^c:10:200 no /m);
    if (dropped.length === 0) expect(stdout.toString().match(/ no no$/gm)?.length).toBeGreaterThan(10);
  });
});
