import { VmmError } from '../../vmm/errors.ts';
import type { ImageProcessConfig } from '../config.ts';
import { JsonObject } from '../json.ts';
import { byteString } from '../tree/names.ts';
import type { Archive } from './archive.ts';
import type { ImageSource } from './source.ts';

/** An application container image (appc spec 0.8.11, "App Container Image"): `manifest` and `rootfs/` in one tar. */
export function aciArchive(archive: Archive): ImageSource {
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
    throw new VmmError('IMAGE_UNSUPPORTED', `${archive.name}: depends on ${dependencies.map((d) => d.optionalString('imageName') ?? '?').join(', ')}`, { hint: 'give an image without dependencies (actool can flatten it)' });
  }
  const app = manifest.object('app');
  const version = labels.get('version');
  // pathWhitelist: when it is there, only those paths of the rootfs exist.
  const whitelist = manifest.strings('pathWhitelist');
  const keep = new Set(whitelist.map((path) => byteString(path.replace(/^\/+/, ''))));
  return {
    id: `sha512:${archive.sha512()}`,
    names: [version === undefined ? name : `${name}:${version}`],
    created: manifest.objects('annotations').find((a) => a.string('name') === 'created')?.string('value'),
    config: appConfig(app, archive.name),
    chainId: undefined,
    layers: [
      {
        name: archive.name,
        data: archive.whole(),
        whiteouts: false,
        prefix: byteString('rootfs'),
        ...(keep.size === 0 ? {} : { filter: (path) => keep.has(path) }),
      },
    ],
    close: () => archive.close(),
  };
}

function appConfig(app: JsonObject | undefined, where: string): ImageProcessConfig {
  if (app === undefined) return { entrypoint: [], cmd: [], env: [], workingDir: '', user: '', stopSignal: undefined };
  const user = app.string('user');
  const group = app.string('group');
  if (user.startsWith('/') || group.startsWith('/')) {
    throw new VmmError('IMAGE_UNSUPPORTED', `${where}: user ${user} and group ${group} are taken from a file's owner`, { hint: 'run it with -u' });
  }
  return {
    entrypoint: [],
    cmd: app.strings('exec'),
    env: app.objects('environment').map((v) => `${v.string('name')}=${v.string('value')}`),
    workingDir: app.optionalString('workingDirectory') ?? '',
    user: `${user}:${group}`,
    stopSignal: undefined,
  };
}
