/** Tar archives made by hand, a header at a time: what no tool would write too. */
export interface Member {
  readonly name: string;
  /** tar's type flag; '0' (a file) when not given. */
  readonly type?: string;
  readonly data?: string | Uint8Array;
  readonly link?: string;
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly major?: number;
  readonly minor?: number;
  /** false: as before POSIX. */
  readonly magic?: boolean;
}

export function member({ name, type = '0', data = '', link = '', mode = type === '5' ? 0o755 : 0o644, uid = 0, gid = 0, major = 0, minor = 0, magic = true }: Member): Buffer {
  const bytes = Buffer.from(data);
  const header = Buffer.alloc(512);
  const octal = (value: number, at: number, length: number): void => void header.write(value.toString(8).padStart(length - 1, '0'), at, 'latin1');
  header.write(name, 0, 100, 'utf8');
  octal(mode, 100, 8);
  octal(uid, 108, 8);
  octal(gid, 116, 8);
  octal(bytes.length, 124, 12);
  octal(1_000_000_000, 136, 12);
  header.write(type, 156);
  header.write(link, 157, 100, 'utf8');
  if (magic) header.write('ustar\x0000', 257, 'latin1');
  octal(major, 329, 8);
  octal(minor, 337, 8);
  header.fill(0x20, 148, 156);
  header.write(`${header.reduce((sum, byte) => sum + byte, 0).toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return Buffer.concat([header, bytes, Buffer.alloc((512 - (bytes.length % 512)) % 512)]);
}

export function tarFile(...members: readonly Member[]): Buffer {
  return Buffer.concat([...members.map(member), Buffer.alloc(1024)]);
}
