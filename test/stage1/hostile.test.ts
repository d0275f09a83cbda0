/** Nothing that stage0 runs as the host's root, or that rkt believes, may be a guest's to write: gc, stop and app-rm are the pod's own copies. */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { HANG_MS } from '../support/limits.ts';
import { ownStage0 } from './own-stage0.ts';
import type { AppSpec } from './stage0.ts';

const ROOT = process.getuid?.() === 0;
const own = ownStage0();
const RIGHTS = ['--net=none', '--disable-capabilities-restriction', '--disable-paths', '--disable-seccomp'];

/** All rights in the guest: every path that leads to what matters is written, removed and linked, by each mount of the device that there can be. */
const ATTACK = `
  /bin/busybox mkdir -p /tmp/all && /bin/busybox mount -t virtiofs vmm /tmp/all && echo mounted
  tries=
  for at in /tmp/all /tmp/all/* /proc/1/root /proc/self/root; do
    for name in gc stop app-rm run enter rkt/status/app rkt/status/other rkt/env/app rkt/supervisor-status pid ppid pod vmm.sock net-info.json stage1/rootfs/gc; do
      for up in . .. ../.. ../../.. ../../../..; do
        echo hostile > $at/$up/$name
        tries="$tries $at/$up/$name"
      done
    done
  done 2> /dev/null
  /bin/busybox rm -f $tries 2> /dev/null
  for each in $tries; do case $each in */gc|*/pod|*/status/app) [ -d \${each%/*} ] && /bin/busybox ln -sf /etc/passwd $each;; esac; done 2> /dev/null
  # Links that a careless host would follow.
  /bin/busybox ln -s ../../../../rkt /escape; /bin/busybox ln -sf ../../../../../gc /etc/hostname.new; /bin/busybox mkdir -p /tmp/x; /bin/busybox mount -t tmpfs none /tmp/x
  /bin/busybox rm -rf /run; /bin/busybox ln -s ../../../../../../rkt /run
  echo hostile > /escape/status/app 2> /dev/null
  echo tried`;

const shell = (script: string, name: string): AppSpec => ({ name, rootfs: own.rootfs, app: { exec: ['/bin/sh', '-c', script], user: '0', group: '0' } });
const digest = (s1: string): string => execFileSync('sh', ['-c', 'cd "$1" && find . -path ./opt/stage2 -prune -o -path ./rkt -prune -o \\( -type f -o -type l \\) -exec sha256sum {} + | sort', 'sh', s1], { encoding: 'utf8', timeout: HANG_MS });

describe.skipIf(!ROOT)('a hostile guest with all rights reaches its apps’ roots and volumes alone', () => {
  it('of a pod that is bound; gc runs then', async () => {
    const pod = own.stage0.prepare({ apps: [shell(ATTACK, 'app'), shell('sleep 0.1', 'other')] });
    const before = digest(pod.s1);
    const end = await pod.run(RIGHTS).end();
    expect(end).toMatchObject({ status: 0, stdout: expect.stringMatching(/mounted\ntried\n$/) });
    expect(digest(pod.s1)).toBe(before);
    expect(before).toContain(' ./gc\n');
    expect(['app', 'other'].map((name) => pod.status(name))).toEqual(['0\n', '0\n']);
    expect(readFileSync(join(pod.s1, 'rkt/env/app'), 'utf8')).not.toContain('hostile');
    expect(readdirSync(join(pod.s1, 'rkt')).sort()).toEqual(['env', 'status', 'supervisor-status']);
    expect(pod.ready).toBe(true);
    // stage0 goes on with its own copies.
    expect((await pod.gc()).status).toBe(0);
    pod.remove();
  });

  it('of a mutable pod; app rm, stop and gc run then', async () => {
    const pod = own.stage0.prepare({ apps: [] });
    const before = digest(pod.s1);
    const running = pod.run([...RIGHTS, '--mutable']);
    await running.shows('the pod is ready', () => pod.ready);
    const files = (): string[] => readdirSync(pod.dir).sort();
    expect(await pod.addApp(shell(`${ATTACK}; exec sleep 1000`, 'app'))).toMatchObject({ status: 0, stderr: '' });
    const there = files();
    expect(await pod.app('start', 'app')).toMatchObject({ status: 0, stderr: '' });
    await running.said('tried');
    expect({ files: files(), digest: digest(pod.s1) }).toEqual({ files: there, digest: before });
    expect(readFileSync(join(pod.dir, 'pod'), 'utf8')).toContain('"name":"app"');
    expect(await pod.app('stop', 'app')).toMatchObject({ status: 0 });
    expect(await pod.app('rm', 'app')).toMatchObject({ status: 0, stderr: '' });
    pod.unmountApp('app');
    expect((await pod.stop()).status).toBe(0);
    expect((await running.end()).status).toBe(0);
    expect(digest(pod.s1)).toBe(before);
    expect(existsSync(join(pod.s1, 'rkt/status/other'))).toBe(false);
    expect((await pod.gc()).status).toBe(0);
  });
});
