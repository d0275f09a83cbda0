/** rkt's metadata service (`rkt metadata-service`): pods of the host ask over TCP, stage0 registers them at a Unix socket. */
import { chmodSync, lstatSync, mkdirSync, rmSync } from 'node:fs';
import type { Server } from 'node:http';
import { createConnection } from 'node:net';
import { dirname } from 'node:path';
import { VmmError } from '../../base/errors.ts';
import { MetadataRegistry } from './registry.ts';
import { limited, metadataServer } from './server.ts';

export interface HostMetadataOptions {
  readonly key: Uint8Array;
  readonly socket: string;
  readonly port: number;
  /** A descriptor of that socket that listens already (systemd's socket activation, sd_listen_fds(3)). */
  readonly descriptor?: number | undefined;
}

/** Serves until `close`. Throws METADATA_SERVICE. */
export async function serveHostMetadata({ key, socket, port, descriptor }: HostMetadataOptions): Promise<{ readonly port: number; close(): void }> {
  const registry = new MetadataRegistry();
  const register = limited((request) => registry.register(request));
  const serve = metadataServer((token) => registry.pod(token), key);
  if (descriptor === undefined) await ownSocket(register, socket);
  else await listening(register, { fd: descriptor }, socket);
  try {
    await listening(serve, { port }, `port ${port}`);
  } catch (error) {
    register.close();
    throw error;
  }
  const bound = serve.address();
  return {
    port: typeof bound === 'object' && bound !== null ? bound.port : port,
    close: () => {
      for (const server of [register, serve]) {
        server.close();
        server.closeAllConnections();
      }
    },
  };
}

/** A socket that nobody listens at any more is replaced; one that is served is an error. */
async function ownSocket(server: Server, path: string): Promise<void> {
  mkdirSync(dirname(path), { recursive: true });
  const old = lstatSync(path, { throwIfNoEntry: false });
  if (old !== undefined && !old.isSocket()) throw new VmmError('METADATA_SERVICE', `${path} is no socket`, { hint: 'remove it, or give another path' });
  if (old !== undefined) {
    if (await isServed(path)) throw new VmmError('METADATA_SERVICE', `${path} is served by another process`, { hint: 'end that one first, rkt’s own or vmm’s' });
    rmSync(path, { force: true });
  }
  await listening(server, { path }, path);
  // Who registers a pod chooses its token: that is root's alone.
  chmodSync(path, 0o600);
}

function isServed(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const connection = createConnection(path, () => {
      connection.destroy();
      resolve(true);
    });
    connection.on('error', () => resolve(false));
  });
}

function listening(server: Server, at: { readonly path: string } | { readonly port: number } | { readonly fd: number }, what: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => reject(new VmmError('METADATA_SERVICE', `${what} cannot be listened at: ${cause.code}`, { cause, hint: 'see --listen-port and --socket' })));
    server.listen(at, resolve);
  });
}
