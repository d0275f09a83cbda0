import { VmmError } from '../../base/errors.ts';
import { JsonObject } from '../documents/json.ts';
import type { Credentials } from './credentials.ts';
import { type Http, readBody } from './http.ts';

export interface Challenge {
  /** Lower case. */
  readonly scheme: string;
  readonly params: ReadonlyMap<string, string>;
}

const TOKEN_MAX = 1 << 20;
const SPACE = /[ \t]*/y;
const TOKEN = /[!#$%&'*+.^_`|~0-9A-Za-z-]+/y;
const TOKEN68 = /[A-Za-z0-9._~+/-]+=*(?=[ \t]*(,|$))/y;
const QUOTED = /"((?:[^"\\]|\\.)*)"/y;

/** The challenges of WWW-Authenticate (RFC 9110 section 11.6.1); what cannot be understood ends them. */
export function parseChallenges(header: string): Challenge[] {
  const challenges: { scheme: string; params: Map<string, string> }[] = [];
  let at = 0;
  const take = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at;
    const match = pattern.exec(header);
    if (match !== null) at = pattern.lastIndex;
    return match;
  };
  for (;;) {
    while (take(SPACE) !== null && header[at] === ',') at++;
    const word = take(TOKEN)?.[0];
    if (word === undefined) return challenges;
    take(SPACE);
    const last = challenges[challenges.length - 1];
    if (header[at] === '=' && last !== undefined) {
      at++;
      take(SPACE);
      const value = take(QUOTED)?.[1]?.replace(/\\(.)/g, '$1') ?? take(TOKEN)?.[0];
      if (value === undefined) return challenges;
      last.params.set(word.toLowerCase(), value);
      continue;
    }
    challenges.push({ scheme: word.toLowerCase(), params: new Map() });
    take(TOKEN68);
  }
}

/** Answers one registry's challenges for one repository, and remembers what it was let in by. */
export class Authorizer {
  readonly #http: Http;
  readonly #credentials: () => Promise<Credentials | undefined>;
  readonly #scope: string;
  #header: string | undefined;

  /** `scope`: `repository:NAME:pull`. */
  constructor(http: Http, scope: string, credentials: () => Promise<Credentials | undefined>) {
    this.#http = http;
    this.#scope = scope;
    this.#credentials = credentials;
  }

  /** Value of the Authorization header; undefined before the first challenge. */
  get header(): string | undefined {
    return this.#header;
  }

  /** Answers a 401. False when there is nothing to answer with. Throws REGISTRY_*. */
  async answer(url: URL, header: string | undefined): Promise<boolean> {
    const challenges = parseChallenges(header ?? '');
    const bearer = challenges.find(({ scheme }) => scheme === 'bearer');
    if (bearer !== undefined) {
      this.#header = `Bearer ${await this.#token(url, bearer)}`;
      return true;
    }
    const credentials = challenges.some(({ scheme }) => scheme === 'basic') ? await this.#credentials() : undefined;
    if (credentials?.user === undefined) return false;
    this.#header = basic(credentials);
    return true;
  }

  /** A token of the realm (distribution-spec's token authentication; Docker's OAuth 2 form for identity tokens). */
  async #token(url: URL, { params }: Challenge): Promise<string> {
    const realm = URL.parse(params.get('realm') ?? '');
    if (realm === null || !/^https?:$/.test(realm.protocol)) throw bad(url, 'asks for a token without saying where');
    // What was asked for safely must not be answered with a password in the clear.
    if (url.protocol === 'https:' && realm.protocol !== 'https:') throw bad(url, `sends its users to ${realm.protocol}//${realm.host} with their passwords`);
    const credentials = await this.#credentials();
    const fields = { service: params.get('service') ?? '', scope: params.get('scope') ?? this.#scope };
    const response =
      credentials?.identityToken === undefined
        ? await this.#http.send({ method: 'GET', url: withQuery(realm, fields), headers: credentials?.user === undefined ? {} : { authorization: basic(credentials) } }, url)
        : await this.#http.send({
            method: 'POST',
            url: realm,
            headers: { 'content-type': 'application/x-www-form-urlencoded' },
            body: Buffer.from(new URLSearchParams({ ...fields, grant_type: 'refresh_token', client_id: 'vmm', refresh_token: credentials.identityToken }).toString()),
          }, url);
    const body = await readBody(response, TOKEN_MAX, realm);
    if (response.status === 401 || response.status === 403) throw denied(realm, credentials !== undefined);
    if (response.status !== 200) throw bad(realm, `answers ${response.status} when asked for a token`);
    let token: string | undefined;
    try {
      const answer = JsonObject.parse(body, 'token');
      token = answer.optionalString('token') ?? answer.optionalString('access_token');
    } catch {
      // Its text may be the secret: the cause is not kept.
    }
    if (token === undefined || !/^[\x21-\x7e]+$/.test(token)) throw bad(realm, 'gives no token');
    return token;
  }
}

function withQuery(realm: URL, fields: Readonly<Record<string, string>>): URL {
  const url = new URL(realm);
  for (const [name, value] of Object.entries(fields)) if (value !== '') url.searchParams.append(name, value);
  return url;
}

function basic({ user, password }: Credentials): string {
  return `Basic ${Buffer.from(`${user ?? ''}:${password ?? ''}`, 'utf8').toString('base64')}`;
}

function bad(url: URL, what: string): VmmError {
  return new VmmError('REGISTRY_ANSWER', `${url.host} ${what}`, { hint: 'the registry is damaged or hostile' });
}

export function denied(url: URL, known: boolean): VmmError {
  return new VmmError('REGISTRY_DENIED', `${url.host} refuses access${known ? ' to this user' : ''}`, { hint: known ? 'log in again with `vmm login`; or the image is private, or not there' : 'the image is private, or not there: `vmm login` where you have an account' });
}
