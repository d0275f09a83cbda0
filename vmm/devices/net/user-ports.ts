/** Ports of the host's that lead to a guest of the user-mode network's. They are taken before the machine runs, and kept over its resets. */
import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server } from 'node:net';
import type { Gateway } from '../../gateway/gateway.ts';
import { firstFree } from './passt.ts';
import type { PublishedPort } from './spec.ts';

const BACKLOG = 4096;
/** What a host without IPv6 says of an address of it. */
const NO_IPV6: ReadonlySet<string> = new Set(['EAFNOSUPPORT', 'EADDRNOTAVAIL', 'EINVAL']);

export class PublishedPorts {
  readonly #arrived: (accept: (gateway: Gateway) => void) => void;
  readonly #open: (Server | UdpSocket)[] = [];

  constructor(arrived: (accept: (gateway: Gateway) => void) => void) {
    this.#arrived = arrived;
  }

  /** Its number, and where. Rejects with NET_PORT. Without an address those of both families are taken, where the host has both. */
  async take(port: PublishedPort): Promise<Pick<PublishedPort, 'host' | 'address'>> {
    return firstFree(port, async (one) => {
      const { address } = one;
      try {
        return { host: await this.#take(one, address ?? '::'), address };
      } catch (error) {
        if (address !== undefined || !NO_IPV6.has((error as NodeJS.ErrnoException).code ?? '')) throw error;
      }
      return { host: await this.#take(one, '0.0.0.0'), address: '0.0.0.0' };
    });
  }

  async #take(port: PublishedPort, address: string): Promise<number> {
    const open = port.protocol === 'tcp' ? await this.#tcp(port, address) : await this.#udp(port, address);
    this.#open.push(open);
    open.unref();
    return (open.address() as AddressInfo).port;
  }

  async #tcp({ host, guest }: PublishedPort, address: string): Promise<Server> {
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => {
      socket.on('error', () => {});
      this.#arrived((gateway) => {
        if (!gateway.accept(socket, guest)) socket.resetAndDestroy();
      });
    });
    server.listen({ port: host, host: address, backlog: BACKLOG, exclusive: true });
    await once(server, 'listening');
    server.on('error', () => {}); // no descriptor for one more
    return server;
  }

  async #udp({ host, guest }: PublishedPort, address: string): Promise<UdpSocket> {
    const socket = createSocket({ type: address.includes(':') ? 'udp6' : 'udp4' });
    socket.on('message', (message, from) => {
      this.#arrived((gateway) => gateway.datagram(message, from, guest, (answer) => socket.send(answer, from.port, from.address, () => {})));
    });
    socket.bind({ port: host, address, exclusive: true });
    await once(socket, 'listening');
    socket.on('error', () => {});
    return socket;
  }

  close(): void {
    for (const one of this.#open) one.close();
  }
}
