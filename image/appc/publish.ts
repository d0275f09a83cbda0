import { copyFileSync, existsSync, linkSync, lstatSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { VmmError } from '../../base/errors.ts';
import { makeFolders } from '../../base/folders.ts';
import { readAci } from './archive.ts';
import { labelValue, MACHINE } from './schema/labels.ts';
import { isStrictAcIdentifier } from './schema/names.ts';

/** By it a page is known to be ours to replace. */
const MARK = '<!-- vmm aci publish -->';

export interface Published {
  /** Files that were written, below the web server's root. */
  readonly files: readonly string[];
  /** `https://example.com/app?ac-discovery=1` */
  readonly page: string;
}

/**
 * Puts an ACI, its signature and a key into the root of a web server, with the page by which its name is found: any server of
 * static files shares it. An ACI lies where simple discovery looks too. Throws ACI_*, IMAGE_*.
 */
export async function publishAci(root: string, file: string, signature: string, publicKey: string): Promise<Published> {
  const { manifest } = await readAci(file);
  const { name, labels } = manifest;
  const [host = '', ...parts] = name.split('/');
  if (!isStrictAcIdentifier(name) || parts.length === 0) throw new VmmError('USAGE', `${file}: its name ${JSON.stringify(name)} has no host and path`, { hint: 'for example example.com/app' });
  const { os, arch } = { os: labelValue(labels, 'os') ?? MACHINE.os, arch: labelValue(labels, 'arch') ?? MACHINE.arch };
  const version = labelValue(labels, 'version');
  for (const text of [version ?? '', os, arch]) if (/[/\s]|^\.+$/.test(text)) throw new VmmError('USAGE', `${file}: the label ${JSON.stringify(text)} cannot stand in a file's name`, { hint: 'use letters, digits, dots' });
  const files: string[] = [];
  const put = (path: string, write: (at: string) => void): void => {
    const at = join(root, path);
    const temporary = `${at}.${process.pid}.tmp`;
    rmSync(temporary, { force: true });
    write(temporary);
    renameSync(temporary, at);
    files.push(path);
  };
  const folder = join(...parts);
  try {
    makeFolders(join(root, folder));
    // `latest` is what is looked for when nobody says a version.
    for (const label of version === undefined ? ['latest'] : [version, 'latest']) {
      const base = `${folder}-${label}-${os}-${arch}`;
      put(`${base}.aci`, (at) => linkOrCopy(file, at));
      put(`${base}.aci.asc`, (at) => writeFileSync(at, signature));
    }
    put(join(folder, 'pubkeys.asc'), (at) => writeFileSync(at, publicKey));
    const page = join(folder, 'index.html');
    if (existsSync(join(root, page)) && !readFileSync(join(root, page), 'utf8').includes(MARK)) throw new VmmError('IMAGE_WRITE', `${join(root, page)} is there already, and not of vmm`, { hint: 'put the two meta tags into it yourself (docs/appc.md)' });
    put(page, (at) => writeFileSync(at, pageOf(name)));
  } catch (cause) {
    if (cause instanceof VmmError) throw cause;
    throw new VmmError('IMAGE_WRITE', `cannot write to ${root}: ${(cause as NodeJS.ErrnoException).code ?? 'error'}`, { cause, hint: 'check its permissions' });
  }
  return { files, page: `https://${host}/${parts.join('/')}?ac-discovery=1` };
}

/** A name is an AC Identifier: nothing in it means anything to HTML. */
function pageOf(name: string): string {
  return `<!DOCTYPE html>
${MARK}
<html>
<head>
<title>${name}</title>
<meta name="ac-discovery" content="${name} https://{name}-{version}-{os}-{arch}.{ext}">
<meta name="ac-discovery-pubkeys" content="${name} https://${name}/pubkeys.asc">
</head>
<body><p>An app container image: <code>vmm aci fetch ${name}</code></p></body>
</html>
`;
}

function linkOrCopy(from: string, to: string): void {
  try {
    if (lstatSync(from).isSymbolicLink()) copyFileSync(from, to);
    else linkSync(from, to);
  } catch {
    copyFileSync(from, to);
  }
}
