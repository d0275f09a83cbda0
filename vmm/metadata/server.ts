/** HTTP around the answers. What asks is a guest, or whoever reaches the host's port: nothing of it is trusted, all of it is bounded. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type Answer, answer, FORM_MAX, type PodDocument } from './answers.ts';

/** How long a connection may take for a request, or do nothing, ms. */
const IDLE_MS = 10_000;

/** A server whose pods are named by the path's first part; it listens to nothing yet. */
export function metadataServer(pod: (token: string) => PodDocument | undefined, key: Uint8Array): Server {
  return limited(async (request) => {
    const [, token = '', path = ''] = /^\/([^/?]+)(\/[^?]*)/.exec(request.url ?? '') ?? [];
    const found = pod(token);
    const form = await bodyOf(request, FORM_MAX);
    if (form === undefined) return { status: 413, body: `a form of at most ${FORM_MAX} bytes is taken\n` };
    if (found === undefined) return { status: 404, body: 'not found\n' };
    return answer(found, key, request.method ?? '', path, form.toString('latin1'));
  });
}

/** A server that answers by one function and keeps nothing of what it cannot answer. */
export function limited(work: (request: IncomingMessage) => Promise<Answer>): Server {
  const server = createServer({ requestTimeout: IDLE_MS, headersTimeout: IDLE_MS, keepAliveTimeout: IDLE_MS }, (request, response) => {
    request.on('error', () => {});
    response.on('error', () => {});
    work(request).then((reply) => send(response, reply), () => send(response, { status: 400, body: 'a bad request\n' }));
  });
  server.on('clientError', (_error, socket) => socket.destroy());
  return server;
}

function send(response: ServerResponse, { status, type, body }: Answer): void {
  response.writeHead(status, { 'Content-Type': type ?? 'text/plain; charset=us-ascii', 'Content-Length': Buffer.byteLength(body) });
  response.end(body);
}

/** undefined: longer than `max`; the rest of it is thrown away. */
export async function bodyOf(request: IncomingMessage, max: number): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > max) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
