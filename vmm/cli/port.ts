import { VmmError } from '../api/errors.ts';
import { type Container, type ContainerPort, runs, StateFolder } from '../api/owner.ts';
import { HELP } from './common-options.ts';
import { print } from './output.ts';
import { ROOT } from './state-option.ts';
import { type Subcommand, subcommand } from './subcommand.ts';

/** Any address is of both families. */
function hostText({ address, host }: ContainerPort): string {
  return address === undefined ? `0.0.0.0:${host}, [::]:${host}` : address.includes(':') ? `[${address}]:${host}` : `${address}:${host}`;
}

/** Of one that runs. */
export function portsOf({ life, record }: Container): readonly ContainerPort[] {
  return life?.ports ?? record.ports ?? [];
}

/** As in Docker's list: `0.0.0.0:8080->80/tcp`. */
export function portText(port: ContainerPort): string {
  return hostText(port).split(', ').map((host) => `${host}->${port.guest}/${port.protocol}`).join(', ');
}

export const PORT_COMMAND: Subcommand = subcommand({ name: 'port', synopsis: 'CONTAINER [PORT[/PROTOCOL]]', about: 'Prints which ports of the host lead to a container.', options: { root: ROOT, help: HELP } }, [1, 2, 'a container, and one of its ports'], async ([name = '', wanted], { root }) => {
  const one = await new StateFolder(root).find(name);
  const ports = runs(one) ? portsOf(one) : [];
  if (wanted === undefined) {
    print(ports.flatMap((port) => hostText(port).split(', ').map((host) => `${port.guest}/${port.protocol} -> ${host}\n`)).join(''));
    return 0;
  }
  const [number, protocol = 'tcp'] = wanted.split('/');
  const found = ports.filter((port) => `${port.guest}` === number && port.protocol === protocol);
  if (found.length === 0) throw new VmmError('CONTAINER_PORT', `port ${number}/${protocol} of container ${name} is not published`, { hint: '`vmm port CONTAINER` lists those that are' });
  print(found.flatMap((port) => hostText(port).split(', ').map((host) => `${host}\n`)).join(''));
  return 0;
});
