/** Layouts of the devices against Linux's headers; their constants are made from these (scripts/uapi-tables.mjs). */
import { expect, test } from 'vitest';
import { cValues, constants } from '../../support/c-values.ts';

function compare(header: string, mine: Map<string, number>, expression: (name: string) => string): void {
  expect(mine.size).toBeGreaterThan(0);
  const names = [...mine.keys()];
  const theirs = cValues([header], names.map(expression));
  expect(Object.fromEntries(names.map((name, i) => [name, theirs[i]]))).toEqual(Object.fromEntries(mine));
}

test('block: configuration', () => {
  const file = 'assembly/virtio/blk.ts';
  compare('linux/virtio_blk.h', constants(file, /^CONFIG_/), (name) => (name === 'CONFIG_LEN' ? 'offsetof(struct virtio_blk_config, max_secure_erase_sectors)' : `offsetof(struct virtio_blk_config, ${name === 'CONFIG_WRITEBACK' ? 'wce' : name.slice(7).toLowerCase()})`));
});

test('console: configuration', () => {
  const file = 'assembly/virtio/console.ts';
  compare('linux/virtio_console.h', constants(file, /^CONFIG_/), (name) => (name === 'CONFIG_LEN' ? 'sizeof(struct virtio_console_config)' : `offsetof(struct virtio_console_config, ${name.slice(7).toLowerCase()})`));
});

test('balloon: configuration', () => {
  const file = 'assembly/virtio/balloon.ts';
  compare('linux/virtio_balloon.h', constants(file, /^CONFIG_/), (name) => (name === 'CONFIG_LEN' ? 'sizeof(struct virtio_balloon_config)' : `offsetof(struct virtio_balloon_config, ${name.slice(7).toLowerCase()})`));
});

test('socket: sizes of header and configuration', () => {
  const file = 'assembly/virtio/vsock.ts';
  expect(cValues(['linux/virtio_vsock.h'], ['sizeof(struct virtio_vsock_hdr)', 'sizeof(struct virtio_vsock_config)'])).toEqual([constants(file, /^HDR$/).get('HDR'), constants(file, /^CONFIG_LEN$/).get('CONFIG_LEN')]);
});
