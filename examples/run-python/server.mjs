/**
 * An HTTP endpoint that runs Python of people whom nobody knows.
 *
 *   IMAGE=python:3.13-slim PORT=8080 node server.mjs
 *   curl --data-binary 'print(6 * 7)' http://127.0.0.1:8080/run
 *
 * Each request has a machine of its own, which is gone with the answer: no network, no more memory, time and output than is said here, no root, and no file that
 * stays. Who goes away has their machine stopped. As many machines run as MACHINES says; as many requests wait for one, and more are told to come back.
 */
import { createServer } from 'node:http';
import { fileURLToPath } from 'node:url';
import { Sandbox, VmmError } from 'vmm';

const MACHINES = 2;
const WAITING = 16;
const MAX_CODE = 64 << 10;
const MAX_OUTPUT = 64 << 10;
/** Of the code, and of all that a request takes, ms. */
const CODE_MS = 10_000;
const REQUEST_MS = 60_000;

/** @typedef {{status: number, stdout: string, stderr: string, timedOut: boolean, truncated: boolean}} Ran */

/**
 * @param {string} image
 * @param {Buffer} code
 * @param {AbortSignal} signal
 * @param {number} codeMs
 * @returns {Promise<Ran>}
 */
async function runPython(image, code, signal, codeMs) {
  await using box = await Sandbox.create({ image, memory: 256, network: 'none', user: '65534:65534', workdir: '/tmp', readOnly: true, volumes: { '/tmp': { tmpfs: { size: 32 << 20 } } }, timeout: REQUEST_MS, signal });
  await box.files.write('/tmp/main.py', code, { signal });
  const { status, stdout, stderr, timedOut, truncated } = await box.exec('python3', ['-I', '/tmp/main.py'], { timeout: codeMs, maxOutput: MAX_OUTPUT, signal });
  return { status, stdout, stderr, timedOut, truncated };
}

/** At most so many at once, and so many that wait. */
class Turns {
  #free = MACHINES;
  /** @type {(() => void)[]} */
  #queue = [];

  /** @returns {Promise<boolean>} false: too many wait already. */
  async take() {
    if (this.#free > 0) {
      this.#free -= 1;
      return true;
    }
    if (this.#queue.length >= WAITING) return false;
    await new Promise((/** @type {(value: void) => void} */ resolve) => this.#queue.push(resolve));
    return true;
  }

  give() {
    const next = this.#queue.shift();
    if (next === undefined) this.#free += 1;
    else next();
  }
}

/**
 * @param {import('node:http').IncomingMessage} request
 * @returns {Promise<Buffer | undefined>} undefined: it is too long.
 */
async function bodyOf(request) {
  /** @type {Buffer[]} */
  const chunks = [];
  let length = 0;
  for await (const chunk of request) {
    length += chunk.length;
    if (length > MAX_CODE) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/**
 * @param {string} image A Python image: a path, or a name.
 * @param {{codeMs?: number}} [limits]
 */
export function serve(image, { codeMs = CODE_MS } = {}) {
  const turns = new Turns();
  const server = createServer(async (request, response) => {
    const abort = new AbortController();
    response.on('close', () => abort.abort());
    const answer = (/** @type {number} */ status, /** @type {unknown} */ value) => {
      if (response.destroyed) return;
      response.writeHead(status, { 'content-type': 'application/json', connection: 'close' }).end(`${JSON.stringify(value)}\n`);
    };
    try {
      if (request.method !== 'POST' || request.url !== '/run') return answer(404, { error: 'POST /run' });
      const code = await bodyOf(request);
      if (code === undefined) return answer(413, { error: `the code is longer than ${MAX_CODE} bytes` });
      if (!(await turns.take())) return answer(503, { error: 'too many requests: come back later' });
      try {
        abort.signal.throwIfAborted();
        answer(200, await runPython(image, code, abort.signal, codeMs));
      } finally {
        turns.give();
      }
    } catch (error) {
      if (abort.signal.aborted) return;
      console.error(error);
      answer(500, { error: error instanceof VmmError ? error.code : 'INTERNAL' });
    }
  });
  server.requestTimeout = REQUEST_MS;
  server.maxConnections = 256;
  return server;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const server = serve(process.env.IMAGE ?? 'python:3.13-slim').listen(Number(process.env.PORT ?? 8080), '127.0.0.1', () => console.log(`listening on port ${server.address().port}`));
}
