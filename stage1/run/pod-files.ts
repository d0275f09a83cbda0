/** The files that stage0 and this stage1 have for each other in the pod's directory, which is the working directory (rkt-stage1 sections 4 and 7). */
import { chmodSync, chownSync, existsSync, lstatSync, mkdirSync, realpathSync, renameSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readBounded } from '../../image/appc/file.ts';
import { Context } from '../../image/appc/schema/context.ts';
import { parseImageManifest } from '../../image/appc/schema/image-manifest.ts';
import { type PodManifest, parsePodManifest, type Volume } from '../../image/appc/schema/pod-manifest.ts';
import { inside } from '../../vmm/api/pods.ts';
import { Failure } from '../common/failure.ts';
import { copyTree } from './copy-tree.ts';

export const S1 = 'stage1/rootfs';
const MANIFEST_MAX = 4 << 20;
const CONFIG_MAX = 1 << 20;

export interface ReadPod {
  readonly manifest: PodManifest;
  /** Warnings of the manifests' readers. */
  readonly notes: readonly string[];
}

export function readPod(): ReadPod {
  const context = new Context('pod manifest', { keepUnknownIsolators: true, olderMounts: true });
  const manifest = parsePodManifest(podBytes(), context);
  // stage0 writes its own version there, whatever the specification's is.
  return { manifest, notes: context.warnings.filter((line) => !line.startsWith('acVersion')) };
}

export type ImageManifest = ReturnType<typeof parseImageManifest>;

export function podBytes(): Uint8Array {
  return bytesOf('pod');
}

export function imageBytes(app: string): Uint8Array {
  return bytesOf(join(S1, 'opt/stage2', app, 'manifest'));
}

export function readImage(app: string): ImageManifest {
  return parseImageManifest(imageBytes(app), new Context(`image manifest of app ${app}`, { keepUnknownIsolators: true }));
}

function bytesOf(path: string): Uint8Array {
  try {
    return readBounded(path, MANIFEST_MAX);
  } catch (error) {
    throw new Failure(`${path}: ${(error as NodeJS.ErrnoException).code ?? (error as Error).message}`);
  }
}

/** Text of a small file, or undefined where there is none. */
export function textOf(path: string): string | undefined {
  try {
    return Buffer.from(readBounded(path, CONFIG_MAX)).toString();
  } catch {
    return undefined;
  }
}

export function appRoot(app: string): string {
  const path = join(process.cwd(), S1, 'opt/stage2', app, 'rootfs');
  if (!existsSync(path)) throw new Failure(`app ${app}: its root ${path} is not there`);
  return path;
}

/** What rkt makes in each app's root beside the mounts (rkt-stage1 "Filesystem prepared for each app"). Right below the root: no link of the image is on the way. */
export function makeStandardDirectories(app: string, root: string): void {
  for (const [name, mode] of [['run', 0o755], ['tmp', 0o1777]] as const) {
    const path = join(root, name);
    try {
      if (lstatSync(path, { throwIfNoEntry: false }) !== undefined) continue;
      mkdirSync(path);
      chmodSync(path, mode);
    } catch (error) {
      throw new Failure(`app ${app}: ${path} cannot be made: ${(error as NodeJS.ErrnoException).code ?? 'error'}`);
    }
  }
}

/** Where a volume lies on the host; an empty one is made, once for all apps that use it. */
export function volumePlace(volume: Volume, implied: { readonly app: string; readonly path: string } | undefined, note: (text: string) => void): string {
  if (volume.kind === 'host') {
    try {
      const path = realpathSync(volume.source);
      const stat = statSync(path);
      if (!stat.isDirectory() && !stat.isFile()) throw new Failure(`volume ${volume.name}: ${volume.source} is neither a directory nor a file: the pod has a kernel of its own, on whose side nobody is`);
      return path;
    } catch (error) {
      if (error instanceof Failure) throw error;
      throw new Failure(`volume ${volume.name}: ${volume.source}: ${(error as NodeJS.ErrnoException).code ?? 'error'}`);
    }
  }
  const path = join(process.cwd(), 'sharedVolumes', volume.name);
  if (!existsSync(path)) {
    try {
      mkdirSync('sharedVolumes', { recursive: true, mode: 0o755 });
      mkdirSync(path, { mode: 0o770 });
      chownSync(path, volume.uid, volume.gid);
      chmodSync(path, volume.mode);
    } catch (error) {
      throw new Failure(`volume ${volume.name}: it cannot be made, of ${volume.uid}:${volume.gid}: ${(error as NodeJS.ErrnoException).code ?? 'error'}`);
    }
    if (implied !== undefined && isOfDocker(readImage(implied.app))) fill(path, implied, note);
  }
  return path;
}

