import { createHash } from 'node:crypto';
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { VmmError } from '../base/errors.ts';
import { recognise } from './compress/compress.ts';
import { OCI_CONFIG, OCI_LAYER, OCI_MANIFEST, type PackedImage, type TypedDescriptor } from './documents/descriptor.ts';
import type { FileRange, LayerSource } from './rootfs/build.ts';
import type { ImageSource } from './sources/source.ts';
import { writeFully } from './tree/content.ts';
import type { Intake } from './store/intake.ts';

const READ_CHUNK = 1 << 20;
const SUFFIX: Readonly<Record<string, string>> = { plain: '', gzip: '+gzip', zstd: '+zstd' };

/**
 * Copies an image's layers from files into the store's keeping; layers of a registry are kept while they are fetched. Returns the
 * manifest's digest, or undefined for layers in a form that registries do not know. Throws IMAGE_*, STORE_*.
 */
export async function keepImage(source: ImageSource, packed: PackedImage, intake: Intake): Promise<string | undefined> {
  const layers: TypedDescriptor[] = [];
  for (const [i, layer] of source.layers.entries()) {
    const known = packed.layers?.[i];
    const kept = isRange(layer.data) ? await keepLayer(layer.data, known, intake) : known;
    if (kept === undefined) return undefined;
    layers.push(kept);
  }
  const bytes = packed.manifest ?? manifestOf(packed.config, source.id, layers);
  const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
  intake.document(digest, bytes);
  intake.document(source.id, packed.config);
  return digest;
}

function isRange(data: LayerSource['data']): data is FileRange {
  return !(Symbol.asyncIterator in data);
}

function manifestOf(config: Uint8Array, id: string, layers: readonly TypedDescriptor[]): Uint8Array {
  return Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: OCI_MANIFEST, config: { mediaType: OCI_CONFIG, digest: id, size: config.length }, layers }));
}

async function keepLayer(range: FileRange, known: TypedDescriptor | undefined, intake: Intake): Promise<TypedDescriptor | undefined> {
  const file = new Range(range);
  try {
    const descriptor = known ?? file.describe();
    if (descriptor === undefined) return undefined;
    const blob = await intake.open(descriptor);
    if (blob.whole) return descriptor;
    const hash = createHash(descriptor.digest.slice(0, descriptor.digest.indexOf(':')));
    let at = 0;
    for (const chunk of file.read()) {
      writeFully(blob.fd, chunk, at, 'a layer to the store');
      hash.update(chunk);
      at += chunk.length;
      await new Promise((resolve) => setImmediate(resolve));
    }
    if (!descriptor.digest.endsWith(`:${hash.digest('hex')}`) || at !== descriptor.size) {
      intake.spoil(descriptor.digest);
      throw new VmmError('IMAGE_DIGEST', `${range.path}: a layer is not what ${descriptor.digest} names`, { hint: 'the data is damaged or was changed; fetch the image again' });
    }
    intake.finish(descriptor.digest);
    return descriptor;
  } finally {
    file.close();
  }
}

/** A part of a file. */
class Range {
  readonly #fd: number;
  readonly #start: number;
  readonly #length: number;

  constructor({ path, offset = 0, length }: FileRange) {
    try {
      this.#fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    } catch (cause) {
      throw new VmmError('IMAGE_OPEN', `cannot open ${JSON.stringify(path)}: ${(cause as NodeJS.ErrnoException).code ?? 'error'}`, { cause, hint: 'the image is incomplete, or not yours to read' });
    }
    this.#start = offset;
    this.#length = length ?? fstatSync(this.#fd).size - offset;
  }

  *read(): Generator<Buffer> {
    const buffer = Buffer.allocUnsafeSlow(READ_CHUNK);
    for (let at = 0; at < this.#length; ) {
      const n = readSync(this.#fd, buffer, 0, Math.min(buffer.length, this.#length - at), this.#start + at);
      if (n === 0) throw new VmmError('IMAGE_SOURCE_CHANGED', 'a layer became shorter while it was read', { hint: 'stop what writes to it and import it again' });
      at += n;
      yield buffer.subarray(0, n);
    }
  }

  /** What a manifest says of it; undefined where it is compressed in a way that manifests cannot tell. */
  describe(): TypedDescriptor | undefined {
    const hash = createHash('sha256');
    let head: Buffer | undefined;
    for (const chunk of this.read()) {
      head ??= Buffer.from(chunk.subarray(0, 512));
      hash.update(chunk);
    }
    const suffix = SUFFIX[recognise(head ?? Buffer.alloc(0))];
    return suffix === undefined ? undefined : { mediaType: `${OCI_LAYER}${suffix}`, digest: `sha256:${hash.digest('hex')}`, size: this.#length };
  }

  close(): void {
    closeSync(this.#fd);
  }
}
