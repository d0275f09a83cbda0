import { existsSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { ARMOUR_MAX, keysFor, keystorePaths, openRegular, publicHalf, publishAci, readAci, readBounded, readSignatureFile, readSigningKey, signFile, verifyFile, withFile } from '../api/appc.ts';
import { VmmError } from '../api/errors.ts';
import { HELP } from './common-options.ts';
import { oneLine } from './describe.ts';
import { flag, value } from './options.ts';
import { print, tell } from './output.ts';
import { subcommand } from './subcommand.ts';

const KEY_OPTIONS = {
  key: value('FILE', 'the secret key, armoured (gpg --armor --export-secret-keys); RSA, since rkt verifies no EdDSA'),
  passphraseFile: value('FILE', 'its passphrase: the first line'),
};

export const SIGN = subcommand(
  {
    name: 'aci sign',
    synopsis: '[OPTIONS] --key FILE ACI',
    about: 'Writes an armoured detached signature beside an ACI, ACI.asc, by RSA and SHA-512. With $SOURCE_DATE_EPOCH it says that time, and is the same\neach time.',
    options: { ...KEY_OPTIONS, output: value('FILE', 'write it there', undefined, { short: 'o' }), overwrite: flag('replace it if it is there'), help: HELP },
  },
  [1, 1, 'one file'],
  async ([file = ''], options) => {
    await readAci(file);
    const key = await signingKey(options);
    const out = options.output ?? `${file}.asc`;
    const signature = await signFile(file, key, date());
    writeWhole(out, signature, options.overwrite);
    print(`${out} by ${key.getFingerprint()}\n`);
    return 0;
  },
);

export const VERIFY = subcommand(
  {
    name: 'aci verify',
    synopsis: '[OPTIONS] ACI',
    about: 'Verifies an ACI’s signature with the keys that are trusted for its name. Prints the key’s fingerprint.',
    options: { signature: value('FILE', 'where it is (default: ACI.asc)'), help: HELP },
  },
  [1, 1, 'one file'],
  async ([file = ''], options) => {
    const { manifest } = await readAci(file);
    const where = options.signature ?? `${file}.asc`;
    const signature = await readSignatureFile(readBounded(where, ARMOUR_MAX), where);
    const keys = await keysFor(keystorePaths(process.env), manifest.name, (text) => tell(`vmm: ${oneLine(text)}\n`));
    const { fingerprint, warnings } = await withFile(openRegular(file), (fd) => verifyFile(fd, signature, keys, file));
    for (const warning of warnings) tell(`vmm: ${oneLine(warning)}\n`);
    print(`${oneLine(manifest.name)} is signed by ${fingerprint}\n`);
    return 0;
  },
);

export const PUBLISH = subcommand(
  {
    name: 'aci publish',
    synopsis: '[OPTIONS] --key FILE DIR ACI…',
    about: 'Puts ACIs, their signatures, the key and discovery pages into DIR, the root of a web server for their host: whoever asks for the name then finds\nthem. Any server of static files will do.',
    options: { ...KEY_OPTIONS, help: HELP },
    examples: [['vmm aci publish --key release.key /srv/example.com app.aci', 'for example.com/app: https://example.com/app?ac-discovery=1']],
  },
  [2, Number.POSITIVE_INFINITY, 'a directory and one ACI or more'],
  async ([dir = '', ...files], options) => {
    const key = await signingKey(options);
    for (const file of files) {
      const published = await publishAci(dir, file, await signFile(file, key, date()), publicHalf(key));
      print(`${published.files.map((path) => `${oneLine(path)}\n`).join('')}${oneLine(published.page)}\n`);
    }
    return 0;
  },
);

async function signingKey({ key, passphraseFile }: { readonly key: string | undefined; readonly passphraseFile: string | undefined }): ReturnType<typeof readSigningKey> {
  if (key === undefined) throw new VmmError('USAGE', 'a key is needed to sign with', { hint: 'give --key FILE; make one: gpg --quick-gen-key NAME rsa4096 sign' });
  const passphrase = passphraseFile === undefined ? undefined : (readBounded(passphraseFile, 65_536).toString('utf8').split(/\r?\n/)[0] ?? '');
  return readSigningKey(readBounded(key, ARMOUR_MAX), key, passphrase);
}

function date(): Date {
  const epoch = process.env['SOURCE_DATE_EPOCH'] ?? '';
  return /^\d{1,12}$/.test(epoch) ? new Date(Number(epoch) * 1000) : new Date();
}

function writeWhole(path: string, text: string, overwrite: boolean): void {
  if (!overwrite && existsSync(path)) throw new VmmError('IMAGE_WRITE', `${path} is there already`, { hint: 'give --overwrite to replace it' });
  const temporary = `${path}.${process.pid}.tmp`;
  try {
    writeFileSync(temporary, text, { flag: 'wx', mode: 0o644 });
    renameSync(temporary, path);
  } catch (cause) {
    rmSync(temporary, { force: true });
    throw new VmmError('IMAGE_WRITE', `cannot write ${path}: ${(cause as NodeJS.ErrnoException).code ?? 'error'}`, { cause, hint: 'check the folder and its permissions' });
  }
}
