/** Commands of docker that vmm does not have, and why: as docs/docker-options.md says it. */
import { VmmError } from '../api/errors.ts';

const SWARM = 'of swarms: there are none here';
const INSTEAD: Readonly<Record<string, string>> = {
  build: 'there is no builder: podman build, or `vmm commit --change`',
  builder: 'there is no builder: podman build, or `vmm commit --change`',
  buildx: 'there is no builder: podman build, or `vmm commit --change`',
  compose: 'several containers of one machine are a pod: `vmm run --pod`',
  config: SWARM,
  context: 'there is no daemon to choose',
  manifest: 'images for several platforms are not made here',
  network: 'networks are options of a run: see docs/networks.md',
  node: SWARM,
  plugin: 'there is no daemon to plug into',
  search: 'that is the Hub’s own interface; `vmm image tags NAME` asks any registry for the tags of a name',
  secret: SWARM,
  service: SWARM,
  stack: SWARM,
  swarm: SWARM,
};

export function unknownCommand(word: string): VmmError {
  const instead = Object.hasOwn(INSTEAD, word) ? INSTEAD[word] : undefined;
  return new VmmError('USAGE', `unknown command ${word}`, { hint: instead ?? 'commands: run, boot, create, start, restart, rename, update, rm, diff, export, commit, ps, logs, stop, kill, wait, inspect, events, exec, attach, pause, unpause, stats, port, top, cp, device, container, image, images, rmi, tag, load, save, import, history, volume, pull, push, aci, trust, login, logout, metadata-service, accel, info, system, bench, completion, version, help' });
}
