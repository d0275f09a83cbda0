/** Debian's GnuPG with a home of its own. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll } from 'vitest';

export class Gpg {
  readonly home: string;

  constructor(home: string) {
    this.home = home;
    mkdirSync(home, { mode: 0o700 });
    afterAll(() => void spawnSync('gpgconf', ['--homedir', home, '--kill', 'all']));
  }

  run(...args: string[]): string {
    return this.#exec(args).toString('utf8');
  }

  /** A key of this name; its passphrase is empty unless the options say another. */
  make(name: string, algorithm: string, usage = 'sign', expires = 'never', time?: string, ...options: string[]): void {
    this.#exec([...options, ...(time === undefined ? [] : ['--faked-system-time', time]), '--quick-gen-key', `${name} <${name}@example.org>`, algorithm, usage, expires]);
  }

  fingerprint(name: string): string {
    const line = this.run('--with-colons', '--list-keys', `=${name} <${name}@example.org>`).split('\n').find((text) => text.startsWith('fpr:'));
    return (line?.split(':')[9] ?? '').toLowerCase();
  }

  public(name: string): string {
    return this.run('--armor', '--export', this.fingerprint(name));
  }

  secret(name: string, passphrase = ''): Buffer {
    return this.#exec(['--passphrase', passphrase, '--armor', '--export-secret-keys', this.fingerprint(name)]);
  }

  /** A detached signature. */
  sign(name: string, file: string, ...options: string[]): Buffer {
    return this.#exec(['--armor', ...options, '--local-user', this.fingerprint(name), '--output', '-', '--detach-sign', file]);
  }

  revoke(name: string): void {
    const certificate = join(this.home, 'openpgp-revocs.d', `${this.fingerprint(name).toUpperCase()}.rev`);
    // gpg puts a colon in front, so that nobody imports it by mistake.
    writeFileSync(`${certificate}.now`, readFileSync(certificate, 'utf8').replace(/^:-/m, '-'));
    this.run('--import', `${certificate}.now`);
  }

  #exec(args: readonly string[]): Buffer {
    return execFileSync('gpg', ['--homedir', this.home, '--batch', '--passphrase', '', '--yes', '--pinentry-mode', 'loopback', '--no-tty', '-q', ...args], { stdio: ['ignore', 'pipe', 'pipe'], maxBuffer: 1 << 26 });
  }
}
