import { isIPv4 } from 'node:net';
import { type App, parseApp, parsePort, type Port } from './app.ts';
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
  /** Empty: that of `mountPoint`. */
  readonly path: string;
  /** The app's mount point of that name (before 0.7.0). */
  readonly mountPoint: string | undefined;
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
  const older = path === '' && entry.raw('mountPoint') !== undefined;
  if (path === '' && !(older && entry.context.olderMounts)) throw entry.bad('path', older ? 'is missing: mountPoint is of versions before 0.7.0' : 'is missing or empty');
  if (!older && !path.startsWith('/')) entry.warn('path', `${shown(path)} is no absolute path`);
  const mountPoint = older ? checkAcName(entry.string('mountPoint'), entry.at('mountPoint'), entry.context) : undefined;
  const appVolume = entry.object('appVolume');
  return { volume, path, mountPoint, appVolume: appVolume === undefined ? undefined : parseVolume(appVolume) };
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
