import { closeSync, fstatSync, openSync, readFileSync, type Stats, statSync } from 'node:fs';
import { SECTOR } from '../../../assembly/contract/devices.ts';
import { VIRTIO_BLK_ID_BYTES } from '../../../assembly/contract/generated/virtio.ts';
import { VmmError } from '../../../base/errors.ts';
import { duplicate } from '../../host/net.ts';
import { flock, seekEnd } from '../../host/sys.ts';
import { LOCK_EX, LOCK_NB, LOCK_SH } from '../../host/uapi/linux.ts';
import type { DiskRate } from '../rate.ts';
import type { ServedDisk } from './table.ts';

/** A raw disk image as the user named it. */
export interface DiskSpec {
  readonly path: string;
  /** A descriptor of it that is open, of which the machine takes a copy: the path is its name alone. */
  readonly fd?: number | undefined;
  readonly readOnly: boolean;
  /** Serial number the guest reads (VIRTIO_BLK_T_GET_ID), at most 20 bytes. */
  readonly id: string;
  /** How much may be read and written, both together and each; no limit when not given. Not in counted runs. */
  readonly rate?: DiskRate | undefined;
  /** What messages call it; `disk PATH`. */
  readonly name?: string;
}

export interface OpenDisk extends Omit<DiskSpec, 'fd'>, ServedDisk {}

/** Opens a raw image or block device and locks it: many may read it, or one may write it. Throws DISK_OPEN, DISK_SIZE, DISK_BUSY. */
export function openDisk(spec: DiskSpec): OpenDisk {
  const fail = (what: string, hint: string, cause?: unknown): VmmError => new VmmError('DISK_OPEN', `disk ${spec.path}: ${what}`, { hint, cause });
  if (Buffer.byteLength(spec.id) > VIRTIO_BLK_ID_BYTES) throw new VmmError('USAGE', `disk ${spec.path}: id ${spec.id} is longer than ${VIRTIO_BLK_ID_BYTES} bytes`, { hint: 'shorten id=' });
  let fd: number;
  try {
    if (spec.fd === undefined && statSync(spec.path).isDirectory()) throw fail('is a directory', 'give a raw image file or a block device');
    fd = spec.fd !== undefined ? duplicate(spec.fd) : openSync(spec.path, spec.readOnly ? 'r' : 'r+');
  } catch (cause) {
    if (cause instanceof VmmError) throw cause;
    const code = (cause as NodeJS.ErrnoException).code ?? 'error';
    const hint = code === 'EACCES' || code === 'EROFS' ? 'add `,ro` to open it read-only' : 'check the path of --disk';
    throw fail(`cannot be opened: ${code}`, hint, cause);
  }
  const stat = fstatSync(fd);
  if (!stat.isFile() && !stat.isBlockDevice()) {
    closeSync(fd);
    throw fail('is neither a file nor a block device', 'give a raw image file or a block device');
  }
  const bytes = stat.isFile() ? stat.size : deviceSize(fd, stat);
  const size = Math.floor(bytes / SECTOR) * SECTOR;
  if (size === 0) {
    closeSync(fd);
    throw new VmmError('DISK_SIZE', `disk ${spec.path}: ${bytes} bytes are less than one sector of ${SECTOR}`, { hint: 'grow the image, for example with truncate -s' });
  }
  if (!lock(fd, spec.readOnly)) {
    closeSync(fd);
    throw new VmmError('DISK_BUSY', `disk ${spec.path}: another machine has it open${spec.readOnly ? ' for writing' : ''}`, {
      hint: spec.readOnly ? 'stop that machine first' : 'stop that machine first, or open it `,ro` in both',
    });
  }
  return { ...spec, fd, size };
}

/** False when somebody else's lock is in the way. A file system without locks, or a missing FFI library, is no obstacle. */
function lock(fd: number, shared: boolean): boolean {
  try {
    return flock(fd, (shared ? LOCK_SH : LOCK_EX) | LOCK_NB);
  } catch (error) {
    if (error instanceof VmmError) return true;
    throw error;
  }
}

/** Bytes of a block device, for which stat has no size: Linux shows it in sectors of 512 bytes in sysfs. */
function deviceSize(fd: number, stat: Stats): number {
  try {
    return seekEnd(fd);
  } catch (error) {
    if (!(error instanceof VmmError)) throw error; // there is no FFI library
  }
  // gnu_dev_major and gnu_dev_minor of glibc, for the 32 bits that Linux uses
  const major = (stat.rdev >>> 8) & 0xfff;
  const minor = (stat.rdev & 0xff) | ((stat.rdev >>> 12) & 0xfff00);
  try {
    return Number(readFileSync(`/sys/dev/block/${major}:${minor}/size`, 'latin1')) * SECTOR;
  } catch {
    return 0;
  }
}
