import { homedir } from 'node:os';
import { join } from 'node:path';
import { VmmError } from '../../../base/errors.ts';
import { JSON_MAX } from '../../documents/json.ts';
import { Authorizer, denied } from '../../registry/auth.ts';
import { type Environment, findCredentials } from '../../registry/credentials.ts';
import { answer, Http, type HttpRequest, type HttpResponse, readBody } from '../../registry/http.ts';
import type { RegistryName } from '../../registry/name.ts';

/** Docker Hub's notary, which Docker has retired: its own images are not signed there any more. */
const HUB = 'https://notary.docker.io';

/** Where the trust data of a registry's images lies: $DOCKER_CONTENT_TRUST_SERVER, else the registry itself. Throws TRUST_CONFIG. */
function trustServer(registry: string, env: Environment): URL {
  const text = env['DOCKER_CONTENT_TRUST_SERVER'] || (registry === 'docker.io' ? HUB : `https://${registry}`);
  const url = URL.parse(text);
  if (url === null || url.protocol !== 'https:') throw new VmmError('TRUST_CONFIG', `${JSON.stringify(text.slice(0, 200))} is no address of a trust server`, { hint: 'DOCKER_CONTENT_TRUST_SERVER needs https://' });
  return url;
}

/** The name by which trust data knows a repository (its GUN): Docker's full name. */
export function gunOf({ registry, repository }: Pick<RegistryName, 'registry' | 'repository'>): string {
  return `${registry}/${repository}`;
}

/** A notary server, for one repository. Throws REGISTRY_*. */
export class NotaryServer {
  readonly #base: URL;
  readonly #http: Http;
  readonly #authorizer: Authorizer;
  #known = false;

  constructor(name: Pick<RegistryName, 'registry' | 'repository'>, env: Environment, actions: string, idleMs?: number) {
    const server = trustServer(name.registry, env);
    const gun = gunOf(name);
    this.#base = new URL(`/v2/${gun}/_trust/tuf/`, server);
    const tls = join(env['DOCKER_CONFIG'] || join(env['HOME'] || homedir(), '.docker'), 'tls');
    this.#http = new Http({ host: server.host, insecure: false, env, folders: [tls], ...(idleMs === undefined ? {} : { idleMs }) });
    this.#authorizer = new Authorizer(this.#http, `repository:${gun}:${actions}`, async () => {
      const credentials = await findCredentials(name.registry, name.repository, env);
      this.#known = credentials !== undefined;
      return credentials;
    });
  }

  get host(): string {
    return this.#base.host;
  }

  close(): void {
    this.#http.close();
  }

  /** A document; undefined when the server has none. */
  async get(file: string): Promise<Uint8Array | undefined> {
    const url = new URL(file, this.#base);
    const response = await this.#send({ method: 'GET', url, headers: { accept: 'application/json' } });
    if (response.status === 404) {
      response.body.destroy();
      return undefined;
    }
    if (response.status !== 200) throw await this.#refused(response, url);
    return readBody(response, JSON_MAX, url);
  }

  /** Gives new documents to the server, all or none: it checks them itself. */
  async publish(files: ReadonlyMap<string, Uint8Array>): Promise<void> {
    const boundary = `vmm-${crypto.randomUUID()}`;
    const parts = [...files].flatMap(([role, bytes]) => [
      Buffer.from(`--${boundary}\r\nContent-Disposition: form-data; name="files"; filename="${role}"\r\nContent-Type: application/octet-stream\r\n\r\n`), bytes, Buffer.from('\r\n'),
    ]);
    const body = Buffer.concat([...parts, Buffer.from(`--${boundary}--\r\n`)]);
    const response = await this.#send({ method: 'POST', url: this.#base, headers: { 'content-type': `multipart/form-data; boundary=${boundary}`, 'content-length': String(body.length) }, body });
    if (response.status !== 200) throw await this.#refused(response, this.#base);
    response.body.destroy();
  }

  async #refused(response: HttpResponse, url: URL): Promise<VmmError> {
    const text = (await readBody(response, 65536, url).catch(() => Buffer.alloc(0))).toString('utf8');
    if (response.status === 401 || response.status === 403) return denied(url, this.#known);
    const message = /"message":"((?:[^"\\]|\\.){1,200})/.exec(text)?.[1];
    return answer(url, `answers ${response.status} for trust data${message === undefined ? '' : `: ${message}`}`);
  }

  async #send(request: HttpRequest): Promise<HttpResponse> {
    const send = (): Promise<HttpResponse> => {
      const { header } = this.#authorizer;
      return this.#http.send({ ...request, headers: { ...request.headers, 'user-agent': 'vmm', ...(header === undefined ? {} : { authorization: header }) } });
    };
    const response = await send();
    if (response.status !== 401 || !(await this.#authorizer.answer(request.url, response.headers['www-authenticate']))) return response;
    response.body.destroy();
    return send();
  }
}
