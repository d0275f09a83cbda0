import { createHash } from 'node:crypto';
import { VmmError } from '../../base/errors.ts';
import { Context } from '../appc/schema/context.ts';
import { type ImageManifest, parseImageManifest } from '../appc/schema/image-manifest.ts';
import { isolationOf } from '../appc/schema/isolation.ts';
import { MACHINE, labelValue } from '../appc/schema/labels.ts';
import { EMPTY_CONFIG, type ImageProcessConfig } from '../documents/config.ts';
import type { LayerSource } from '../rootfs/build.ts';
import { DEFAULT_LIMITS } from '../tree/limits.ts';
import { type ByteString, byteString } from '../tree/names.ts';
import type { DirNode } from '../tree/node.ts';
import { splitPath } from '../tree/paths.ts';
import type { Archive } from './archive.ts';
import { checkProcess } from './image-config.ts';
import type { ImageSource } from './source.ts';

const ROOTFS = 'rootfs';

/** What an ACI is laid upon: its dependencies, each rendered. */
export interface Below {
  readonly layers: readonly LayerSource[];
  /** Names their content: that of an image with dependencies is more than its own id says. */
  readonly key: string;
  close(): void;
}

/** What whoever opens an ACI does for it. Without it an ACI with dependencies is refused. */
export interface AciHooks {
  /** `where` is what messages call the image. */
  dependencies(manifest: ImageManifest, where: string): Promise<Below>;
  /** Whether it is the image that is wanted, and signed: by the key of this fingerprint; undefined: by nobody, and nobody has to. `id`: `sha512:HEX`. */
  signer?(manifest: ImageManifest, id: string, archive: Archive): Promise<string | undefined>;
}

/** True when the archive looks like an ACI: a root file system may have a file `manifest` too. */
export function isAci(archive: Archive): boolean {
  return archive.has('manifest') && archive.hasTop(ROOTFS);
}

/** An application container image (appc spec 0.8.11, "App Container Image"): `manifest` and `rootfs/` in one tar. Throws ACI_*, IMAGE_*. */
export async function aciArchive(archive: Archive, hooks: AciHooks | undefined): Promise<ImageSource> {
  if (!archive.hasTop(ROOTFS)) throw new VmmError('ACI_LAYOUT', `${archive.name}: no rootfs in it`, { hint: 'the archive is not an ACI' });
  const bytes = archive.read('manifest');
  const manifest = parseImageManifest(bytes, new Context(`${archive.name}: manifest`, { keepUnknownIsolators: true }));
  checkPlatform(manifest, archive.name);
  const id = `sha512:${archive.sha512()}`;
  const signedBy = await hooks?.signer?.(manifest, id, archive);
  const below = manifest.dependencies.length === 0 ? undefined : await dependencies(manifest, archive.name, hooks);
  const version = labelValue(manifest.labels, 'version');
  const { app, pathWhitelist } = manifest;
  return {
    id,
    names: [version === undefined ? manifest.name : `${manifest.name}:${version}`],
    created: labelValue(manifest.annotations, 'created'),
    config: appConfig(manifest, archive.name),
    aciManifest: Buffer.from(bytes).toString('utf8'),
    ...(signedBy === undefined ? {} : { signedBy }),
    chainId: undefined,
    layers: [
      ...(below?.layers ?? []),
      {
        name: archive.name,
        data: archive.whole(),
        digest: id, // what is built is what was hashed
        whiteouts: false,
        replaceLinks: true,
        prefix: byteString(ROOTFS),
      },
    ],
    ...(below === undefined ? {} : { content: `sha256:${createHash('sha256').update(`${id} ${below.key}`).digest('hex')}` }),
    ...(app !== undefined && [app.user, app.group].some((name) => /^(\/|\d+$)/.test(name)) ? { accounts: { user: app.user, group: app.group } } : {}),
    ...(pathWhitelist.length === 0 ? {} : { adjust: (tree) => keepOnly(tree, pathWhitelist) }),
    close: () => {
      below?.close();
      archive.close();
    },
  };
}

function checkPlatform({ labels }: ImageManifest, where: string): void {
  const os = labelValue(labels, 'os') ?? MACHINE.os;
  const arch = labelValue(labels, 'arch') ?? MACHINE.arch;
  if (os !== MACHINE.os || arch !== MACHINE.arch) throw new VmmError('IMAGE_PLATFORM', `${where}: made for ${os}/${arch}`, { hint: `the machine is ${MACHINE.os}/${MACHINE.arch}` });
}

async function dependencies(manifest: ImageManifest, where: string, hooks: AciHooks | undefined): Promise<Below> {
  if (hooks !== undefined) return hooks.dependencies(manifest, where);
  const names = manifest.dependencies.map(({ imageName }) => imageName);
  throw new VmmError('IMAGE_UNSUPPORTED', `${where}: depends on ${names.slice(0, 10).join(', ')}`, { hint: 'give an image without dependencies' });
}

function appConfig({ app }: ImageManifest, where: string): ImageProcessConfig {
  if (app === undefined) return EMPTY_CONFIG;
  for (const name of [app.user, app.group]) {
    if (name.includes(':') && !name.startsWith('/')) throw new VmmError('IMAGE_UNSUPPORTED', `${where}: ${JSON.stringify(name.slice(0, 100))} is no user or group`, { hint: 'give names or numbers' });
  }
  const isolation = isolationOf(app);
  return checkProcess(
    {
      ...EMPTY_CONFIG,
      cmd: app.exec,
      env: app.environment.map(({ name, value }) => `${name}=${value}`),
      workingDir: app.workingDirectory ?? '',
      user: `${app.user}:${app.group}`,
      ...(isolation === undefined ? {} : { isolation }),
    },
    where,
  );
}

/** What a path whitelist keeps: the paths that it names, and the directories on the way to them. */
interface Kept {
  /** It is named itself: what is only on the way has to be a directory. */
  named: boolean;
  readonly children: Map<ByteString, Kept>;
}

/**
 * The appc spec's pathWhitelist: when it is there, only those paths exist. Applied when the tree is complete, since a path
 * that goes may be the first name of a hard link that stays.
 */
function keepOnly(tree: DirNode, whitelist: readonly string[]): void {
  const root: Kept = { named: true, children: new Map() };
  for (const path of whitelist) {
    let at = root;
    for (const part of splitPath(byteString(path), DEFAULT_LIMITS)) {
      const next = at.children.get(part) ?? { named: false, children: new Map() };
      at.children.set(part, next);
      at = next;
    }
    at.named = true;
  }
  const todo: [DirNode, Kept][] = [[tree, root]];
  for (let pair = todo.pop(); pair !== undefined; pair = todo.pop()) {
    const [dir, kept] = pair;
    for (const [name, child] of [...dir.children]) {
      const below = kept.children.get(name);
      if (below === undefined || (child.type !== 'dir' && !below.named)) dir.children.delete(name);
      else if (child.type === 'dir') todo.push([child, below]);
    }
  }
}
