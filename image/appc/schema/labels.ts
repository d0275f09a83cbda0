import { shown } from './context.ts';
import type { Fields } from './fields.ts';
import { checkAcIdentifier } from './names.ts';

export interface NameValue {
  readonly name: string;
  readonly value: string;
}

/** Operating systems and processors that the reference's code knows (0.8.11). */
const OS_ARCH: Readonly<Record<string, readonly string[]>> = {
  linux: ['amd64', 'i386', 'aarch64', 'aarch64_be', 'armv6l', 'armv7l', 'armv7b', 'ppc64', 'ppc64le', 's390x'],
  freebsd: ['amd64', 'i386', 'arm'],
  darwin: ['x86_64', 'i386'],
};

/** What the machine runs. */
export const MACHINE = { os: 'linux', arch: 'amd64' } as const;

export function parseLabels(fields: Fields, key: string): NameValue[] {
  const labels = pairs(fields, key, 'label');
  const byName = new Map(labels.map(({ name, value }) => [name, value]));
  if (byName.has('name')) throw fields.bad(key, 'must not have a label "name"');
  const os = byName.get('os');
  const arch = byName.get('arch');
  if (os === undefined) return labels;
  const archs = Object.hasOwn(OS_ARCH, os) ? OS_ARCH[os] : undefined;
  if (archs === undefined) throw fields.bad(key, `os ${shown(os)} is none of ${Object.keys(OS_ARCH).join(', ')}`);
  if (arch !== undefined && !archs.includes(arch)) throw fields.bad(key, `arch ${shown(arch)} of ${os} is none of ${archs.join(', ')}`);
  return labels;
}

const RFC3339 = /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$/;

export function parseAnnotations(fields: Fields, key: string): NameValue[] {
  const annotations = pairs(fields, key, 'annotation');
  for (const { name, value } of annotations) {
    if (name === 'created' && !isTime(value)) throw fields.bad(key, `created ${shown(value)} is no time as RFC 3339 has it`);
    if (name === 'homepage' || name === 'documentation') {
      if (!/^https?:/i.test(value)) throw fields.bad(key, `${name} ${shown(value)} is no URL of http or https`);
      if (!URL.canParse(value)) fields.warn(key, `${name} ${shown(value)} is no URL`);
    }
    if (name === 'appc.io/executor/supports-systemd-notify' && value !== 'true' && value !== 'false') fields.warn(key, `${name} is neither "true" nor "false"`);
  }
  return annotations;
}

/** The value of a name; the last one of equal names. */
export function labelValue(list: readonly NameValue[], name: string): string | undefined {
  return list.findLast((entry) => entry.name === name)?.value;
}

/** `wanted`'s labels are there with the same values; others may be there too. */
export function labelsMatch(wanted: readonly NameValue[], labels: readonly NameValue[]): boolean {
  return wanted.every(({ name, value }) => labelValue(labels, name) === value);
}

function pairs(fields: Fields, key: string, what: string): NameValue[] {
  const seen = new Set<string>();
  return fields.objects(key).map((entry) => {
    const name = checkAcIdentifier(entry.string('name'), entry.at('name'), entry.context);
    if (seen.has(name)) throw fields.bad(key, `has two of the ${what} ${shown(name)}`);
    seen.add(name);
    return { name, value: entry.string('value') };
  });
}

function isTime(text: string): boolean {
  if (!RFC3339.test(text) || Number.isNaN(Date.parse(text.toUpperCase()))) return false;
  const [year, month, day] = text.slice(0, 10).split('-').map(Number) as [number, number, number];
  // Date.parse takes February's 31st.
  return new Date(Date.UTC(year, month - 1, day)).getUTCDate() === day;
}
