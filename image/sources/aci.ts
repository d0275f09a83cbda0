import { VmmError } from '../../base/errors.ts';
import type { ImageProcessConfig } from '../documents/config.ts';
import { JsonObject } from '../documents/json.ts';
import { DEFAULT_LIMITS } from '../tree/limits.ts';
import { type ByteString, byteString } from '../tree/names.ts';
import type { DirNode } from '../tree/node.ts';
import { splitPath } from '../tree/paths.ts';
import type { Archive } from './archive.ts';
import { checkProcess } from './image-config.ts';
import type { ImageSource } from './source.ts';

const ROOTFS = 'rootfs';

/** True when the archive looks like an ACI: a root file system may have a file `manifest` too. */
export function isAci(archive: Archive): boolean {
  return archive.has('manifest') && archive.hasTop(ROOTFS);
}

/** An application container image (appc spec 0.8.11, "App Container Image"): `manifest` and `rootfs/` in one tar. Throws IMAGE_BAD, IMAGE_PLATFORM, IMAGE_UNSUPPORTED. */
export function aciArchive(archive: Archive): ImageSource {
  if (!archive.hasTop(ROOTFS)) throw new VmmError('IMAGE_BAD', `${archive.name}: no rootfs in it`, { hint: 'the archive is not an ACI' });
  const manifest = JsonObject.parse(archive.read('manifest'), `${archive.name}: manifest`);
  const kind = manifest.string('acKind');
  if (kind !== 'ImageManifest') throw new VmmError('IMAGE_BAD', `${archive.name}: acKind is ${JSON.stringify(kind.slice(0, 40))}, not ImageManifest`, { hint: 'the archive is not an ACI' });
  const name = manifest.string('name');
  const labels = new Map(manifest.objects('labels').map((label) => [label.string('name'), label.string('value')]));
  const os = labels.get('os') ?? 'linux';
  const arch = labels.get('arch') ?? 'amd64';
  if (os !== 'linux' || arch !== 'amd64') throw new VmmError('IMAGE_PLATFORM', `${archive.name}: made for ${os}/${arch}`, { hint: 'the machine is linux/amd64' });
  const dependencies = manifest.objects('dependencies');
  if (dependencies.length > 0) {
    throw new VmmError('IMAGE_UNSUPPORTED', `${archive.name}: depends on ${dependencies.map((d) => d.optionalString('imageName') ?? '?').slice(0, 10).join(', ')}`, { hint: 'give an image without dependencies' });
  }
  const app = manifest.object('app');
  const version = labels.get('version');
  const id = `sha512:${archive.sha512()}`;
  const whitelist = manifest.strings('pathWhitelist');
  return {
    id,
    names: [version === undefined ? name : `${name}:${version}`],
    created: manifest.objects('annotations').find((a) => a.string('name') === 'created')?.string('value'),
    config: appConfig(app, archive.name),
    chainId: undefined,
    layers: [
      {
        name: archive.name,
        data: archive.whole(),
        digest: id, // what is built is what was hashed
        whiteouts: false,
        prefix: byteString(ROOTFS),
      },
    ],
    ...(whitelist.length === 0 ? {} : { adjust: (tree) => keepOnly(tree, whitelist) }),
    close: () => archive.close(),
  };
}

function appConfig(app: JsonObject | undefined, where: string): ImageProcessConfig {
  if (app === undefined) return { entrypoint: [], cmd: [], env: [], workingDir: '', user: '', stopSignal: undefined, volumes: [] };
  const user = app.string('user');
  const group = app.string('group');
  if (user.startsWith('/') || group.startsWith('/')) {
    throw new VmmError('IMAGE_UNSUPPORTED', `${where}: user ${user} and group ${group} are taken from a file's owner`, { hint: 'rebuild it with names or numbers' });
  }
  return checkProcess(
    {
      entrypoint: [],
      cmd: app.strings('exec'),
      env: app.objects('environment').map((v) => `${v.string('name')}=${v.string('value')}`),
      workingDir: app.optionalString('workingDirectory') ?? '',
      user: `${user}:${group}`,
      stopSignal: undefined,
      volumes: [],
    },
    where,
  );
}

/** What a path whitelist keeps: the paths that it names, and the directories on the way to them. */
interface Kept {
  readonly children: Map<ByteString, Kept>;
}

/**
 * The appc spec's pathWhitelist: when it is there, only those paths exist. Applied when the tree is complete, since a path
 * that goes may be the first name of a hard link that stays.
 */
function keepOnly(tree: DirNode, whitelist: readonly string[]): void {
  const root: Kept = { children: new Map() };
  for (const path of whitelist) {
    let at = root;
    for (const part of splitPath(byteString(path), DEFAULT_LIMITS)) {
      const next = at.children.get(part) ?? { children: new Map() };
      at.children.set(part, next);
      at = next;
    }
  }
  const todo: [DirNode, Kept][] = [[tree, root]];
  for (let pair = todo.pop(); pair !== undefined; pair = todo.pop()) {
    const [dir, kept] = pair;
    for (const [name, child] of [...dir.children]) {
      const below = kept.children.get(name);
      if (below === undefined) dir.children.delete(name);
      else if (child.type === 'dir') todo.push([child, below]);
    }
  }
}
