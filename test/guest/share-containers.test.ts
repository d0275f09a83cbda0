/** Several containers of one guest with the same exports: one file system for all, each with its own rights; exports that come and go. */
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type * as Library from '../../vmm/api/index.ts';
import { ROOT } from '../support/cli/cli.ts';
import { busyboxImage } from '../support/guests/busybox-image.ts';

const { Guest, hostFs, resolveImage } = (await import(join(ROOT, 'dist/vmm.js'))) as typeof Library;

let dir: string;
let rootfs: string;
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'vmm-share-containers-'));
  const image = busyboxImage(join(dir, 'image'));
  process.env['VMM_STORE'] = join(dir, 'store');
  rootfs = (await resolveImage(image, { host: hostFs })).rootfs;
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const at = (target: string, subpath: string, flags = 0): Library.Mount => ({ target, source: { kind: 'share', tag: 'vmm' }, subpath, flags });

/** A shell that runs one line at a time and tells what it wrote. */
class Shell {
  readonly container: Library.GuestContainer;
  #text = '';
  #wake: () => void = () => {};

  constructor(guest: Library.Guest, mounts: readonly Library.Mount[]) {
    this.container = guest.create({ args: ['sh'], env: ['PATH=/bin'], stdin: true, root: { kind: 'block', serial: 'root', fstype: 'erofs', readOnly: true }, overlay: { kind: 'tmpfs' }, mounts });
    const take = (bytes: Uint8Array): void => {
      this.#text += Buffer.from(bytes).toString();
      this.#wake();
    };
    this.container.process.onStdout(take);
    this.container.process.onStderr(take);
  }

  async run(line: string): Promise<string> {
    this.#text = '';
    await this.container.process.stdin.write(Buffer.from(`{ ${line}; } 2>&1; echo end-of-line\n`));
    while (!this.#text.endsWith('end-of-line\n')) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      await promise;
    }
    return this.#text.slice(0, -'end-of-line\n'.length);
  }
}

/** Of a descriptor of this process; the one that lists them is gone already. */
function linkOf(fd: string): string {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    return '';
  }
}

it('caches and rights of two containers; an export that is added, withdrawn, and added again as another', async () => {
  const [one, two, later] = ['one', 'two', 'later'].map((name) => join(dir, name)) as [string, string, string];
  for (const path of [one, two, later]) mkdirSync(path);
  writeFileSync(join(later, 'which'), 'the first\n');
  await using guest = new Guest({ accel: 'wasm', memoryMib: 128, disks: [{ path: rootfs, readOnly: true, id: 'root' }], shares: [{ name: 'one', path: one, cache: 'always' }, { name: 'two', path: two, readOnly: true }] });
  void guest.run();
  const [a, b] = [new Shell(guest, [at('/s', 'one'), at('/two', 'two')]), new Shell(guest, [at('/s', 'one'), at('/ro', 'one', 1)])];

  // One file system: what is written is seen at once although nothing is asked again.
  expect(await a.run('echo first > /s/f; cat /s/f')).toBe('first\n');
  expect(await b.run('cat /s/f; echo second > /s/f; echo x > /ro/f; mkdir /s/d')).toBe("first\nsh: can't create /ro/f: Read-only file system\n");
  expect(await a.run('cat /s/f; ls /s; echo x > /two/x')).toBe("second\nd\nf\nsh: can't create /two/x: Read-only file system\n");
  expect(readFileSync(join(one, 'f'), 'utf8')).toBe('second\n');

  await guest.addShare({ name: 'later', path: later });
  const c = new Shell(guest, [at('/l', 'later')]);
  expect(await c.run('cat /l/which; exec 5< /l/which; echo made > /l/made')).toBe('the first\n');
  expect(readdirSync(later).sort()).toEqual(['made', 'which']);
  await guest.withdrawShare('later');
  expect(await c.run('cat /l/which')).toContain('Stale file handle');
  expect(await c.run('ls /l')).toContain('Stale file handle');
  // Nothing of it is open here.
  const open = readdirSync('/proc/self/fd').map(linkOf);
  expect(open.filter((path) => path.startsWith(later))).toEqual([]);

  const again = join(dir, 'again');
  mkdirSync(again);
  writeFileSync(join(again, 'which'), 'the second\n');
  await guest.addShare({ name: 'later', path: again });
  const d = new Shell(guest, [at('/l', 'later')]);
  expect(await d.run('cat /l/which')).toBe('the second\n');
  expect(await c.run('cat /l/which')).toContain('Stale file handle');
  expect(await a.run('cat /s/f')).toBe('second\n');
  guest.kill();
});
