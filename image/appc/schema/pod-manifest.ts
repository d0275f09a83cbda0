import { isIPv4 } from 'node:net';
import { type App, encodeApp, encodePort, parseApp, parsePort, type Port } from './app.ts';
import { type Context, shown } from './context.ts';
import { type Fields, parseDocument } from './fields.ts';
import { checkKind } from './image-manifest.ts';
import { type Isolator, parseIsolators } from './isolators.ts';
import { type NameValue, parseAnnotations, parseLabels } from './labels.ts';
import { checkAcIdentifier, checkAcName, checkImageId, checkVersion } from './names.ts';

export type Volume =
  | { readonly name: string; readonly kind: 'host'; readonly source: string; readonly readOnly: boolean | undefined; readonly recursive: boolean | undefined }
  | { readonly name: string; readonly kind: 'empty'; readonly readOnly: boolean | undefined; readonly mode: number; readonly uid: number; readonly gid: number };

export interface PodMount {
  readonly volume: string;
  readonly path: string;
  /** Counts before the pod's volume of that name. */
  readonly appVolume: Volume | undefined;
}

export interface RuntimeApp {
  readonly name: string;
  readonly image: { readonly id: string; readonly name: string | undefined; readonly labels: readonly NameValue[] };
  /** Instead of the image's own. */
  readonly app: App | undefined;
  readonly readOnlyRootFS: boolean;
  readonly mounts: readonly PodMount[];
  readonly annotations: readonly NameValue[];
}

export interface ExposedPort {
  readonly name: string;
  readonly hostPort: number;
  readonly hostIP: string | undefined;
  readonly podPort: Port | undefined;
}

/** App Container specification 0.8.11, "Pod Manifest Schema". */
export interface PodManifest {
  readonly acVersion: string;
  readonly apps: readonly RuntimeApp[];
  readonly volumes: readonly Volume[];
  readonly isolators: readonly Isolator[];
  readonly annotations: readonly NameValue[];
  readonly ports: readonly ExposedPort[];
  readonly userAnnotations: Readonly<Record<string, string>> | undefined;
  readonly userLabels: Readonly<Record<string, string>> | undefined;
}

/** Reads and checks a pod manifest. Throws ACI_MANIFEST. */
export function parsePodManifest(bytes: Uint8Array, context: Context): PodManifest {
  const fields = parseDocument(bytes, context);
  checkKind(fields, 'PodManifest');
  const apps = fields.objects('apps').map(parseRuntimeApp);
  const volumes = fields.objects('volumes').map(parseVolume);
  refuseTwice(fields, 'apps', apps);
  refuseTwice(fields, 'volumes', volumes);
  const ports = fields.objects('ports').map(parseExposedPort);
  return {
    acVersion: checkVersion(fields.string('acVersion'), 'acVersion', context),
    apps,
    volumes,
    isolators: parseIsolators(fields, 'isolators', 'pod'),
    annotations: parseAnnotations(fields, 'annotations'),
    ports,
    userAnnotations: fields.stringMap('userAnnotations'),
    userLabels: fields.stringMap('userLabels'),
  };
}

function parseRuntimeApp(entry: Fields): RuntimeApp {
  const image = entry.object('image');
  if (image === undefined) throw entry.bad('image', 'is missing');
  const imageName = image.string('name');
  const app = entry.object('app');
  return {
    name: checkAcName(entry.string('name'), entry.at('name'), entry.context),
    image: {
      id: imageName !== '' && entry.context.imagesByName && image.string('id') === '' ? '' : checkImageId(image.string('id'), image.at('id'), image.context),
      name: imageName === '' ? undefined : checkAcIdentifier(imageName, image.at('name'), image.context),
      labels: parseLabels(image, 'labels'),
    },
    app: app === undefined ? undefined : parseApp(app),
    readOnlyRootFS: entry.boolean('readOnlyRootFS'),
    mounts: entry.objects('mounts').map(parseMount),
    annotations: parseAnnotations(entry, 'annotations'),
  };
}

function parseMount(entry: Fields): PodMount {
  const volume = checkAcName(entry.string('volume'), entry.at('volume'), entry.context);
  const path = entry.string('path');
  if (path === '') throw entry.bad('path', entry.raw('mountPoint') === undefined ? 'is missing or empty' : 'is missing: mountPoint is of versions before 0.7.0');
  if (!path.startsWith('/')) entry.warn('path', `${shown(path)} is no absolute path`);
  const appVolume = entry.object('appVolume');
  return { volume, path, appVolume: appVolume === undefined ? undefined : parseVolume(appVolume) };
}

/** The keys that only one kind of volume has. */
const OF_EMPTY = ['mode', 'uid', 'gid'] as const;

