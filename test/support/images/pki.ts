/** An authority by openssl: certificates, its lists of those that it has revoked, answers of its OCSP server, and a timestamp authority. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import * as http from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';

const LIMIT_MS = 30_000;
/** Timestamps are as exact as they say: a certificate of this second is too young for them. */
const YESTERDAY = `${new Date(Date.now() - 86_400_000).toISOString().replace(/[-:T]/g, '').slice(0, 14)}Z`;

export interface IssueOptions {
  /** openssl's extensions beside key usage and extended key usage, a line each. */
  readonly more?: string;
  /** `codeSigning` where nothing is said. */
  readonly use?: string;
  readonly days?: number;
  readonly kind?: 'ec' | 'rsa';
}

export class Pki {
  readonly dir: string;

  constructor(folder: string, name = 'Root') {
    this.dir = mkdtempSync(join(folder, 'pki-'));
    mkdirSync(join(this.dir, 'new'));
    for (const [file, text] of [['index', ''], ['serial', '1000\n'], ['crlnumber', '01\n'], ['tsserial', '01\n']] as const) writeFileSync(join(this.dir, file), text);
    this.#configure('basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash');
    this.ssl('ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', 'root.key');
    this.ssl('req', '-new', '-key', 'root.key', '-subj', `/C=DE/ST=BE/O=${name}/CN=${name}`, '-out', 'root.csr');
    this.ssl('ca', '-batch', '-selfsign', '-config', 'cnf', '-keyfile', 'root.key', '-extensions', 'x', '-in', 'root.csr', '-startdate', YESTERDAY, '-days', '30', '-notext', '-out', 'root.crt');
  }

  ssl(...args: string[]): Buffer {
    return execFileSync('openssl', args, { cwd: this.dir, stdio: 'pipe', timeout: LIMIT_MS });
  }

  #configure(extensions: string, crl = ''): void {
    const tsa = '[tsa]\ndefault_tsa=t\n[t]\nserial=tsserial\nsigner_cert=tsa.crt\nsigner_key=tsa.key\ncerts=root.crt\nsigner_digest=sha256\ndefault_policy=1.2.3.4\nother_policies=0.4.0.2023.1.1\ndigests=sha256,sha384,sha512,sha1\naccuracy=secs:1,millisecs:500\ness_cert_id_alg=sha256\nordering=no\ntsa_name=no\n';
    writeFileSync(join(this.dir, 'cnf'), `[ca]\ndefault_ca=d\n[d]\ndatabase=index\nserial=serial\ncrlnumber=crlnumber\nnew_certs_dir=new\ndefault_md=sha256\ndefault_crl_days=7\npolicy=p\nunique_subject=no\nprivate_key=root.key\ncertificate=root.crt\n[p]\ncountryName=optional\nstateOrProvinceName=optional\norganizationName=optional\ncommonName=supplied\n[x]\n${extensions}\n[c]\n${crl}\n${tsa}`);
  }

  /** NAME.key, NAME.crt. */
  issue(name: string, { more = '', use = 'codeSigning', days = 10, kind = 'ec' }: IssueOptions = {}): void {
    this.#configure(`basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=${use}\nsubjectKeyIdentifier=hash\n${more}`);
    if (kind === 'rsa') this.ssl('genrsa', '-out', `${name}.key`, '2048');
    else this.ssl('ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', `${name}.key`);
    this.ssl('req', '-new', '-key', `${name}.key`, '-subj', `/C=DE/ST=BE/O=Signer/CN=${name}`, '-out', `${name}.csr`);
    this.ssl('ca', '-batch', '-config', 'cnf', '-extensions', 'x', '-in', `${name}.csr`, '-startdate', YESTERDAY, '-days', String(days), '-notext', '-out', `${name}.crt`);
  }

  revoke(name: string, ...options: string[]): void {
    this.ssl('ca', '-config', 'cnf', '-revoke', `${name}.crt`, ...options);
  }

  /** `extensions`: of the list, a line each. */
  list(extensions = '', ...options: string[]): Buffer {
    this.#configure('', extensions);
    this.ssl('ca', '-config', 'cnf', '-gencrl', ...(extensions === '' ? [] : ['-crlexts', 'c']), ...options, '-out', 'crl.pem');
    return this.ssl('crl', '-in', 'crl.pem', '-outform', 'DER');
  }

  /** An OCSP server's answer, signed by `by`. */
  answer(request: Buffer, by = 'root', ...options: string[]): Buffer {
    writeFileSync(join(this.dir, 'request'), request);
    this.ssl('ocsp', '-index', 'index', '-CA', 'root.crt', '-rsigner', `${by}.crt`, '-rkey', `${by}.key`, '-reqin', 'request', '-respout', 'response', '-ndays', '7', ...options);
    return readFileSync(join(this.dir, 'response'));
  }

  /** A TimeStampToken of `message` by `tsa.crt`. */
  stamp(message: Uint8Array, ...options: string[]): Buffer {
    writeFileSync(join(this.dir, 'message'), message);
    this.#configure('');
    this.ssl('ts', '-query', '-data', 'message', '-cert', ...(options.length > 0 ? options : ['-sha256']), '-out', 'query');
    this.ssl('ts', '-reply', '-config', 'cnf', '-queryfile', 'query', '-token_out', '-out', 'token');
    return readFileSync(join(this.dir, 'token'));
  }

  pem(name: string): Buffer {
    return readFileSync(join(this.dir, `${name}.crt`));
  }

  der(name: string): Buffer {
    return Buffer.from(this.pem(name).toString().replace(/-----[^-]+-----|\s/g, ''), 'base64');
  }
}

/** A web server that says what it is told to, and what it was asked for. */
export class Place {
  readonly asked: string[] = [];
  say: (path: string, body: Buffer) => Buffer | number | undefined = () => 404;
  readonly #server = http.createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      this.asked.push(`${request.method} ${request.url}`);
      const said = this.say(request.url ?? '', Buffer.concat(chunks));
      if (said === undefined) return;
      if (typeof said === 'number') response.writeHead(said).end();
      else response.writeHead(200).end(said);
    });
  });

  async listen(): Promise<string> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}
