/** Registries: loaded by who talks to one, no stored image's run does. */
export { type Pulled, type PullOptions, pullImage } from '../../image/pull.ts';
export { withRegistry } from '../../image/registry/endpoints.ts';
export { login, logout, registryOf } from '../../image/registry/login.ts';
export { parseRegistryName } from '../../image/registry/name.ts';
