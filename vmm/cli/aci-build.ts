import { statSync } from 'node:fs';
import { type AciInfo, buildAci, Context, convertImage, MANIFEST_MAX, parseImageManifest, parsePodManifest, readAci, readBounded, readLayout } from '../api/appc.ts';
import { VmmError } from '../api/errors.ts';
import { hostFs, ImageStore, resolveImage } from '../api/images.ts';
import { HELP } from './common-options.ts';
import { describeError, oneLine } from './describe.ts';
import { INSECURE } from './insecure-option.ts';
import { flag, oneOf, type OptionValues, value } from './options.ts';
import { print, tell } from './output.ts';
import { PULL } from './pull-options.ts';
import { subcommand } from './subcommand.ts';

const STRICT = flag('what only the specification forbids is an error too, not a warning');
/** Of every command that writes an ACI. */
export const WRITE_OPTIONS = {
  overwrite: flag('replace the file if it is there'),
  noCompression: flag('write a plain tar archive (default: gzip)'),
};

const BUILD_OPTIONS = {
  ...WRITE_OPTIONS,
  ownerRoot: flag('everything in it belongs to root'),
  from: value('IMAGE', 'make it of this image instead: any that `vmm run` takes'),
  name: value('NAME', 'with --from: the ACI’s name (default: of the image’s)'),
  pull: PULL,
  insecureOptions: INSECURE,
  strict: STRICT,
  help: HELP,
};
export const BUILD = subcommand(
  {
    name: 'aci build',
    synopsis: '[OPTIONS] DIR FILE | --from IMAGE FILE',
    about: 'Makes an ACI of an image layout: a directory with a file `manifest` and a directory `rootfs`. The same directory gives the same bytes; with\n$SOURCE_DATE_EPOCH no time in it is later. Prints the image id.',
    options: BUILD_OPTIONS,
    examples: [
      ['vmm aci build ./layout app-1.0.0-linux-amd64.aci', 'the layout is checked first'],
      ['vmm aci build --from debian:12 --name example.com/debian debian.aci', 'an image of Docker’s as an ACI'],
    ],
  },
  [1, 2, 'a directory and a file'],
  async (operands, options) => {
    const [dir = '', file] = operands;
    if (options.from !== undefined) return buildFrom(options.from, operands, options);
    if (file === undefined) throw new VmmError('USAGE', 'aci build takes a directory and a file', { hint: 'see `vmm aci build --help`' });
    if (options.strict) refuseWarnings(dir, readLayout(dir).warnings);
    const { id, warnings, skipped } = await buildAci(dir, file, { overwrite: options.overwrite, compress: !options.noCompression, ownerRoot: options.ownerRoot, epoch: sourceDateEpoch(), host: await hostFs() });
    tellWarnings(dir, warnings);
    if (skipped.length > 0) tell(`vmm: ${skipped.length} things of the directory were left out, first ${oneLine(skipped[0]?.path ?? '')}: ${skipped[0]?.reason}\n`);
    print(`${id}\n`);
    return 0;
  },
);

async function buildFrom(reference: string, operands: readonly string[], options: OptionValues<typeof BUILD_OPTIONS>): Promise<number> {
  const [file, ...more] = operands;
  if (file === undefined || more.length > 0) throw new VmmError('USAGE', 'aci build --from takes one file', { hint: 'see `vmm aci build --help`' });
  const note = (text: string): void => tell(`vmm: ${oneLine(text)}\n`);
  const { record, rootfs } = await resolveImage(reference, { store: new ImageStore(undefined, hostFs), host: hostFs, note, pull: options.pull ?? 'missing', ...(options.insecureOptions === undefined ? {} : { insecure: options.insecureOptions }) });
  const write = { overwrite: options.overwrite, compress: !options.noCompression };
  print(`${await convertImage(record, rootfs, reference, file, { ...write, name: options.name, epoch: sourceDateEpoch(), note })}\n`);
  return 0;
}

