/** The metadata service of a host, for rkt's pods. */
export { serveHostMetadata } from '../metadata/host.ts';
export { metadataKey } from '../metadata/key.ts';
