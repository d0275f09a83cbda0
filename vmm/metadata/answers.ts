/** The metadata service's answers (App Container specification 0.8.11, "App Container Metadata Service"): no socket, no file. */
import { createHmac, timingSafeEqual } from 'node:crypto';

/** What is told of a pod. */
export interface PodDocument {
  /** RFC 4122, in its canonical form. */
  readonly uuid: string;
  /** The pod's manifest as JSON has it: parsed and checked before, annotations as they were. */
  readonly manifest: { readonly annotations?: unknown; readonly apps?: readonly { readonly name: string; readonly annotations?: unknown }[] | null };
  readonly apps: ReadonlyMap<string, AppDocument>;
}

export interface AppDocument {
  /** `sha512-…`, as the pod's manifest has it. */
  readonly imageId: string;
  /** The image's manifest, as JSON has it. */
  readonly manifest: { readonly annotations?: unknown };
}

export interface Answer {
  readonly status: number;
  readonly type?: string | undefined;
  readonly body: string;
}

export const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
/** The longest form that is signed or verified: its content, each byte as three characters, and the rest. */
export const FORM_MAX = 1 << 20;

const JSON_TYPE = 'application/json';
const TEXT_TYPE = 'text/plain; charset=us-ascii';
const NOT_FOUND: Answer = { status: 404, body: 'not found\n' };

/** `path` begins behind the token: `/acMetadata/v1/…`. `form`: the body of a POST, each byte a character. */
export function answer(pod: PodDocument, key: Uint8Array, method: string, path: string, form: string): Answer {
  const parts = /^\/acMetadata\/v1\/(.+)$/.exec(path)?.[1]?.split('/');
  if (parts === undefined) return NOT_FOUND;
  const post = parts[0] === 'pod' && parts[1] === 'hmac';
  const known = post ? hmac(pod, key, parts[2], method === 'POST' ? form : '') : document(pod, parts);
  if (known === undefined) return NOT_FOUND;
  if (method !== (post ? 'POST' : 'GET')) return { status: 405, body: `${method} is not allowed here\n` };
  return known;
}

function document(pod: PodDocument, [kind, first, second, third, ...more]: readonly string[]): Answer | undefined {
  if (more.length > 0) return undefined;
  if (kind === 'pod' && second === undefined) {
    if (first === 'uuid') return { status: 200, type: TEXT_TYPE, body: pod.uuid };
    if (first === 'manifest') return json(pod.manifest);
    return first === 'annotations' ? json(pod.manifest.annotations ?? null) : undefined;
  }
  const app = kind === 'apps' ? pod.apps.get(decoded(first ?? '')) : undefined;
  if (app === undefined) return undefined;
  if (second === 'annotations' && third === undefined) return json(merged(app.manifest.annotations, pod.manifest.apps?.find(({ name }) => name === decoded(first ?? ''))?.annotations));
  if (second !== 'image') return undefined;
  if (third === 'id') return { status: 200, type: TEXT_TYPE, body: app.imageId };
  return third === 'manifest' ? json(app.manifest) : undefined;
}

function json(value: unknown): Answer {
  return { status: 200, type: JSON_TYPE, body: JSON.stringify(value) };
}

/** The bytes that percent encoding means; `text`: each byte a character. */
function bytesOf(text: string): Buffer {
  return Buffer.from(text.replace(/%([0-9a-f]{2})/gi, (_all, digits: string) => String.fromCharCode(Number.parseInt(digits, 16))), 'latin1');
}

function decoded(text: string): string {
  return bytesOf(text).toString();
}

interface Annotation {
  readonly name: string;
  readonly value: unknown;
}

/** The image's, in their order; the pod's take the place of those of the same name, others come behind. */
function merged(image: unknown, app: unknown): readonly Annotation[] {
  const all = new Map<string, Annotation>();
  for (const list of [image, app]) for (const each of Array.isArray(list) ? (list as Annotation[]) : []) all.set(each.name, each);
  return [...all.values()];
}

function hmac(pod: PodDocument, key: Uint8Array, what: string | undefined, form: string): Answer | undefined {
  if (what !== 'sign' && what !== 'verify') return undefined;
  const fields = formFields(form);
  const content = fields.get('content');
  if (content === undefined) return { status: 400, body: 'content is missing\n' };
  if (what === 'sign') return { status: 200, type: TEXT_TYPE, body: signature(key, pod.uuid, content).toString('base64') };
  const [uuid, given] = [fields.get('uuid')?.toString('latin1').toLowerCase() ?? '', fields.get('signature')?.toString('latin1') ?? ''];
  if (!UUID.test(uuid)) return { status: 400, body: 'uuid is missing, or no UUID\n' };
  const [right, asked] = [signature(key, uuid, content), Buffer.from(given, 'base64')];
  return right.length === asked.length && timingSafeEqual(right, asked) ? { status: 200, type: TEXT_TYPE, body: '' } : { status: 403, type: TEXT_TYPE, body: '' };
}

/** As rkt's: HMAC-SHA512 over the UUID's 16 bytes and the content. */
function signature(key: Uint8Array, uuid: string, content: Uint8Array): Buffer {
  return createHmac('sha512', key).update(Buffer.from(uuid.replaceAll('-', ''), 'hex')).update(content).digest();
}

/** application/x-www-form-urlencoded; values are bytes, which need not be UTF-8. The first of a name counts. */
function formFields(form: string): ReadonlyMap<string, Buffer> {
  const fields = new Map<string, Buffer>();
  for (const part of form.split('&')) {
    const [name = '', value = ''] = part.split(/=(.*)/s).map((text) => text.replaceAll('+', ' '));
    const key = bytesOf(name).toString();
    if (!fields.has(key)) fields.set(key, bytesOf(value));
  }
  return fields;
}
