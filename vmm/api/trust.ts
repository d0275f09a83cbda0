/** Docker Content Trust and the policy file: loaded by who asks for it. */
export { explainPolicy } from '../../image/explain.ts';
export { contentTrustName, inspectTrust } from '../../image/trust/notary/inspect.ts';
export { loadKeyFile, type Passphrase, PrivateKeys, publicKeyPem } from '../../image/trust/notary/private-keys.ts';
export { revokeTag, signTag } from '../../image/trust/notary/sign.ts';
