/** Shell scripts in namespaces of their own, with the CLI and a network around them. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { BIN } from '../cli/cli.ts';
import type { Zone } from '../gateway/names.ts';
import { HANG_MS } from '../limits.ts';
import { root } from './programs.ts';

/** Runs shell commands in namespaces of their own, for the network and for processes, so that a server ends with it; $VMM is the CLI, $DIR a folder. */
export function netShell(dir: string, script: string, node: readonly string[] = []): { status: number | null; stdout: string; stderr: string } {
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('NODE_') && !name.startsWith('VITEST')));
  return spawnSync('unshare', ['-n', '-p', '-f', '--mount-proc', '--kill-child', 'sh', '-c', `ip link set lo up\n${script}`], {
    env: { ...env, VMM_STORE: join(dir, 'store'), NODE: process.execPath, CLI: `${[process.execPath, ...node].join(' ')} -- ${BIN}`, VMM: `${[process.execPath, ...node].join(' ')} -- ${BIN} run -q --accel wasm -m 128m`, DIR: mkdtempSync(join(dir, 'shell-')) },
    encoding: 'utf8', timeout: HANG_MS / 10,
    // unshare does not heed SIGTERM while it waits.
    killSignal: 'SIGKILL',
  });
}

/** The host is 192.0.2.1 and 2001:db8::1. Beyond it, in a namespace of its own ($NS), 192.0.2.2 and 2001:db8::2 with a web server, and one of names. */
export function neighbour(zone: Zone = {}): string {
  const names = `"$NODE" ${join(root, 'test/support/gateway/names.ts')} 192.0.2.2 '${JSON.stringify(zone)}'`;
  return `unshare -n sleep 1000 </dev/null >/dev/null 2>&1 & NS=$!
while [ "$(readlink /proc/$NS/ns/net)" = "$(readlink /proc/self/ns/net)" ]; do :; done
ip link add out0 type veth peer name in0 netns $NS
ip addr add 192.0.2.1/24 dev out0; ip -6 addr add 2001:db8::1/64 dev out0 nodad; ip link set out0 up
echo from the neighbour > $DIR/index.html
cat > $DIR/beyond <<END
ip link set lo up; ip addr add 192.0.2.2/24 dev in0; ip -6 addr add 2001:db8::2/64 dev in0 nodad; ip link set in0 up
ip route add default via 192.0.2.1
busybox httpd -p 192.0.2.2:8000 -h $DIR; busybox httpd -p [2001:db8::2]:8000 -h $DIR
${names} &
while ! busybox nc 192.0.2.2 53 2>/dev/null; do busybox usleep 10000; done
END
nsenter -t $NS -n sh $DIR/beyond </dev/null >/dev/null 2>&1
ip route add default via 192.0.2.2; ip -6 route add default via 2001:db8::2
`;
}
