/** Where a pod's volumes lie on the host (App Container specification 0.8.11, "Volumes"). */
import { spawn } from 'node:child_process';
import { chmodSync, chownSync, lstatSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { VmmError } from '../../base/errors.ts';
import { renderDisk } from '../../image/appc/extract.ts';
import type { Volume } from '../../image/appc/schema/pod-manifest.ts';
import type { HostFs } from '../../image/tree/host.ts';

/** What removes the folder once our end of its input is closed, by us or by our end: a process that is bound cannot, nor one that was killed. */
const REMOVER = 'read -r _; exec rm -rf -- "$0"';

/** What a pod has on the host for as long as it lives, its empty volumes first: in a folder of their own, which goes with the pod, however that ends. */
export class VolumePlaces {
  #folder: string | undefined;
  #gone: (() => Promise<void>) | undefined;
  readonly #made = new Map<string, string>();
  readonly #note: (text: string) => void;
  readonly #host: HostFs | undefined;

  /** `host`: for what Node cannot do, in roots that are unpacked. */
  constructor(note: (text: string) => void, host: HostFs | undefined) {
    this.#note = note;
    this.#host = host;
  }

  /** A host's volume as it is, or an empty one, made once for all apps that use it. Throws POD_VOLUME. */
  place(volume: Volume): string {
    if (volume.kind === 'host') return hostPlace(volume.name, volume.source);
    const known = this.#made.get(volume.name);
    if (known !== undefined) return known;
    const path = this.#below('volumes', volume.name);
    mkdirSync(path, { mode: 0o700 });
    this.#own(path, volume);
    chmodSync(path, volume.mode);
    this.#made.set(volume.name, path);
    return path;
  }

  /** An app's root as a directory: its event handlers and its command, each a container, see what the others have written. Throws IMAGE_*. */
  unpack(app: string, disk: string): string {
    const path = this.#below('roots', app);
    const unmade = renderDisk(disk, path, { host: this.#host, owners: process.getuid?.() === 0, overwrite: false });
    for (const [reason, { count }] of unmade) this.#note(`app ${app}: ${count} of its files have no ${reason} in its root, which is unpacked for its event handlers`);
    if (process.getuid?.() !== 0) this.#note(`app ${app}: all of its files belong to root, since its root is unpacked for its event handlers: only root gives files away`);
    return path;
  }

  #below(folder: 'volumes' | 'roots', name: string): string {
    const path = join(this.#root(), folder);
    mkdirSync(path, { recursive: true, mode: 0o700 });
    return join(path, name);
  }

  #own(path: string, { name, uid, gid }: Volume & { kind: 'empty' }): void {
    // Whoever runs vmm is the pod's root (docs/volumes.md).
    if (process.getuid?.() !== 0 && uid === 0 && gid === 0) return;
    try {
      chownSync(path, uid, gid);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'EPERM') throw new VmmError('POD_VOLUME', `volume ${name}: it cannot belong to ${uid}:${gid}: ${code}`, { cause: error, hint: 'give it another uid and gid' });
      this.#note(`volume ${name} belongs to the pod’s root, not to ${uid}:${gid}: only root gives files away`);
    }
  }

  #root(): string {
    if (this.#folder !== undefined) return this.#folder;
    const parent = process.env['VMM_TMPDIR'] ?? tmpdir();
    try {
      this.#folder = mkdtempSync(join(parent, 'vmm-pod-'));
    } catch (cause) {
      throw new VmmError('POD_VOLUME', `there can be no folder for the pod in ${parent}: ${(cause as NodeJS.ErrnoException).code}`, { cause, hint: 'name a folder with space in $VMM_TMPDIR' });
    }
    const folder = this.#folder;
    const remover = spawn('/bin/sh', ['-c', REMOVER, folder], { detached: true, stdio: 'pipe', cwd: '/' });
    remover.on('error', () => {});
    if (remover.pid === undefined) {
      rmSync(folder, { recursive: true, force: true });
      throw new VmmError('POD_VOLUME', `${folder} could not be removed again: /bin/sh cannot be started`, { hint: 'a pod with empty volumes or event handlers needs it' });
    }
    for (const stream of [remover, remover.stdout, remover.stderr]) (stream as { unref?: () => void }).unref?.();
    remover.stdin.on('error', () => {});
    const over = new Promise<void>((resolve) => {
      remover.on('exit', () => resolve());
    });
    this.#gone = () => {
      remover.ref();
      remover.stdin.end();
      return over;
    };
    return folder;
  }

  /** Removes the empty volumes; resolves when they are gone. */
  async remove(): Promise<void> {
    await this.#gone?.();
  }
}

function hostPlace(name: string, source: string): string {
  const parts = source.split('/').filter((part) => part !== '' && part !== '.');
  if (parts.includes('..')) throw new VmmError('POD_VOLUME', `volume ${name}: ${source} has a ".." in it`, { hint: 'name the directory by its own path' });
  for (let depth = 1; depth <= parts.length; depth++) {
    const at = `/${parts.slice(0, depth).join('/')}`;
    let stat: ReturnType<typeof lstatSync>;
    try {
      stat = lstatSync(at);
    } catch (cause) {
      throw new VmmError('POD_VOLUME', `volume ${name}: ${at}: ${(cause as NodeJS.ErrnoException).code}`, { cause, hint: 'a host volume’s source must be there' });
    }
    if (stat.isSymbolicLink()) throw new VmmError('POD_VOLUME', `volume ${name}: ${at} is a symbolic link`, { hint: 'name what it leads to' });
    if (depth === parts.length && !stat.isDirectory() && !stat.isFile()) throw new VmmError('POD_VOLUME', `volume ${name}: ${at} is neither a directory nor a regular file`, { hint: 'the pod has a kernel of its own, on whose side nobody is' });
  }
  return `/${parts.join('/')}`;
}
