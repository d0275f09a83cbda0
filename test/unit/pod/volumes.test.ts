/** Mounts of a pod's app: by paths, and by mount points as before appc 0.7.0. */
import { expect, it } from 'vitest';
import { Context } from '../../../image/appc/schema/context.ts';
import { parsePodManifest } from '../../../image/appc/schema/pod-manifest.ts';
import { appMounts } from '../../../vmm/pod/volumes.ts';

const manifest = (mount: unknown): Buffer => Buffer.from(JSON.stringify({
  acVersion: '0.6.1', acKind: 'PodManifest', volumes: [{ name: 'disk', kind: 'host', source: '/srv' }],
  apps: [{ name: 'db', image: { id: `sha512-${'0'.repeat(64)}` }, app: { exec: ['/db'], user: '0', group: '0', mountPoints: [{ name: 'data', path: '/var/lib/db', readOnly: true }] }, mounts: [mount] }],
}));

it.each([
  ['by a mount point', { volume: 'disk', mountPoint: 'data' }, [{ target: '/var/lib/db', readOnly: true }]],
  ['by a path', { volume: 'disk', path: '/elsewhere' }, [{ target: '/elsewhere', readOnly: false }, { target: '/var/lib/db', readOnly: true }]],
  ['by a path, whatever mount point is named beside', { volume: 'disk', path: '/elsewhere', mountPoint: 'data' }, [{ target: '/elsewhere', readOnly: false }, { target: '/var/lib/db', readOnly: true }]],
] as const)('%s', (_name, mount, wanted) => {
  const { apps: [entry], volumes } = parsePodManifest(manifest(mount), new Context('pod', { olderMounts: true }));
  if (entry?.app === undefined) throw new Error('no app');
  const { mounts } = appMounts(entry.name, entry.app, entry.mounts, volumes);
  expect(mounts.map(({ target, readOnly }) => ({ target, readOnly }))).toEqual(wanted);
});

it('a mount point that the app has not is named', () => {
  const { apps: [entry], volumes } = parsePodManifest(manifest({ volume: 'disk', mountPoint: 'logs' }), new Context('pod', { olderMounts: true }));
  if (entry?.app === undefined) throw new Error('no app');
  const { app } = entry;
  expect(() => appMounts(entry.name, app, entry.mounts, volumes)).toThrow('app db: it has no mount point logs');
});
