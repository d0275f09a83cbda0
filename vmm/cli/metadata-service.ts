/** `vmm metadata-service`: takes the place of `rkt metadata-service` (docs/rkt.md). */
import { VmmError } from '../api/errors.ts';
import { metadataKey, serveHostMetadata } from '../api/metadata.ts';
import { HELP } from './common-options.ts';
import { type Command, value } from './options.ts';
import { tell } from './output.ts';
import { subcommand } from './subcommand.ts';

const OPTIONS = {
  listenPort: value('PORT', 'where pods ask, on all addresses of the host', port),
  socket: value('PATH', 'where rkt registers pods', undefined),
  help: HELP,
};
export const METADATA_SERVICE: Command<typeof OPTIONS> = {
  name: 'metadata-service',
  synopsis: '[OPTIONS]',
  about: 'Serves the metadata of pods that `rkt run --mds-register` registers, as `rkt metadata-service` does, until SIGTERM or SIGINT. Signatures are made and verified by this host’s key, which pods with a service of their own use too.',
  options: OPTIONS,
};

/** rkt's. */
const LISTEN_PORT = 18112;
const SOCKET = '/run/rkt/metadata-svc.sock';
/** SD_LISTEN_FDS_START of sd_listen_fds(3). */
const FIRST_DESCRIPTOR = 3;

function port(text: string): number {
  if (!/^\d{1,5}$/.test(text) || Number(text) > 65_535) throw new VmmError('USAGE', `--listen-port: ${JSON.stringify(text.slice(0, 50))} is no port`, { hint: 'give 0 to 65535; 0 takes a free one' });
  return Number(text);
}

const { start } = subcommand(METADATA_SERVICE, [0, 0, 'no argument'], async (_operands, { listenPort, socket }) => {
  const given = process.env['LISTEN_PID'] === `${process.pid}` && Number(process.env['LISTEN_FDS']) >= 1;
  const service = await serveHostMetadata({ key: metadataKey(), socket: socket ?? SOCKET, port: listenPort ?? LISTEN_PORT, descriptor: given ? FIRST_DESCRIPTOR : undefined });
  tell(`vmm: metadata service: pods ask at port ${service.port}, rkt registers them at ${given ? 'the socket it was given' : (socket ?? SOCKET)}\n`);
  await new Promise<void>((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.once(signal, () => resolve());
  });
  service.close();
  return 0;
});
export const metadataServiceCommand = start;
