/** The host's ports that lead into a pod (App Container specification 0.8.11, "Pod Manifest Schema", ports). */
import { VmmError } from '../../base/errors.ts';
import type { App } from '../../image/appc/schema/app.ts';
import type { ExposedPort } from '../../image/appc/schema/pod-manifest.ts';

export interface PodPort {
  readonly protocol: 'tcp' | 'udp';
  readonly address: string | undefined;
  readonly host: number;
  readonly guest: number;
}

/** An exposed port with the pod's own that it leads to; `protocol` is `tcp` where the manifest leaves it empty. */
export interface NamedPort {
  readonly exposed: ExposedPort;
  readonly protocol: string;
  readonly port: number;
}

/** Each exposed port is that of the app which has one of its name, unless it says one itself. Throws POD_APP. */
export function namedPorts(ports: readonly ExposedPort[], apps: readonly App[]): NamedPort[] {
  return ports.map((exposed) => {
    const { name, podPort } = exposed;
    const named = apps.flatMap((app) => app.ports.filter((port) => port.name === name));
    const port = podPort ?? named[0];
    if (port === undefined) throw new VmmError('POD_APP', `port ${name} of the pod: no app has a port of that name`, { hint: 'name one that an app lists, or give podPort' });
    if (podPort === undefined && named.length > 1) throw new VmmError('POD_APP', `port ${name} of the pod: ${named.length} apps have a port of that name`, { hint: 'give podPort' });
    return { exposed, protocol: port.protocol === '' ? 'tcp' : port.protocol, port: port.port };
  });
}

/** Those that a network card's cable can publish. Throws POD_APP. */
export function podPorts(ports: readonly ExposedPort[], apps: readonly App[]): PodPort[] {
  return namedPorts(ports, apps).map(({ exposed: { name, hostPort, hostIP }, protocol, port }) => {
    if (protocol !== 'tcp' && protocol !== 'udp') throw new VmmError('POD_APP', `port ${name} of the pod: the protocol ${JSON.stringify(protocol.slice(0, 50))} cannot be published`, { hint: 'tcp and udp can' });
    return { protocol, address: hostIP, host: hostPort, guest: port };
  });
}
