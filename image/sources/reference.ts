import { VmmError } from '../../base/errors.ts';

/** Forms that a user may give, for messages. */
export const REFERENCE_FORMS = 'a path, dir:DIR, oci:DIR[:TAG], oci-archive:FILE[:TAG], docker-archive:FILE[:NAME], aci:FILE, aci:NAME[:VERSION], a URL of an ACI, or a name';

/** Where an image is, as `vmm run` and `vmm image import` take it. */
export type ImageReference =
  | { readonly kind: 'path'; readonly path: string }
  | { readonly kind: 'dir' | 'aci'; readonly path: string }
  | { readonly kind: 'oci' | 'oci-archive' | 'docker-archive'; readonly path: string; readonly tag: string | undefined }
  /** An app container image by its name, or by the URL of its file. */
  | { readonly kind: 'aci-name' | 'aci-url'; readonly name: string }
  | { readonly kind: 'name'; readonly name: string };

/** A reference to something in the file system. */
export type PathReference = Exclude<ImageReference, { kind: 'name' | 'aci-name' | 'aci-url' }>;

const WITH_TAG = new Set(['oci', 'oci-archive', 'docker-archive']);

/**
 * Reads an image reference: a transport prefix as in containers-transports(5), a path (starts with `/` or `.`, or
 * `exists`), else a name of the store. Throws IMAGE_REFERENCE.
 */
export function parseReference(text: string, exists: (path: string) => boolean): ImageReference {
  if (text === '') throw new VmmError('IMAGE_REFERENCE', 'the image’s name is empty', { hint: `give ${REFERENCE_FORMS}` });
  const match = /^([a-z][a-z-]*):(.*)$/s.exec(text);
  const transport = match?.[1];
  const rest = match?.[2] ?? '';
  if (transport === 'docker' && rest.length > 2 && rest.startsWith('//')) return { kind: 'name', name: rest.slice(2) };
  if (transport === 'dir' || transport === 'aci' || (transport !== undefined && WITH_TAG.has(transport))) {
    if (rest === '') throw new VmmError('IMAGE_REFERENCE', `${text} names no file`, { hint: `give ${REFERENCE_FORMS}` });
    if (transport === 'aci' && !/^[./]/.test(rest) && !exists(rest)) return { kind: 'aci-name', name: rest };
    if (transport === 'dir' || transport === 'aci') return { kind: transport, path: rest };
    const { path, tag } = splitTag(rest, exists);
    if (path === '' || tag === '') throw new VmmError('IMAGE_REFERENCE', `${text} has an empty ${path === '' ? 'path' : 'tag'}`, { hint: `give ${REFERENCE_FORMS}` });
    return { kind: transport as 'oci', path, tag };
  }
  if (/^https?:\/\//.test(text)) return { kind: 'aci-url', name: text };
  if (text.startsWith('/') || text.startsWith('.') || exists(text)) return { kind: 'path', path: text };
  return { kind: 'name', name: text };
}

/** `PATH[:TAG]`: the path is the longest beginning that exists and ends at a colon or the text's end; else it ends at the first colon. */
function splitTag(text: string, exists: (path: string) => boolean): { path: string; tag: string | undefined } {
  if (exists(text)) return { path: text, tag: undefined };
  const cut = (colon: number): { path: string; tag: string } => ({ path: text.slice(0, colon), tag: text.slice(colon + 1) });
  for (let colon = text.lastIndexOf(':'); colon > 0; colon = text.lastIndexOf(':', colon - 1)) {
    if (exists(text.slice(0, colon))) return cut(colon);
  }
  const first = text.indexOf(':');
  return first < 0 ? { path: text, tag: undefined } : cut(first);
}