/** An image that was made of a Docker image. */
export function isOfDocker({ annotations }: ImageManifest): boolean {
  return annotations.some(({ name }) => name === 'appc.io/docker/repository');
}

/** What the image has where the volume is going to be. */
function fill(volume: string, { app, path }: { readonly app: string; readonly path: string }, note: (text: string) => void): void {
  const found = inside(appRoot(app), path);
  if (found === undefined || !found.stat.isDirectory()) return;
  try {
    for (const skipped of copyTree(found.path, volume)) note(`app ${app}: ${skipped} is not copied into the volume: it is no file, directory or link`);
  } catch (error) {
    throw new Failure(`app ${app}: what its image has in ${path} cannot be copied into the volume: ${(error as NodeJS.ErrnoException).code ?? (error as Error).message}`);
  }
}

export function writeEnvironment(app: string, env: readonly string[]): void {
  mkdirSync(join(S1, 'rkt/env'), { recursive: true });
  whole(join(S1, 'rkt/env', app), env.filter((line) => !line.startsWith('container=')).map((line) => `${line}\n`).join(''), 0o644);
}

/** What enter, stop, status and the api-service look for; only once they can be answered. */
export function writePid(): void {
  for (const name of ['ppid', 'pid']) whole(name, `${process.pid}\n`, 0o644);
}

export function writeReady(): void {
  const path = join(S1, 'rkt/supervisor-status');
  rmSync(path, { force: true });
  symlinkSync('ready', path);
}

export function writeStatus(app: string, status: number): void {
  whole(join(S1, 'rkt/status', app), `${status}\n`, 0o644);
}

/** A reader sees all of it or nothing. */
function whole(path: string, text: string, mode: number): void {
  const temporary = `${path}.new`;
  writeFileSync(temporary, text, { mode });
  renameSync(temporary, path);
}

/** `<local-config>/vmm.d/*.json`: one document {rktKind:"vmm", rktVersion:"v1", …}. */
export interface LocalConfig {
  readonly overheadMiB?: number;
  readonly minMiB?: number;
  readonly maxMiB?: number;
  readonly accel?: 'auto' | 'kvm' | 'wasm';
  readonly strictIsolators?: boolean;
  readonly hostCni?: boolean;
}

const CONFIG_KEYS: Readonly<Record<string, (value: unknown) => boolean>> = {
  rktKind: (value) => value === 'vmm',
  rktVersion: (value) => value === 'v1',
  overheadMiB: isSize,
  minMiB: isSize,
  maxMiB: isSize,
  accel: (value) => ['auto', 'kvm', 'wasm'].includes(value as string),
  strictIsolators: (value) => typeof value === 'boolean',
  hostCni: (value) => typeof value === 'boolean',
};

function isSize(value: unknown): boolean {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) <= 1 << 20;
}

/** One file of vmm.d. Throws Failure with the field's name. */
export function parseLocalConfig(path: string, text: string): LocalConfig {
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch (error) {
    throw new Failure(`${path}: is no JSON: ${(error as Error).message}`);
  }
  if (typeof document !== 'object' || document === null || Array.isArray(document)) throw new Failure(`${path}: is no JSON object`);
  for (const key of ['rktKind', 'rktVersion']) if (!(key in document)) throw new Failure(`${path}: ${key} is missing`);
  for (const [key, value] of Object.entries(document)) {
    const check = Object.hasOwn(CONFIG_KEYS, key) ? CONFIG_KEYS[key] : undefined;
    if (check === undefined) throw new Failure(`${path}: ${key} is no field of it`);
    if (!check(value)) throw new Failure(`${path}: ${key}: ${JSON.stringify(value)?.slice(0, 100)} is none of its values`);
  }
  return document as LocalConfig;
}
