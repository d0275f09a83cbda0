/** Pods that rkt registers (`--mds-register`): its protocol on a Unix socket, PUT and DELETE below /pods. */
import type { IncomingMessage } from 'node:http';
import { VmmError } from '../../base/errors.ts';
import { Context } from '../../image/appc/schema/context.ts';
import { parseImageManifest } from '../../image/appc/schema/image-manifest.ts';
import { parsePodManifest } from '../../image/appc/schema/pod-manifest.ts';
import { type Answer, type AppDocument, type PodDocument, UUID } from './answers.ts';
import { bodyOf } from './server.ts';

const MANIFEST_MAX = 4 << 20;
/** More than one host runs. */
const PODS_MAX = 4096;

interface Registered {
  readonly token: string;
  readonly pod: PodDocument & { readonly apps: Map<string, AppDocument> };
}

export class MetadataRegistry {
  readonly #byUuid = new Map<string, Registered>();
  readonly #byToken = new Map<string, Registered>();

  pod(token: string): PodDocument | undefined {
    return this.#byToken.get(token)?.pod;
  }

  /** rkt takes 200 for done, and tries three times. */
  async register(request: IncomingMessage): Promise<Answer> {
    const url = new URL(request.url ?? '', 'http://localhost');
    const [, kind, uuid = '', app, ...more] = url.pathname.split('/').map(decodeURIComponent);
    if (kind !== 'pods' || more.length > 0) return answerOf(404, 'not found');
    if (!UUID.test(uuid)) return answerOf(400, 'a malformed UUID');
    if (request.method === 'DELETE' && app === undefined) return this.#remove(uuid);
    if (request.method !== 'PUT') return answerOf(405, `${request.method} is not allowed here`);
    const body = await bodyOf(request, MANIFEST_MAX);
    if (body === undefined) return answerOf(413, `longer than ${MANIFEST_MAX} bytes`);
    try {
      return app === undefined ? this.#put(uuid, url.searchParams.get('token') ?? '', body) : this.#putApp(uuid, app, body);
    } catch (error) {
      if (error instanceof VmmError) return answerOf(400, error.message);
      throw error;
    }
  }

  #put(uuid: string, token: string, body: Buffer): Answer {
    if (!/^[0-9a-f]{1,128}$/i.test(token)) return answerOf(400, 'token: hex digits are missing');
    parsePodManifest(body, new Context('pod manifest', { keepUnknownIsolators: true }));
    const other = this.#byToken.get(token);
    if (other !== undefined && other.pod.uuid !== uuid) return answerOf(400, 'token: another pod has it');
    if (!this.#byUuid.has(uuid) && this.#byUuid.size >= PODS_MAX) return answerOf(507, `${PODS_MAX} pods are registered already`);
    this.#remove(uuid);
    const registered: Registered = { token, pod: { uuid, manifest: JSON.parse(body.toString()) as PodDocument['manifest'], apps: new Map() } };
    this.#byUuid.set(uuid, registered);
    this.#byToken.set(token, registered);
    return answerOf(200, '');
  }

  #putApp(uuid: string, name: string, body: Buffer): Answer {
    const registered = this.#byUuid.get(uuid);
    if (registered === undefined) return answerOf(404, 'that pod is not registered');
    const entry = (registered.pod.manifest.apps as readonly { name: string; image?: { id?: string } }[] | null | undefined)?.find((each) => each.name === name);
    if (entry === undefined) return answerOf(404, 'the pod has no such app');
    parseImageManifest(body, new Context('image manifest', { keepUnknownIsolators: true }));
    registered.pod.apps.set(name, { imageId: entry.image?.id ?? '', manifest: JSON.parse(body.toString()) as AppDocument['manifest'] });
    return answerOf(200, '');
  }

  #remove(uuid: string): Answer {
    const registered = this.#byUuid.get(uuid);
    if (registered === undefined) return answerOf(404, 'that pod is not registered');
    this.#byUuid.delete(uuid);
    this.#byToken.delete(registered.token);
    return answerOf(200, '');
  }
}

function answerOf(status: number, body: string): Answer {
  return { status, body: body === '' ? '' : `${body}\n` };
}
