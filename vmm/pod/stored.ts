/** A pod manifest over images of the store, as the App Container specification 0.8.11 has executors treat it. */
import { VmmError } from '../../base/errors.ts';
import type { App } from '../../image/appc/schema/app.ts';
import { Context } from '../../image/appc/schema/context.ts';
import { type ImageManifest, parseImageManifest } from '../../image/appc/schema/image-manifest.ts';
import { isolationOf } from '../../image/appc/schema/isolation.ts';
import { parsePodManifest, type PodManifest, type RuntimeApp } from '../../image/appc/schema/pod-manifest.ts';
import { isWanted, textOf, type Wanted } from '../../image/appc/stored.ts';
import { policyPath } from '../../image/policy-place.ts';
import { ErofsImage } from '../../image/erofs/reader.ts';
import { accountsOf } from '../../image/rootfs/accounts.ts';
import type { AppDocument, PodDocument } from '../metadata/answers.ts';
import type { ImageStore } from '../../image/store/store.ts';
import { bounded, podBounds, type PodBounds } from './bounds.ts';
import { appEnvironment, supportsNotify } from './environment.ts';
import type { PodApp } from './plan.ts';

export interface StoredPodOptions {
  /** What messages call the manifest. */
  readonly where: string;
  /** Images that nobody has signed run too. */
  readonly unsigned: boolean;
  /** Isolators that are not enforced are an error. */
  readonly strict: boolean;
}

export interface StoredApp {
  /** Its root has no scratch disk yet. */
  readonly app: PodApp;
  readonly imageId: string;
  readonly imageManifest: AppDocument['manifest'];
  /** Its image brings an /etc/hosts, which stays. */
  readonly ownHosts: boolean;
}

export interface StoredPod {
  /** Reified: each image has its whole id. */
  readonly manifest: PodManifest;
  readonly apps: readonly StoredApp[];
  readonly bounds: PodBounds;
  /** The same as its metadata service tells it, but for the UUID. */
  readonly document: Omit<PodDocument, 'uuid'>;
  readonly notes: readonly string[];
}

