/** From what a user asks to have mounted to the share's exports and init's mounts. */
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { inOrder, planMounts } from '../../../vmm/container/mounts.ts';
import { withDefaults } from '../../../vmm/container/options.ts';
import { containerSpec } from '../../../vmm/container/spec.ts';

let dir: string;
beforeAll(() => {
  dir = realpathSync(mkdtempSync(join(tmpdir(), 'vmm-plan-')));
  mkdirSync(join(dir, 'a'));
  writeFileSync(join(dir, 'file'), '');
  symlinkSync('a', join(dir, 'to-a'));
});
afterAll(() => rmSync(dir, { recursive: true }));

describe('planMounts', () => {
  it('one source with one policy is one export, links of the host followed; another policy is another', () => {
    const bind = (source: string, target: string, readOnly = false) => ({ type: 'bind', source: join(dir, source), target, readOnly }) as const;
    const { exports, mounts } = planMounts([bind('a', '/x'), bind('to-a', '/y'), bind('a', '/z', true), bind('file', '/f')]);
    expect(exports).toEqual([
      { name: '0', path: join(dir, 'a'), readOnly: false, recursive: true, cache: 'auto', watch: false },
      { name: '1', path: join(dir, 'a'), readOnly: true, recursive: true, cache: 'auto', watch: false },
      { name: '2', path: join(dir, 'file'), readOnly: false, recursive: true, cache: 'auto', watch: false },
    ]);
    expect(mounts.map(({ target, subpath, flags }) => [target, subpath, flags])).toEqual([['/x', '0', 0], ['/y', '0', 0], ['/z', '1', 1], ['/f', '2', 0]]);
  });

  it('a volume without a name is a directory of the root', () => {
    expect(planMounts([{ type: 'volume', target: '/v', readOnly: true }])).toEqual({ exports: [], mounts: [{ target: '/v', source: { kind: 'root', path: '/v' }, flags: 1 }] });
  });

  it.each([['nothing', 'does not exist'], ['file/x', 'cannot be mounted: ENOTDIR']])('%s: MOUNT_SOURCE', (source, what) => {
    expect(() => planMounts([{ type: 'bind', source: join(dir, source), target: '/x' }])).toThrow(expect.objectContaining({ code: 'MOUNT_SOURCE', message: expect.stringContaining(what) }));
  });
});

describe('the order', () => {
  it('is that of depth, and of the options within one depth', () => {
    expect(inOrder(['/a/b/c', '/a', '/z', '/a/b', '/b'].map((target) => ({ target }))).map(({ target }) => target)).toEqual(['/a', '/z', '/b', '/a/b', '/a/b/c']);
    expect(() => inOrder([{ target: '/a' }, { target: '/b' }, { target: '/a' }])).toThrow('Duplicate mount point: /a');
  });

  it('image volumes give way, standard mounts too; what is left comes first', () => {
    const image = { entrypoint: [], cmd: ['x'], env: [], workingDir: '', user: '', stopSignal: undefined, volumes: ['/data/', '/kept/deep', 'relative', '/dev/shm', '/'] };
    const options = withDefaults({ tmpfs: [{ target: '/dev/shm', options: 'size=1m' }, { target: '/data', options: '' }] }, image);
    const { mounts = [] } = containerSpec({ image, options, size: undefined, scratch: false, mounts: [{ target: '/kept', source: { kind: 'share', tag: 'vmm' }, subpath: '0' }] });
    const own = mounts.filter(({ target }) => !/^\/(proc|dev|sys)(\/(?!shm)|$)/.test(target));
    expect(own.map(({ target, source, fstype }) => [target, source?.kind ?? fstype])).toEqual([['/relative', 'root'], ['/data', 'tmpfs'], ['/kept', 'share'], ['/kept/deep', 'root'], ['/dev/shm', 'tmpfs']]);
  });
});
