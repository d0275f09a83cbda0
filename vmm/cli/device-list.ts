/** The devices of a container that runs, as `vmm device ls` lists them. */
import type { Container, RecordedMount } from '../api/owner.ts';

export interface DeviceRow {
  /** For `vmm device rm`. */
  readonly name: string;
  readonly kind: string;
  readonly source: string;
  readonly about: string;
}

/** What is mounted of the host's now. */
export function mountsNow({ life, record }: Pick<Container, 'life' | 'record'>): readonly RecordedMount[] {
  return life?.mounts ?? record.mounts ?? [];
}

export function deviceRows(one: Container): DeviceRow[] {
  const access = (readOnly: boolean): string => (readOnly ? 'ro' : 'rw');
  return [
    ...mountsNow(one).filter(({ type, name }) => type === 'bind' || name !== undefined).map(({ type, target, source, name, readOnly }) => ({ name: target, kind: type, source: source ?? name ?? '', about: access(readOnly) })),
    ...(one.life?.disks ?? []).map(({ target, source, format, readOnly }) => ({ name: target, kind: 'disk', source, about: `${access(readOnly)} ${format}` })),
    ...(one.life?.cards ?? []).map(({ name, network, mac, addresses }, index) => ({ name: name ?? `eth${index}`, kind: 'card', source: network, about: [mac, ...addresses.map(({ address, prefix }) => `${address}/${prefix}`)].join(' ') })),
  ];
}

export function deviceList(rows: readonly DeviceRow[]): string {
  const all = [{ name: 'NAME', kind: 'TYPE', source: 'SOURCE', about: 'DETAILS' }, ...rows];
  const width = (key: keyof DeviceRow): number => Math.max(...all.map((row) => row[key].length)) + 3;
  const [name, kind, source] = [width('name'), width('kind'), width('source')];
  return all.map((row) => `${row.name.padEnd(name)}${row.kind.padEnd(kind)}${row.source.padEnd(source)}${row.about}`.trimEnd()).map((line) => `${line}\n`).join('');
}