/** Throws ACI_MANIFEST, ACI_UNSIGNED, IMAGE_NOT_FOUND, IMAGE_AMBIGUOUS, POD_APP, TRUST_*. */
export async function storedPod(bytes: Uint8Array, store: ImageStore, options: StoredPodOptions): Promise<StoredPod> {
  const context = new Context(options.where, { keepUnknownIsolators: true, imagesByName: true });
  const manifest = parsePodManifest(bytes, context);
  // What an id cut short names is known by now, and the plan tells of isolators.
  const warnings = context.warnings.filter((line) => !/\.image\.id: |\.isolators\[/.test(line));
  const bounds = podBounds(manifest.isolators);
  const notes = [...warnings, ...bounds.notes];
  if (options.strict && bounds.notes.length > 0) throw notEnforced(options.where, bounds.notes);
  const apps: StoredApp[] = [];
  for (const entry of manifest.apps) {
    const { app, ...rest } = await storedApp(entry, store, options);
    apps.push({ ...rest, app: { ...app, app: bounded(app.app, bounds) } });
  }
  const reified = manifest.apps.map((entry, index) => ({ ...entry, image: { ...entry.image, id: (apps[index] as StoredApp).imageId } }));
  return { manifest: { ...manifest, apps: reified }, apps, bounds, document: documentOf(bytes, apps), notes };
}

function documentOf(bytes: Uint8Array, apps: readonly StoredApp[]): StoredPod['document'] {
  const manifest = JSON.parse(Buffer.from(bytes).toString()) as { apps: { name: string; image: { id?: string } }[] };
  const told = new Map<string, AppDocument>();
  for (const [index, { app, imageId, imageManifest }] of apps.entries()) {
    const entry = manifest.apps[index];
    if (entry !== undefined) entry.image.id = imageId;
    told.set(app.name, { imageId, manifest: imageManifest });
  }
  return { manifest, apps: told };
}

async function storedApp(entry: RuntimeApp, store: ImageStore, { where, unsigned, strict }: StoredPodOptions): Promise<StoredApp> {
  const { name } = entry;
  const { record, manifest: image } = wantedImage(entry, store, where);
  if (!unsigned && record.signedBy === undefined) throw new VmmError('ACI_UNSIGNED', `${where}: app ${name}: the image ${image.name} is not signed`, { hint: 'give --insecure-options=image to take it all the same' });
  const policy = policyPath(process.env);
  if (policy !== undefined) await (await import('../../image/trust/policy/appc.ts')).obeyPolicyForAci(policy, { what: `aci:${image.name}`, transport: 'appc', name: image.name, signedBy: record.signedBy }, process.env);
  const app = entry.app ?? image.app;
  if (app === undefined) throw new VmmError('POD_APP', `${where}: app ${name}: neither the pod nor the image ${image.name} says what to run`, { hint: 'give the app an "app" with exec, user and group' });
  if (app.exec.length === 0 || app.exec[0] === '') throw new VmmError('POD_APP', `${where}: app ${name}: exec is empty`, { hint: 'name the command to run' });
  const { ignored = [] } = isolationOf({ ...app, eventHandlers: [], mountPoints: [] }) ?? {};
  if (strict && ignored.length > 0) throw notEnforced(`${where}: app ${name}`, ignored);
  const disk = store.rootfsPath(record.rootfs);
  return {
    app: { name, app, root: { kind: 'disk', path: disk }, readOnlyRoot: entry.readOnlyRootFS, mounts: entry.mounts, user: userOf(name, app, disk, where), env: appEnvironment(name, app), args: app.exec, notify: supportsNotify(entry.annotations, image.annotations) },
    imageId: record.id.replace(':', '-'),
    imageManifest: JSON.parse(record.aciManifest ?? '{}') as AppDocument['manifest'],
    ownHosts: hasHosts(disk),
  };
}

function notEnforced(where: string, lines: readonly string[]): VmmError {
  return new VmmError('POD_APP', `${where}: ${lines[0]}`, { hint: '--strict-isolators refuses what is not enforced' });
}

interface Found {
  readonly record: ReturnType<ImageStore['list']>[number]['record'];
  readonly manifest: ImageManifest;
}

/** The image by its id, which may be cut short, and what else is said of it; by a name alone the one that was imported last. */
function wantedImage({ name, image }: RuntimeApp, store: ImageStore, where: string): Found {
  const candidates = store.list().flatMap(({ record }): Found[] => {
    const text = record.aciManifest;
    if (text === undefined || (image.id !== '' && !record.id.replace(':', '-').startsWith(image.id))) return [];
    try {
      return [{ record, manifest: parseImageManifest(Buffer.from(text), new Context(`${where}: app ${name}: image manifest`, { keepUnknownIsolators: true })) }];
    } catch (error) {
      if (error instanceof VmmError && image.id === '') return [];
      throw error;
    }
  });
  const fits = candidates.filter(({ manifest, record }) => {
    const wanted: Wanted = { name: image.name ?? manifest.name, labels: image.labels };
    return isWanted(wanted, manifest, record.id);
  });
  const [first] = fits;
  if (first === undefined) {
    const other = candidates[0];
    const asked = image.name === undefined ? image.id : textOf({ name: image.name, labels: image.labels });
    if (other !== undefined && image.id !== '') throw new VmmError('IMAGE_NOT_FOUND', `${where}: app ${name}: image.id names ${textOf(other.manifest)}, not ${asked}`, { hint: 'correct its id, name or labels' });
    throw new VmmError('IMAGE_NOT_FOUND', `${where}: app ${name}: no app container image ${asked} in the store`, { hint: 'bring it there: `vmm image import` or `vmm aci fetch`' });
  }
  if (image.id !== '' && fits.length > 1) throw new VmmError('IMAGE_AMBIGUOUS', `${where}: app ${name}: image.id ${image.id} fits ${fits.length} images of the store`, { hint: 'give more digits' });
  return first;
}

/** A user's or group's name of digits is looked up before it is a number, and a path is its owner; other names are left to init. */
function userOf(name: string, { user, group }: App, disk: string, where: string): string {
  for (const text of [user, group]) {
    if (text.includes(':') && !text.startsWith('/')) throw new VmmError('POD_APP', `${where}: app ${name}: ${JSON.stringify(text.slice(0, 100))} is no user or group`, { hint: 'give a name, a number, or the path of a file of theirs' });
  }
  try {
    return accountsOf(disk, { user, group });
  } catch (cause) {
    if (!(cause instanceof VmmError) || cause.code !== 'IMAGE_NOT_FOUND') throw cause;
    throw new VmmError('POD_APP', `${where}: app ${name}: ${cause.message}`, { cause, hint: 'name a file of the image' });
  }
}

function hasHosts(disk: string): boolean {
  const image = new ErofsImage(disk);
  try {
    return image.stat('/etc/hosts', { follow: false }) !== undefined;
  } finally {
    image.close();
  }
}
