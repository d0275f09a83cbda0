import type { ImageProcessConfig } from '../documents/config.ts';
import { ErofsImage } from '../erofs/reader.ts';
import { treeFromErofs } from '../erofs/tree.ts';
import type { ImageRecord } from '../store/record.ts';
import { clampTimes } from './build.ts';
import type { App } from './schema/app.ts';
import { Context } from './schema/context.ts';
import { encodeImageManifest, type ImageManifest, parseImageManifest } from './schema/image-manifest.ts';
import { MACHINE, type NameValue } from './schema/labels.ts';
import { sanitizeIdentifier, sanitizeName } from './schema/names.ts';
import { type WriteOptions, writeAci } from './write.ts';

export interface ConvertOptions extends WriteOptions {
  /** The ACI's name; default: of the image's. */
  readonly name: string | undefined;
  readonly epoch: number | undefined;
  /** Gets a line about what an ACI cannot say. */
  readonly note: (text: string) => void;
}

/** Variables' names that an app section may have. */
const VARIABLE = /^[A-Za-z_][A-Za-z_0-9.-]*$/;

/**
 * Makes an ACI of an image of the store, whatever its format was, squashed, as docker2aci does: `text` is what the user calls it.
 * Returns its id. Throws ACI_MANIFEST, IMAGE_*.
 */
export async function convertImage(record: ImageRecord, disk: string, text: string, out: string, options: ConvertOptions): Promise<string> {
  const image = new ErofsImage(disk);
  try {
    const manifest = manifestFor(record, text, options, (user) => primaryGroup(image, user));
    const bytes = Buffer.from(encodeImageManifest(manifest));
    parseImageManifest(bytes, new Context(text));
    const rootfs = treeFromErofs(image);
    if (options.epoch !== undefined) clampTimes(rootfs, options.epoch);
    return await writeAci({ manifest: bytes, rootfs }, out, options);
  } finally {
    image.close();
  }
}

function manifestFor({ id, config, created }: ImageRecord, text: string, { name, note }: ConvertOptions, groupOf: (user: string) => string): ImageManifest {
  const { repository, tag } = splitName(text);
  const annotations: NameValue[] = [
    ...(created === undefined || !/^\d{4}-\d\d-\d\dT/.test(created) ? [] : [{ name: 'created', value: created }]),
    { name: 'appc.io/docker/repository', value: repository },
    { name: 'appc.io/docker/imageid', value: id.replace(/^sha\d+:/, '') },
    ...(config.entrypoint.length === 0 ? [] : [{ name: 'appc.io/docker/entrypoint', value: JSON.stringify(config.entrypoint) }]),
    ...(config.cmd.length === 0 ? [] : [{ name: 'appc.io/docker/cmd', value: JSON.stringify(config.cmd) }]),
  ];
  return {
    acVersion: '0.8.11',
    name: name ?? sanitizeIdentifier(repository) ?? 'image',
    labels: [...(tag === undefined ? [] : [{ name: 'version', value: tag }]), { name: 'os', value: MACHINE.os }, { name: 'arch', value: MACHINE.arch }],
    app: appFor(config, groupOf, note),
    dependencies: [],
    pathWhitelist: [],
    annotations,
  };
}

function appFor(config: ImageProcessConfig, groupOf: (user: string) => string, note: (text: string) => void): App {
  const [user = '', group] = config.user.split(':');
  const workingDirectory = config.workingDir === '' || config.workingDir.startsWith('/') ? config.workingDir : `/${config.workingDir}`;
  if (config.stopSignal !== undefined) note(`the stop signal ${config.stopSignal} has no place in an ACI`);
  return {
    exec: [...config.entrypoint, ...config.cmd],
    user: user === '' ? '0' : user,
    group: group === undefined || group === '' ? groupOf(user) : group,
    supplementaryGIDs: [],
    eventHandlers: [],
    workingDirectory: workingDirectory === '' ? undefined : workingDirectory,
    environment: variables(config.env, note),
    mountPoints: config.volumes.map((path) => ({ name: `volume-${sanitizeName(path) ?? 'root'}`, path, readOnly: false })),
    ports: [],
    isolators: [],
    userAnnotations: undefined,
    userLabels: undefined,
  };
}

/** The last of equal names counts, as for Docker. */
function variables(env: readonly string[], note: (text: string) => void): NameValue[] {
  const found = new Map<string, string>();
  for (const entry of env) {
    const eq = entry.indexOf('=');
    const name = entry.slice(0, Math.max(0, eq));
    if (VARIABLE.test(name)) found.set(name, entry.slice(eq + 1));
    else note(`the variable ${JSON.stringify(entry.slice(0, 60))} has a name that an ACI cannot have`);
  }
  return [...found].map(([name, value]) => ({ name, value }));
}

/** `debian:12` → debian, 12; of a path the last part without its ending. */
function splitName(text: string): { repository: string; tag: string | undefined } {
  const plain = text.replace(/^[a-z-]+:(?=\/|\.)/, '').replace(/@sha\d+:[0-9a-f]+$/, '');
  const [, own = plain, tag] = /^(.*?)(?::([^/:]+))?$/s.exec(plain) ?? [];
  const isPath = /^[./]/.test(own) || /\.(tar|aci|tgz|gz|xz|zst)$/.test(own);
  return { repository: isPath ? (own.split('/').findLast((part) => part !== '' && part !== '.') ?? own).replace(/\.(tar|aci|tgz)(\.\w+)?$/, '') : own, tag };
}

const PASSWD_MAX = 4 << 20;

/** The group that /etc/passwd of the image gives a user; Docker takes 0 for one that is not in it. */
function primaryGroup(image: ErofsImage, user: string): string {
  if (user === '' || image.stat('/etc/passwd')?.type !== 'file') return '0';
  const lines = image.readFile('/etc/passwd', PASSWD_MAX).toString('utf8').split('\n').map((line) => line.split(':'));
  const line = lines.find(([name]) => name === user) ?? lines.find(([, , uid]) => uid === user);
  return /^\d+$/.test(line?.[3] ?? '') ? (line?.[3] as string) : '0';
}
