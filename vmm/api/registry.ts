/** Registries: loaded by who talks to one, no stored image's run does. */
export { findReferrers, listTags } from '../../image/look.ts';
export { type Pulled, type PullOptions, pullImage } from '../../image/pull.ts';
export { type Pushed, type PushOptions, pushImage } from '../../image/push.ts';
export { login, loginOf, logout, logoutAll, registryOf } from '../../image/registry/login.ts';
