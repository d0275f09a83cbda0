import { fullName, parseRegistryName, type RegistryName } from '../../registry/name.ts';

/** Whose name a signature has to bear (containers-policy.json(5), `signedIdentity`). */
export interface Identity {
  /** `matchDigest` is ours: that of any name. */
  readonly type: 'matchDigest' | 'matchExact' | 'matchRepoDigestOrExact' | 'matchRepository' | 'exactReference' | 'exactRepository' | 'remapIdentity';
  /** dockerReference, dockerRepository or prefix. */
  readonly reference: string;
  readonly signedPrefix: string;
}

/** Whether a signature's name fits the image's. */
export function matches(signed: string, name: RegistryName, { type, reference, signedPrefix }: Identity): boolean {
  if (type === 'matchDigest') return true;
  const theirs = tryParse(signed);
  if (theirs === undefined) return false;
  const own = fullName(name);
  switch (type) {
    case 'matchExact':
      return explicit(signed) && fullName(theirs) === own;
    case 'matchRepoDigestOrExact':
      return name.digest === undefined ? explicit(signed) && fullName(theirs) === own : repositoryOf(theirs) === repositoryOf(name);
    case 'matchRepository':
      return repositoryOf(theirs) === repositoryOf(name);
    case 'exactReference': {
      const wanted = tryParse(reference);
      return wanted !== undefined && explicit(signed) && fullName(wanted) === fullName(theirs);
    }
    case 'exactRepository': {
      const wanted = tryParse(reference);
      return wanted !== undefined && repositoryOf(wanted) === repositoryOf(theirs);
    }
    default: {
      const remapped = own === reference || own.startsWith(`${reference}/`) || own.startsWith(`${reference}:`) || own.startsWith(`${reference}@`) ? tryParse(signedPrefix + own.slice(reference.length)) : name;
      if (remapped === undefined) return false;
      return remapped.digest === undefined ? explicit(signed) && fullName(remapped) === fullName(theirs) : repositoryOf(remapped) === repositoryOf(theirs);
    }
  }
}

/** A signature for a whole repository, as cosign makes them, is none for a tag. */
function explicit(text: string): boolean {
  const name = tryParse(text);
  return name?.tag !== undefined || name?.digest !== undefined;
}

function repositoryOf({ registry, repository }: RegistryName): string {
  return `${registry}/${repository}`;
}

function tryParse(text: string): RegistryName | undefined {
  try {
    return parseRegistryName(text);
  } catch {
    return undefined;
  }
}
