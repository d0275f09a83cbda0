/**
 * Sockets that rkt was started with (sd_listen_fds(3)). They are the host's, and a guest cannot have them: init gives the app one of its own at its port, and each
 * connection that comes to the host's goes on there.
 */
import { type AddressInfo, createServer, type Server } from 'node:net';
import type { App } from '../../image/appc/schema/app.ts';
import type { PodManifest } from '../../image/appc/schema/pod-manifest.ts';
import { activatedPorts, type PodRun } from '../../vmm/api/pods.ts';
import { builtinSpec, relay } from '../../vmm/api/containers.ts';
import { oneLine } from '../common/failure.ts';

const FIRST = 3;
const MOST_SOCKETS = 64;
/** At once, of each socket; one more is closed. */
const MOST_CONNECTIONS = 64;

/** An app's port with the host's number for it. */
export interface ActivatedPort {
  readonly app: string;
  readonly host: number;
  readonly guest: number;
}

/** rkt's rule: a socket is known by its number, which is that of `--port`, else the app's own. Throws POD_APP. */
export function activations({ apps: entries, ports }: PodManifest, apps: readonly App[]): ActivatedPort[] {
  return apps.flatMap((app, index) => {
    const name = entries[index]?.name ?? '';
    return activatedPorts(name, app).map((port) => ({ app: name, guest: port.port, host: ports.find((exposed) => exposed.name === port.name)?.hostPort ?? port.port }));
  });
}

/** Listens on the sockets that are for this process, until `close`. */
export class Activation {
  readonly #servers: Server[] = [];

  /** `note` is told of a socket that no app is for. */
  async open(ports: readonly ActivatedPort[], run: PodRun, note: (text: string) => void, env: NodeJS.ProcessEnv = process.env): Promise<void> {
    if (env['LISTEN_PID'] !== String(process.pid)) return;
    const count = /^\d{1,4}$/.test(env['LISTEN_FDS'] ?? '') ? Number(env['LISTEN_FDS']) : 0;
    if (count > MOST_SOCKETS) note(`LISTEN_FDS: ${count} sockets, ${MOST_SOCKETS} of them are looked at`);
    for (let fd = FIRST; fd < FIRST + Math.min(count, MOST_SOCKETS); fd++) {
      let server: Server;
      let number: number | undefined;
      try {
        server = await listening(fd);
        number = (server.address() as AddressInfo | null)?.port;
      } catch (error) {
        note(`LISTEN_FDS: descriptor ${fd} is no socket that listens: ${oneLine((error as NodeJS.ErrnoException).code ?? (error as Error).message)}`);
        continue;
      }
      const port = ports.find(({ host }) => host === number);
      if (port === undefined) {
        note(`LISTEN_FDS: no app has a port ${number ?? '(none)'} with socketActivated for descriptor ${fd}`);
        server.close();
        continue;
      }
      this.#servers.push(server);
      server.on('connection', (socket) => {
        socket.on('error', () => {});
        // The pod may still be booting.
        void run.settled(port.app).then(() => relay(socket, run.exec(port.app, () => builtinSpec(['connect', `${port.guest}`], true)))).catch(() => socket.resetAndDestroy());
      });
    }
  }

  close(): void {
    for (const server of this.#servers) server.close();
  }
}

async function listening(fd: number): Promise<Server> {
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true });
  server.maxConnections = MOST_CONNECTIONS;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject).listen({ fd }, resolve);
  await promise;
  return server.off('error', reject).on('error', () => {});
}
