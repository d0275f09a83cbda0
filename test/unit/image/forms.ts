import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { type DirNode, ErofsImage, tarFromTree } from '../../../image/index.ts';
import { collect, dir, file, sha256 } from './support.ts';

/** Images in the forms that users have, made by hand so that each part can be wrong. */

export function tarOf(root: DirNode, prefix = ''): Buffer {
  return collect(tarFromTree(root, prefix === '' ? {} : { prefix }));
}

/** A tar archive of files given by path. Members of image archives need no more metadata than ustar's. */
export function archiveOf(files: Readonly<Record<string, Uint8Array | string>>, links: Readonly<Record<string, string>> = {}): Buffer {
  const member = (name: string, type: string, data: Buffer, link: string): Buffer[] => {
    const header = Buffer.alloc(512);
    header.write(name, 0, 100);
    header.write('0000644\x000000000\x000000000\x00', 100);
    header.write(`${data.length.toString(8).padStart(11, '0')}\0${'0'.repeat(11)}\0        ${type}`, 124);
    header.write(link, 157, 100);
    header.write('ustar\x0000', 257);
    header.write(`${header.reduce((sum, byte) => sum + byte, 0).toString(8).padStart(6, '0')}\0 `, 148);
    return [header, data, Buffer.alloc((512 - (data.length % 512)) % 512)];
  };
  const parts = Object.entries(files).flatMap(([name, data]) => member(name, '0', Buffer.from(data as Uint8Array), ''));
  for (const [name, target] of Object.entries(links)) parts.push(...member(name, '2', Buffer.alloc(0), target));
  return Buffer.concat([...parts, Buffer.alloc(1024)]);
}

export interface Layer {
  readonly tar: Buffer;
  readonly compression?: 'plain' | 'gzip' | 'zstd';
}

export function digestOf(bytes: Uint8Array): string {
  return `sha256:${sha256(bytes)}`;
}

export function configOf(layers: readonly Layer[], more: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    architecture: 'amd64', os: 'linux', config: { Cmd: ['/bin/sh'], Env: ['A=b'], WorkingDir: '/w', User: '1:2', StopSignal: 'SIGINT' },
    rootfs: { type: 'layers', diff_ids: layers.map(({ tar }) => digestOf(tar)) }, ...more,
  };
}

function packed({ tar, compression = 'plain' }: Layer): { bytes: Buffer; type: string } {
  if (compression === 'gzip') return { bytes: gzipSync(tar), type: 'tar+gzip' };
  if (compression === 'zstd') return { bytes: execFileSync('zstd', ['-q', '-c'], { input: tar, maxBuffer: 1 << 28 }), type: 'tar+zstd' };
  return { bytes: tar, type: 'tar' };
}

/** Writes blobs and remembers them; the index comes last. */
export class Layout {
  readonly folder: string;
  readonly blobs: Record<string, Buffer> = {};
  readonly entries: Record<string, unknown>[] = [];

  constructor(folder: string) {
    this.folder = folder;
  }

  blob(data: Uint8Array | Record<string, unknown> | string): string {
    const bytes = data instanceof Uint8Array ? Buffer.from(data) : Buffer.from(typeof data === 'string' ? data : JSON.stringify(data));
    this.blobs[sha256(bytes)] = bytes;
    return digestOf(bytes);
  }

  /** A blob's size, as descriptors tell it. */
  sizeOf(digest: string): number {
    return (this.blobs[digest.slice(7)] as Buffer).length;
  }

  /** The descriptor of a manifest with its blobs. */
  manifest(layers: readonly Layer[], config: Record<string, unknown> = configOf(layers), more: Record<string, unknown> = {}): { mediaType: string; digest: string; size: number } {
    const configDigest = this.blob(config);
    const manifest = {
      schemaVersion: 2,
      config: { mediaType: 'application/vnd.oci.image.config.v1+json', digest: configDigest, size: this.sizeOf(configDigest) },
      layers: layers.map((layer) => {
        const { bytes, type } = packed(layer);
        return { mediaType: `application/vnd.oci.image.layer.v1.${type}`, digest: this.blob(bytes), size: bytes.length };
      }),
      ...more,
    };
    const digest = this.blob(manifest);
    return { mediaType: 'application/vnd.oci.image.manifest.v1+json', digest, size: this.sizeOf(digest) };
  }

  add(descriptor: Record<string, unknown>, tag?: string): this {
    this.entries.push(tag === undefined ? descriptor : { ...descriptor, annotations: { 'org.opencontainers.image.ref.name': tag } });
    return this;
  }

  files(): Record<string, Buffer | string> {
    const files: Record<string, Buffer | string> = {
      'oci-layout': '{"imageLayoutVersion":"1.0.0"}',
      'index.json': JSON.stringify({ schemaVersion: 2, manifests: this.entries }),
    };
    for (const [hex, bytes] of Object.entries(this.blobs)) files[`blobs/sha256/${hex}`] = bytes;
    return files;
  }

  /** As a directory; returns its path. */
  write(): string {
    mkdirSync(join(this.folder, 'blobs', 'sha256'), { recursive: true });
    for (const [name, bytes] of Object.entries(this.files())) writeFileSync(join(this.folder, name), bytes);
    return this.folder;
  }
}

export function sha512(bytes: Uint8Array): string {
  return createHash('sha512').update(bytes).digest('hex');
}

/** Paths of a disk's files, with their text. */
export function filesOf(disk: string): Record<string, string> {
  const image = new ErofsImage(disk);
  const found: Record<string, string> = {};
  const visit = (at: string): void => {
    for (const { name, stat } of image.list({ bytes: at })) {
      const path = at === '' ? name : `${at}/${name}`;
      if (stat.type === 'dir') visit(path);
      else found[path] = stat.type === 'file' ? Buffer.from(image.readRange(stat.nid, 0, stat.size)).toString('latin1') : stat.type;
    }
  };
  try {
    visit('');
  } finally {
    image.close();
  }
  return found;
}

/** Two layers: the second hides one file of the first and replaces another. What they give together is FLAT. */
export const LAYERS: readonly Buffer[] = [
  tarOf(dir({ etc: dir({ gone: file('1'), kept: file('2'), changed: file('3') }), opt: dir({ old: file('0') }) })),
  tarOf(dir({ etc: dir({ '.wh.gone': file(''), changed: file('4') }), opt: dir({ '.wh..wh..opq': file(''), new: file('5') }) })),
];
export const FLAT: Readonly<Record<string, string>> = { 'etc/changed': '4', 'etc/kept': '2', 'opt/new': '5' };

/** LAYERS as an image of OCI's, tag 1, in `folder`: its digest, and the layout's directory. */
export function ociImage(folder: string): { readonly digest: string; readonly oci: string } {
  const layout = new Layout(folder);
  const layers = LAYERS.map((tar) => ({ tar }));
  const manifest = layout.manifest(layers, configOf(layers), { mediaType: 'application/vnd.oci.image.manifest.v1+json' });
  return { digest: manifest.digest, oci: layout.add(manifest, '1').write() };
}