const VALIDATE_OPTIONS = {
  type: value('appimage|layout|manifest', 'what the arguments are (default: a directory is a layout, JSON a manifest, the rest ACIs)', oneOf('appimage', 'layout', 'manifest')),
  strict: STRICT,
  quiet: flag('no line for what is valid, no warnings', { short: 'q' }),
  help: HELP,
};
export const VALIDATE = subcommand(
  {
    name: 'aci validate',
    synopsis: '[OPTIONS] FILE…',
    about: 'Says whether ACIs, layouts, and manifests of images and pods are valid, with the verdicts of the specification’s own tool; where the\nspecification is stricter than that there is a warning. The status is 1 when something is not valid.',
    options: VALIDATE_OPTIONS,
  },
  [1, Number.POSITIVE_INFINITY, 'one file or more'],
  async (files, options) => {
    let status = 0;
    for (const file of files) {
      try {
        const { what, warnings } = await validate(file, options.type);
        if (options.strict) refuseWarnings(file, warnings);
        if (options.quiet) continue;
        tellWarnings(file, warnings);
        print(`${oneLine(file)}: valid ${what}\n`);
      } catch (error) {
        if (!(error instanceof VmmError)) throw error;
        tell(describeError(error));
        status = 1;
      }
    }
    return status;
  },
);

export const CAT_MANIFEST = subcommand(
  {
    name: 'aci cat-manifest',
    synopsis: '[OPTIONS] FILE',
    about: 'Prints the manifest of an ACI as it is.',
    options: { prettyPrint: flag('indented'), help: HELP },
  },
  [1, 1, 'one file'],
  async ([file = ''], { prettyPrint }) => {
    const { manifestBytes } = await readAci(file);
    const text = Buffer.from(manifestBytes).toString('utf8');
    // Its strings may hold what a terminal acts on; JSON has another way to write that.
    const safe = prettyPrint ? JSON.stringify(JSON.parse(text), null, 4).replace(/[\u007f-\u009f\u2028\u2029]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`) : text;
    print(safe.endsWith('\n') ? safe : `${safe}\n`);
    return 0;
  },
);

async function validate(file: string, given: 'appimage' | 'layout' | 'manifest' | undefined): Promise<{ what: string; warnings: readonly string[] }> {
  const type = given ?? typeOf(file);
  if (type === 'manifest') return validateManifest(file);
  const { manifest, warnings }: Pick<AciInfo, 'manifest' | 'warnings'> = type === 'layout' ? readLayout(file) : await readAci(file);
  return { what: `${type === 'layout' ? 'layout' : 'ACI'} of ${oneLine(manifest.name)}`, warnings };
}

function typeOf(file: string): 'appimage' | 'layout' | 'manifest' {
  if (statSync(file, { throwIfNoEntry: false })?.isDirectory() === true) return 'layout';
  return looksLikeJson(file) ? 'manifest' : 'appimage';
}

function looksLikeJson(file: string): boolean {
  try {
    return readBounded(file, MANIFEST_MAX).toString('latin1').trimStart().startsWith('{');
  } catch {
    return false; // large, or not there: the ACI's reader says so
  }
}

function validateManifest(file: string): { what: string; warnings: readonly string[] } {
  const bytes = readBounded(file, MANIFEST_MAX);
  const isPod = /"acKind"\s*:\s*"PodManifest"/i.test(bytes.toString('latin1'));
  const context = new Context(file);
  if (isPod) parsePodManifest(bytes, context);
  else parseImageManifest(bytes, context);
  return { what: isPod ? 'PodManifest' : 'ImageManifest', warnings: context.warnings };
}

function refuseWarnings(file: string, warnings: readonly string[]): void {
  const [first] = warnings;
  if (first !== undefined) throw new VmmError('ACI_STRICT', `${file}: ${first}`, { hint: 'the reference’s code lets it pass: leave --strict away if you have to' });
}

function tellWarnings(file: string, warnings: readonly string[]): void {
  for (const warning of warnings) tell(`vmm: ${oneLine(`warning: ${file}: ${warning}`)}\n`);
}

/** Throws USAGE. */
function sourceDateEpoch(): number | undefined {
  const text = process.env['SOURCE_DATE_EPOCH'] ?? '';
  if (text === '') return undefined;
  if (!/^\d{1,12}$/.test(text)) throw new VmmError('USAGE', `SOURCE_DATE_EPOCH is ${JSON.stringify(text.slice(0, 40))}, no number of seconds`, { hint: 'for example $(git log -1 --format=%ct)' });
  return Number(text);
}
