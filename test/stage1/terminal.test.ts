/** Terminals of pods: entered, attached to and left, and run's own. */
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Terminal } from '../support/cli/terminal.ts';
import { ownStage0 } from './own-stage0.ts';
import type { AppSpec } from './stage0.ts';

const ROOT = process.getuid?.() === 0;
const LEAVE = '\x1d\x1d\x1d';
const own = ownStage0();

const reads = (more: Partial<AppSpec> = {}): AppSpec => ({ name: 'app', rootfs: own.rootfs, app: { exec: ['/bin/sh', '-c', 'trap "" INT; echo began; while read x; do echo "got <$x>"; done'], user: '0', group: '0' }, ...more });

describe.skipIf(!ROOT)('a terminal', () => {
  it('of an app is attached to, left and attached to again; another is entered', async () => {
    const annotations = ['stdin', 'stdout', 'stderr'].map((name) => ({ name: `coreos.com/rkt/stage2/${name}`, value: 'tty' }));
    const pod = own.stage0.prepare({ apps: [reads({ entry: { annotations } })] });
    const running = pod.run();
    await running.shows('the pod is ready', () => pod.ready);
    const attach = (): Terminal => new Terminal(`cd ${pod.dir} && exec stage1/rootfs/attach --action=auto-attach --app=app --debug=false`);
    const first = attach();
    first.type('one\n');
    await first.until(/got <one>/);
    // Two of the three are the app's, as is Ctrl-C.
    first.type('a\x1d\x1db\n');
    await first.until(/got <a\x1d\x1db>/);
    first.type('\x03c\n');
    await first.until(/\^C[\s\S]*got <c>/);
    first.type(LEAVE);
    expect(await first.status).toBe(0);
    const second = attach();
    // Nothing of what it was left by has come to the app.
    second.type('two\n');
    await second.until(/got <two>/);
    const entered = new Terminal(`cd ${pod.dir} && stty rows 33 cols 77 && exec ${own.stage0.tree}/enter --pid=1 --appname=app -- /bin/sh -c 'stty size; echo $TERM; read y; exit $y'`);
    await entered.until(/33 77\s+dumb/);
    entered.type('33\n');
    expect(await entered.status).toBe(33);
    expect((await pod.stop()).status).toBe(0);
    expect((await running.end()).status).toBe(0);
    expect(await second.status).toBe(0);
  });

  it('of an interactive app ends the pod by the keys; before the app runs, by Ctrl-C', async () => {
    const interactive = (pod: ReturnType<typeof own.stage0.prepare>): Terminal => new Terminal(`cd ${pod.dir} && umask 077 && exec 7<. && flock -xn 7 && RKT_LOCK_FD=7 exec stage1/rootfs/run --net=none --interactive ${pod.uuid}`);
    const pod = own.stage0.prepare({ apps: [reads()] });
    const terminal = interactive(pod);
    await terminal.until(/began/);
    // The caller's mask is not for what others read.
    for (const name of ['pid', 'ppid', 'stage1/rootfs/rkt/env/app']) expect(statSync(join(pod.dir, name)).mode & 0o777).toBe(0o644);
    terminal.type('\x03three\n');
    await terminal.until(/three>/);
    terminal.type(LEAVE);
    expect(await terminal.status).toBe(143);
    expect(pod.locked).toBe(false);
    const early = own.stage0.prepare({ apps: [reads()] });
    const other = interactive(early);
    let over = false;
    void other.status.then(() => { over = true; });
    while (!over && !existsSync(join(early.dir, 'pid'))) await new Promise((resolve) => setTimeout(resolve, 5));
    expect(over, other.output).toBe(false);
    other.type('\x03');
    await other.status;
    expect(other.output).not.toContain('began');
    expect(early.locked).toBe(false);
  });
});
