/** An HTTPS server on a loopback address with a certificate of its own CA, whose answers a test writes. */
import { readFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { certificates } from '../../support/images/registry.ts';

export type Answer = string | Uint8Array | { readonly status?: number; readonly headers?: Readonly<Record<string, string>>; readonly body?: string | Uint8Array } | ((request: IncomingMessage, response: ServerResponse) => void);

export interface WebServer {
  readonly port: number;
  readonly host: string;
  /** The CA's certificate, a file. */
  readonly ca: string;
  /** By path; what is not there is 404. */
  readonly pages: Record<string, Answer>;
  /** What was asked for: path and query. */
  readonly asked: string[];
  stop(): Promise<void>;
}

export async function webServer(folder: string, host = '127.0.0.1', port = 0): Promise<WebServer> {
  const { ca, cert, key } = certificates(folder, host);
  const pages: Record<string, Answer> = {};
  const asked: string[] = [];
  const server = createServer({ cert: readFileSync(cert), key: readFileSync(key) }, (request, response) => {
    asked.push(request.url ?? '');
    const answer = pages[new URL(request.url ?? '', 'https://x').pathname];
    if (answer === undefined) response.writeHead(404).end();
    else if (typeof answer === 'function') answer(request, response);
    else if (typeof answer === 'string' || answer instanceof Uint8Array) response.writeHead(200).end(answer);
    else response.writeHead(answer.status ?? 200, answer.headers).end(answer.body);
  }).listen(port, host);
  await new Promise((resolve, reject) => {
    server.once('listening', resolve);
    server.once('error', reject);
  });
  return {
    port: (server.address() as AddressInfo).port, host, ca, pages, asked,
    stop: () => new Promise((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    }),
  };
}