function parseVolume(entry: Fields): Volume {
  const name = checkAcName(entry.string('name'), entry.at('name'), entry.context);
  const kind = entry.string('kind');
  const source = entry.string('source');
  const readOnly = entry.raw('readOnly') === undefined ? undefined : entry.boolean('readOnly');
  const recursive = entry.raw('recursive') === undefined ? undefined : entry.boolean('recursive');
  if (kind === 'host') {
    if (!source.startsWith('/')) throw entry.bad('source', source === '' ? 'is missing or empty' : `${shown(source)} is no absolute path`);
    for (const key of OF_EMPTY) if (entry.raw(key) !== undefined) throw entry.bad(key, 'is nothing that a volume of the host has');
    return { name, kind, source, readOnly, recursive };
  }
  if (kind !== 'empty') throw entry.bad('kind', `${shown(kind)} is neither empty nor host`);
  if (source !== '') throw entry.bad('source', 'is nothing that an empty volume has');
  if (recursive !== undefined) entry.warn('recursive', 'is nothing that an empty volume has');
  const mode = entry.optionalString('mode') ?? '0755';
  if (!/^[0-7]{1,5}$/.test(mode) || Number.parseInt(mode, 8) > 0o7777) throw entry.bad('mode', `${shown(mode)} is no mode in octal digits`);
  return { name, kind, readOnly, mode: Number.parseInt(mode, 8), uid: entry.integer('uid', Number.MIN_SAFE_INTEGER) ?? 0, gid: entry.integer('gid', Number.MIN_SAFE_INTEGER) ?? 0 };
}

function parseExposedPort(entry: Fields): ExposedPort {
  const hostIP = entry.string('hostIP');
  const hostPort = entry.integer('hostPort') ?? 0;
  const podPort = entry.object('podPort');
  if (hostPort < 1 || hostPort > 65_535) entry.warn('hostPort', `${hostPort} is not between 1 and 65535`);
  if (hostIP !== '' && !isIPv4(hostIP)) entry.warn('hostIP', `${shown(hostIP)} is no IPv4 address`);
  return {
    name: checkAcName(entry.string('name'), entry.at('name'), entry.context),
    hostPort,
    hostIP: hostIP === '' ? undefined : hostIP,
    podPort: podPort === undefined ? undefined : parsePort(podPort),
  };
}

function refuseTwice(fields: Fields, key: string, list: readonly { readonly name: string }[]): void {
  const seen = new Set<string>();
  for (const { name } of list) {
    if (seen.has(name)) throw fields.bad(key, `has two of ${shown(name)}`);
    seen.add(name);
  }
}

/** The document as the reference's encoder writes it: the lists are always there, null when they are empty. */
export function encodePodManifest(manifest: PodManifest): string {
  const orNull = <T>(values: readonly T[]): readonly T[] | null => (values.length === 0 ? null : values);
  return JSON.stringify({
    acVersion: manifest.acVersion,
    acKind: 'PodManifest',
    apps: orNull(manifest.apps.map(encodeRuntimeApp)),
    volumes: orNull(manifest.volumes.map(encodeVolume)),
    isolators: orNull(manifest.isolators),
    annotations: orNull(manifest.annotations),
    ports: orNull(manifest.ports.map(({ podPort, ...port }) => ({ ...port, ...(podPort === undefined ? {} : { podPort: encodePort(podPort) }) }))),
    userAnnotations: manifest.userAnnotations,
    userLabels: manifest.userLabels,
  });
}

function encodeRuntimeApp({ name, image, app, readOnlyRootFS, mounts, annotations }: RuntimeApp): Record<string, unknown> {
  return {
    name,
    image: { ...(image.name === undefined ? {} : { name: image.name }), id: image.id, ...(image.labels.length === 0 ? {} : { labels: image.labels }) },
    ...(app === undefined ? {} : { app: encodeApp(app) }),
    ...(readOnlyRootFS ? { readOnlyRootFS } : {}),
    ...(mounts.length === 0 ? {} : { mounts: mounts.map(({ volume, path, appVolume }) => ({ volume, path, ...(appVolume === undefined ? {} : { appVolume: encodeVolume(appVolume) }) })) }),
    ...(annotations.length === 0 ? {} : { annotations }),
  };
}

function encodeVolume(volume: Volume): Record<string, unknown> {
  const { name, kind, readOnly } = volume;
  const common = { name, kind, ...(readOnly === undefined ? {} : { readOnly }) };
  if (volume.kind === 'host') return { ...common, source: volume.source, ...(volume.recursive === undefined ? {} : { recursive: volume.recursive }) };
  return { ...common, mode: volume.mode.toString(8).padStart(4, '0'), uid: volume.uid, gid: volume.gid };
}
