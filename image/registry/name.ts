import { VmmError } from '../../base/errors.ts';

/** An image of a registry (the reference grammar of github.com/distribution/reference, with Docker's short names). */
export interface RegistryName {
  /** Host, perhaps with a port; `docker.io` for Docker Hub. */
  readonly registry: string;
  /** `library/debian`. */
  readonly repository: string;
  readonly tag: string | undefined;
  /** `sha256:HEX` or `sha512:HEX`; counts before the tag. */
  readonly digest: string | undefined;
}

const COMPONENT = '[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*';
const REPOSITORY = new RegExp(`^${COMPONENT}(?:/${COMPONENT})*$`);
const LABEL = '(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])';
const HOST = new RegExp(`^(?:${LABEL}(?:\\.${LABEL})*|\\[[0-9a-fA-F:]+\\])(?::[0-9]{1,5})?$`);
const TAG = /^\w[\w.-]{0,127}$/;
const DIGEST = /^(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$/;
const MAX_LENGTH = 255;

/** Reads a name as Docker does. Throws IMAGE_REFERENCE. */
export function parseRegistryName(text: string): RegistryName {
  const at = text.indexOf('@');
  const digest = at < 0 ? undefined : text.slice(at + 1);
  const rest = at < 0 ? text : text.slice(0, at);
  if (digest !== undefined && !DIGEST.test(digest)) throw bad(text, 'has a digest that is none');
  const slash = rest.indexOf('/');
  const first = slash < 0 ? '' : rest.slice(0, slash);
  const isHost = /[.:[]/.test(first) || first === 'localhost' || first !== first.toLowerCase();
  const registry = !isHost || first === 'index.docker.io' ? 'docker.io' : first;
  const path = isHost ? rest.slice(slash + 1) : rest;
  const colon = path.lastIndexOf(':');
  const tag = colon < 0 ? undefined : path.slice(colon + 1);
  const own = colon < 0 ? path : path.slice(0, colon);
  const repository = registry === 'docker.io' && !own.includes('/') ? `library/${own}` : own;
  if (!HOST.test(registry)) throw bad(text, 'names no host');
  if (!REPOSITORY.test(repository)) throw bad(text, own === own.toLowerCase() ? 'is no name of a repository' : 'must be in lower case');
  if (registry.length + repository.length >= MAX_LENGTH) throw bad(text, `is longer than ${MAX_LENGTH} characters`);
  if (tag !== undefined && !TAG.test(tag)) throw bad(text, 'has a tag that is none');
  return { registry, repository, tag, digest };
}

/** The name in full, as the store keeps it. */
export function fullName({ registry, repository, tag, digest }: RegistryName): string {
  return `${registry}/${repository}${digest === undefined ? `:${tag ?? 'latest'}` : `@${digest}`}`;
}

/** What a manifest is asked for by. */
export function manifestReference({ tag, digest }: RegistryName): string {
  return digest ?? tag ?? 'latest';
}

function bad(text: string, why: string): VmmError {
  return new VmmError('IMAGE_REFERENCE', `${JSON.stringify(text.slice(0, 300))} ${why}`, { hint: 'for example debian:12, ghcr.io/owner/image:tag' });
}
