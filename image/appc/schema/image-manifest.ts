import { type App, encodeApp, list, parseApp } from './app.ts';
import { type Context, shown } from './context.ts';
import { type Fields, parseDocument } from './fields.ts';
import { type NameValue, parseAnnotations, parseLabels } from './labels.ts';
import { checkAcIdentifier, checkImageId, checkVersion } from './names.ts';

export interface Dependency {
  readonly imageName: string;
  readonly imageID: string | undefined;
  readonly labels: readonly NameValue[];
  /** Bytes of the image as it is fetched. */
  readonly size: number | undefined;
}

/** App Container specification 0.8.11, "Image Manifest Schema". */
export interface ImageManifest {
  readonly acVersion: string;
  readonly name: string;
  readonly labels: readonly NameValue[];
  readonly app: App | undefined;
  readonly dependencies: readonly Dependency[];
  readonly pathWhitelist: readonly string[];
  readonly annotations: readonly NameValue[];
}

/** Reads and checks a manifest; the context gathers what only the specification forbids. Throws ACI_MANIFEST. */
export function parseImageManifest(bytes: Uint8Array, context: Context): ImageManifest {
  const fields = parseDocument(bytes, context);
  checkKind(fields, 'ImageManifest');
  const app = fields.object('app');
  const pathWhitelist = fields.strings('pathWhitelist');
  for (const path of pathWhitelist) if (!path.startsWith('/')) fields.warn('pathWhitelist', `${shown(path)} is no absolute path`);
  return {
    acVersion: checkVersion(fields.string('acVersion'), 'acVersion', context),
    name: checkAcIdentifier(fields.string('name'), 'name', context),
    labels: parseLabels(fields, 'labels'),
    app: app === undefined ? undefined : parseApp(app),
    dependencies: fields.objects('dependencies').map(parseDependency),
    pathWhitelist,
    annotations: parseAnnotations(fields, 'annotations'),
  };
}

/** The kind of a document that must be one. */
export function checkKind(fields: Fields, kind: 'ImageManifest' | 'PodManifest'): void {
  const found = fields.string('acKind');
  if (found !== kind) throw fields.bad('acKind', found === '' ? `is missing: no ${kind}` : `${shown(found)} is not ${kind}`);
}

function parseDependency(entry: Fields): Dependency {
  const imageID = entry.string('imageID');
  return {
    imageName: checkAcIdentifier(entry.string('imageName'), entry.at('imageName'), entry.context),
    imageID: imageID === '' ? undefined : checkImageId(imageID, entry.at('imageID'), entry.context),
    labels: parseLabels(entry, 'labels'),
    size: entry.integer('size') || undefined,
  };
}

/** The document as the reference's encoder writes it. */
export function encodeImageManifest(manifest: ImageManifest): string {
  return JSON.stringify({
    acKind: 'ImageManifest',
    acVersion: manifest.acVersion,
    name: manifest.name,
    ...list('labels', manifest.labels),
    ...(manifest.app === undefined ? {} : { app: encodeApp(manifest.app) }),
    ...list('annotations', manifest.annotations),
    ...list('dependencies', manifest.dependencies),
    ...list('pathWhitelist', manifest.pathWhitelist),
  });
}
