import type { Worker } from 'node:worker_threads';
import { VmmError } from '../api/errors.ts';
import { adoptThread } from '../api/threads.ts';
import { print, tell } from './output.ts';
import { RUN_HERE } from './owner-ask.ts';
import { runProgram } from './program.ts';
import { STATUS_VMM_ERROR } from './status.ts';

/** The thread that the door (bin/vmm.js) has started already. */
declare const __thread: Worker | undefined;

const HELP = `Usage: vmm COMMAND [OPTIONS]

Runs containers and kernels in virtual machines.

Commands:
  run IMAGE [CMD…]   run a container image in a machine of its own
  create, start, restart, rename, update, rm, diff, export, commit
                     containers that are kept
  ps, logs, stop, kill, wait, inspect
                     what they do, and their ends
  events             what happens to containers
  exec, attach       another command in one of them; their own streams
  cp                 copy files to and from them
  device             give one that runs directories, disks and network cards, and take them away
  pause, unpause, stats, top, port
                     freeze them, and see what they do and use
  container prune    remove all that do not run; \`container COMMAND\` is COMMAND
  boot               boot a kernel
  image              list, import, inspect and remove stored images
  volume             make, list, inspect and remove named volumes
  pull NAME          fetch an image from its registry
  push IMAGE [NAME]  give a stored image to a registry
  aci                make, check and change app container images (appc)
  trust              inspect, make and revoke signatures of tags
  login, logout      keep or forget a registry's login
  metadata-service   serve the metadata of rkt’s pods
  bench              measure starts, of this VMM and of others
  accel              say which accelerators work here, and why not
  info, system       what there is here; system df, prune, events, info
  completion SHELL   print what makes bash, zsh or fish complete command lines
  version            print the version

\`vmm COMMAND --help\` tells a command's options.
`;

/** Each command is loaded when it is asked for: start-up time is a feature. */
async function dispatch(argv: readonly string[]): Promise<number> {
  const [command, ...rest] = argv;
  switch (command) {
    case 'run':
      return (await import('./run.ts')).runCommand(rest);
    case RUN_HERE:
      return (await import('./run.ts')).runCommand(rest, true);
    case 'boot':
      return (await import('./boot.ts')).bootCommand(rest);
    case 'ps':
    case 'logs':
    case 'stop':
    case 'kill':
    case 'wait':
    case 'exec':
    case 'attach':
    case 'pause':
    case 'unpause':
    case 'stats':
    case 'port':
    case 'top':
      return (await import('./containers.ts')).containersCommand(command, rest);
    case 'device':
      return (await import('./device.ts')).deviceCommand(rest);
    case 'cp':
      return (await import('./cp.ts')).CP_COMMAND.start(rest);
    case 'create':
    case 'start':
    case 'restart':
    case 'rename':
    case 'rm':
    case 'diff':
    case 'export':
    case 'commit':
    case 'inspect':
    case 'events':
    case 'update':
      return (await import('./life.ts')).lifeCommand(command, rest);
    case 'container':
      return rest[0] === 'prune' ? (await import('./life.ts')).lifeCommand('container prune', rest.slice(1)) : containerWord(rest);
    case 'owner':
      return (await import('./owner-start.ts')).ownerCommand(rest);
    case 'image':
    case 'images':
      return (await import('./image.ts')).imageCommand(command === 'images' ? ['ls', ...rest] : rest);
    case 'rmi':
      return (await import('./image.ts')).imageCommand(['rm', ...rest]);
    case 'tag':
    case 'load':
    case 'save':
    case 'import':
    case 'history':
      return (await import('./image.ts')).imageCommand(argv);
    case 'volume':
      return (await import('./volume.ts')).volumeCommand(rest);
    case 'pull':
      return (await import('./pull.ts')).pullCommand(rest);
    case 'push':
      return (await import('./push.ts')).pushCommand(rest);
    case 'aci':
      return (await import('./aci.ts')).aciCommand(rest);
    case 'trust':
      return (await import('./trust.ts')).trustCommand(rest);
    case 'login':
      return (await import('./login.ts')).loginCommand(rest);
    case 'logout':
      return (await import('./login.ts')).logoutCommand(rest);
    case 'metadata-service':
      return (await import('./metadata-service.ts')).metadataServiceCommand(rest);
    case 'accel':
      return (await import('./accel.ts')).accelCommand(rest);
    case 'info':
      return (await import('./system.ts')).systemCommand(argv);
    case 'system':
      return (await import('./system.ts')).systemCommand(rest);
    case 'completion':
      return (await import('./completion.ts')).completionCommand(rest);
    case 'bench':
      return (await import('./bench.ts')).benchCommand(rest);
    case 'version':
    case '--version':
    case '-v':
      print(`vmm ${(await import('./version.ts')).VERSION}\n`);
      return 0;
    case 'help':
    case '--help':
    case '-h':
      print(HELP);
      return 0;
    case undefined:
      tell(HELP);
      return STATUS_VMM_ERROR;
    default:
      throw (await import('./docker-words.ts')).unknownCommand(command);
  }
}

/** Docker's long names: `vmm container ls`. */
const CONTAINER_WORDS = ['attach', 'commit', 'cp', 'create', 'diff', 'exec', 'export', 'inspect', 'kill', 'logs', 'pause', 'port', 'ps', 'rename', 'restart', 'rm', 'run', 'start', 'stats', 'stop', 'top', 'unpause', 'update', 'wait'];

function containerWord([word = '', ...rest]: readonly string[]): Promise<number> {
  if (word === 'help' || word === '--help' || word === '-h') {
    print(`Usage: vmm container COMMAND\n\nCommands: ls, prune, ${CONTAINER_WORDS.join(', ')}\n\n\`vmm COMMAND --help\` tells a command's options.\n`);
    return Promise.resolve(0);
  }
  const name = word === 'ls' || word === 'list' ? 'ps' : word;
  if (!CONTAINER_WORDS.includes(name)) throw new VmmError('USAGE', word === '' ? 'container needs a command' : `unknown command container ${word}`, { hint: `ls, prune, ${CONTAINER_WORDS.join(', ')}` });
  return dispatch([name, ...rest]);
}

// No await here: the bundle is CommonJS, which Node reads in one go and whose compiled code it can keep (bin/vmm.js).
void runProgram((argv) => {
  if (__thread !== undefined) adoptThread(__thread);
  return dispatch(argv);
});
