import { VmmError } from '../../../base/errors.ts';
import { fullName, parseRegistryName, type RegistryName } from '../../registry/name.ts';
import { delegationsOf, type SignedDocument, signersOf, targetNames } from './metadata.ts';
import { findTarget } from './repository.ts';
import { type TrustOptions, trustDataOf } from './resolve.ts';

/** The signed tags of a repository, or one of them, and whose keys may sign, in the form of `docker trust inspect`. Throws TRUST_*, REGISTRY_*. */
export async function inspectTrust(name: RegistryName, oneTag: boolean, options: TrustOptions): Promise<Record<string, unknown>> {
  const data = await trustDataOf(name, options);
  const targets = data.targets.get('targets') as SignedDocument;
  const delegations = delegationsOf(targets, 'targets');
  const tags = new Set([...data.targets.values()].flatMap(targetNames));
  const signed = [...tags].sort().filter((tag) => !oneTag || tag === (name.tag ?? 'latest')).flatMap((tag) => {
    const target = findTarget(data, tag);
    if (target === undefined) return [];
    const signers = [...data.targets].filter(([role, document]) => /^targets\/(?!releases$)[^/]+$/.test(role) && targetNames(document).includes(tag)).map(([role]) => role.slice('targets/'.length));
    return [{ SignedTag: tag, Digest: target.digest.replace(/^sha256:/, ''), Signers: signers.length > 0 || target.role !== 'targets' ? signers.sort() : ['Repo Admin'] }];
  });
  const keysOf = (role: 'root' | 'targets'): { ID: string }[] => [...signersOf(data.root, role).keys.keys()].map((id) => ({ ID: id }));
  return {
    Name: oneTag ? fullName(name) : `${name.registry}/${name.repository}`,
    SignedTags: signed,
    Signers: delegations.filter(({ name: role }) => role !== 'targets/releases').map(({ name: role, keys }) => ({ Name: role.slice('targets/'.length), Keys: [...keys.keys()].map((id) => ({ ID: id })) })),
    AdministrativeKeys: [{ Name: 'Root', Keys: keysOf('root') }, { Name: 'Repository', Keys: keysOf('targets') }],
  };
}

/** The name that content trust is about, and whether a user named a tag of it. Throws IMAGE_REFERENCE. */
export function contentTrustName(text: string): { name: RegistryName; oneTag: boolean } {
  const name = parseRegistryName(text);
  if (name.digest !== undefined) throw new VmmError('USAGE', `${text}: content trust is about tags`, { hint: 'a digest is its own word' });
  return { name, oneTag: name.tag !== undefined };
}
