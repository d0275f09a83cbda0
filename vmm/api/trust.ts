/** Docker Content Trust: loaded by who asks for it. */
export { contentTrustName, inspectTrust } from '../../image/trust/notary/inspect.ts';
export { loadKeyFile, type Passphrase, PrivateKeys, publicKeyPem } from '../../image/trust/notary/private-keys.ts';
export { revokeTag, signTag } from '../../image/trust/notary/sign.ts';
