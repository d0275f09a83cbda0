/** A pod's network: its apps' loopback is one, they reach the host's network, the manifest's ports are published by passt, and an app has port 80 beside the metadata service. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { BIN, vmm } from '../support/cli/cli.ts';
import { busyboxImage } from '../support/guests/busybox-image.ts';
import { HANG_MS } from '../support/limits.ts';

let dir: string;
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'vmm-pod-net-'));
  mkdirSync(join(dir, 'layout/rootfs'), { recursive: true });
  busyboxImage(join(dir, 'layout/rootfs'));
  writeFileSync(join(dir, 'layout/manifest'), JSON.stringify({ acKind: 'ImageManifest', acVersion: '0.8.11', name: 'example.org/busybox' }));
  for (const args of [['aci', 'build', '--owner-root', join(dir, 'layout'), join(dir, 'busybox.aci')], ['image', 'import', '-q', join(dir, 'busybox.aci')]]) {
    const { status, stderr } = await vmm(args, { env: { VMM_STORE: join(dir, 'store') } });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  }
});
afterAll(() => rmSync(dir, { recursive: true }));

/** What satisfies passt, an interface with an address and a default route; a web server there. */
const OUTSIDE = `ip link set lo up; ip tuntap add out0 mode tap; ip addr add 192.0.2.1/24 dev out0; ip link set out0 up; ip route add default via 192.0.2.254
echo from the host > $DIR/index.html; busybox httpd -p 192.0.2.1:8000 -h $DIR </dev/null >/dev/null 2>&1
`;

test.skipIf(process.getuid?.() !== 0)('two apps talk over the pod’s loopback and to the host’s network; a port of the manifest leads to one of them', () => {
  const shell = (exec: string, ports: readonly unknown[] = []) => ({ exec: ['/bin/sh', '-c', exec], user: '0', group: '0', ports });
  const image = { name: 'example.org/busybox' };
  writeFileSync(join(dir, 'pod.json'), JSON.stringify({
    acVersion: '0.8.11', acKind: 'PodManifest', ports: [{ name: 'www', hostPort: 8080 }],
    apps: [
      { name: 'server', image, app: shell('mkdir /w; echo from the pod > /w/index.html; exec busybox httpd -f -p 80 -h /w', [{ name: 'www', protocol: 'tcp', port: 80 }]) },
      { name: 'client', image, app: shell('busybox wget -q -O - http://192.0.2.1:8000/; until busybox wget -q -O - http://127.0.0.1/ 2>/dev/null; do busybox usleep 1000; done; hostname; busybox wget -q -O - $AC_METADATA_URL/acMetadata/v1/pod/uuid | busybox wc -c') },
    ],
  }));
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('NODE_') && !name.startsWith('VITEST')));
  const { status, stdout, stderr } = spawnSync('unshare', ['-n', '-p', '-f', '--mount-proc', '--kill-child', 'sh', '-c', `${OUTSIDE}mkfifo $DIR/out
${process.execPath} -- ${BIN} run -q --accel wasm --cpus 1 -m 256m --insecure-options=image --network passt --hostname web --pod $DIR/pod.json >$DIR/out & exec 4<$DIR/out
read first <&4; read second <&4; read third <&4; read fourth <&4; echo "$first, $second, $third, $fourth"
busybox wget -q -O - http://127.0.0.1:8080/
kill $!; wait $!; echo "status $?"`], { env: { ...env, VMM_STORE: join(dir, 'store'), DIR: dir }, encoding: 'utf8', timeout: HANG_MS / 5, killSignal: 'SIGKILL' });
  expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: 'client | from the host, client | from the pod, client | web, client | 36\nfrom the pod\nstatus 0\n', stderr: '' });
});
