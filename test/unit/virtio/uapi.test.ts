/** Constants and layouts of the devices against Linux's headers. */
import { expect, test } from 'vitest';
import { cValues, constants } from '../../support/c-values.ts';

function compare(header: string, mine: Map<string, number>, expression: (name: string) => string): void {
  expect(mine.size).toBeGreaterThan(0);
  const names = [...mine.keys()];
  const theirs = cValues([header], names.map(expression));
  expect(Object.fromEntries(names.map((name, i) => [name, theirs[i]]))).toEqual(Object.fromEntries(mine));
}

test('MMIO registers', () => {
  const mine = constants('assembly/virtio/transport.ts', /^VIRTIO_MMIO_/);
  const names: Record<string, string> = { VIRTIO_MMIO_QUEUE_DRIVER_LOW: 'VIRTIO_MMIO_QUEUE_AVAIL_LOW', VIRTIO_MMIO_QUEUE_DRIVER_HIGH: 'VIRTIO_MMIO_QUEUE_AVAIL_HIGH', VIRTIO_MMIO_QUEUE_DEVICE_LOW: 'VIRTIO_MMIO_QUEUE_USED_LOW', VIRTIO_MMIO_QUEUE_DEVICE_HIGH: 'VIRTIO_MMIO_QUEUE_USED_HIGH' };
  mine.delete('VIRTIO_MMIO_QUEUE_RESET'); // younger than some headers
  compare('linux/virtio_mmio.h', mine, (name) => names[name] ?? name);
});

test('status bits', () => {
  const mine = constants('assembly/virtio/device.ts', /^STATUS_/);
  compare('linux/virtio_config.h', mine, (name) => name.replace('STATUS_DEVICE_NEEDS', 'STATUS_NEEDS').replace('STATUS_', 'VIRTIO_CONFIG_S_'));
});

test('device IDs', () => {
  const names: Record<string, string> = { VIRTIO_ID_ENTROPY: 'VIRTIO_ID_RNG', VIRTIO_ID_SOCKET: 'VIRTIO_ID_VSOCK' };
  compare('linux/virtio_ids.h', constants('assembly/virtio/device.ts', /^VIRTIO_ID_/), (name) => names[name] ?? name);
});

test('ring flags', () => {
  compare('linux/virtio_ring.h', constants('assembly/virtio/queue.ts', /^VIRTQ_/), (name) => name.replace('VIRTQ_', 'VRING_'));
});

test('common feature bits', () => {
  const names: Record<string, string> = { VIRTIO_F_INDIRECT_DESC: 'VIRTIO_RING_F_INDIRECT_DESC', VIRTIO_F_EVENT_IDX: 'VIRTIO_RING_F_EVENT_IDX' };
  const mine = constants('assembly/virtio/device.ts', /^VIRTIO_F_/);
  const includes = ['linux/virtio_config.h', 'linux/virtio_ring.h'];
  const ids = [...mine.keys()];
  expect(cValues(includes, ids.map((name) => `1ULL << ${names[name] ?? name}`))).toEqual([...mine.values()]);
});

test('block: features, request types, status, configuration', () => {
  const file = 'assembly/virtio/blk.ts';
  compare('linux/virtio_blk.h', constants(file, /^VIRTIO_BLK_F_/), (name) => `1ULL << ${name}`);
  compare('linux/virtio_blk.h', constants(file, /^VIRTIO_BLK_[TSI]/), (name) => name);
  compare('linux/virtio_blk.h', constants(file, /^CONFIG_/), (name) => (name === 'CONFIG_LEN' ? 'offsetof(struct virtio_blk_config, max_secure_erase_sectors)' : `offsetof(struct virtio_blk_config, ${name === 'CONFIG_WRITEBACK' ? 'wce' : name.slice(7).toLowerCase()})`));
});

test('console: features, configuration', () => {
  const file = 'assembly/virtio/console.ts';
  compare('linux/virtio_console.h', constants(file, /^VIRTIO_CONSOLE_F_/), (name) => `1ULL << ${name}`);
  compare('linux/virtio_console.h', constants(file, /^CONFIG_/), (name) => (name === 'CONFIG_LEN' ? 'sizeof(struct virtio_console_config)' : `offsetof(struct virtio_console_config, ${name.slice(7).toLowerCase()})`));
});

test('balloon: features, configuration', () => {
  const file = 'assembly/virtio/balloon.ts';
  compare('linux/virtio_balloon.h', constants(file, /^VIRTIO_BALLOON_F_/), (name) => `1ULL << ${name.replace('PAGE_REPORTING', 'REPORTING')}`);
  compare('linux/virtio_balloon.h', constants(file, /^CONFIG_/), (name) => (name === 'CONFIG_LEN' ? 'sizeof(struct virtio_balloon_config)' : `offsetof(struct virtio_balloon_config, ${name.slice(7).toLowerCase()})`));
});

test('socket: operations, header size', () => {
  const file = 'assembly/virtio/vsock.ts';
  compare('linux/virtio_vsock.h', constants(file, /^VIRTIO_VSOCK_(OP|TYPE|EVENT|SHUTDOWN)/), (name) => name);
  expect(cValues(['linux/virtio_vsock.h'], ['sizeof(struct virtio_vsock_hdr)', 'sizeof(struct virtio_vsock_config)'])).toEqual([constants(file, /^HDR$/).get('HDR'), constants(file, /^CONFIG_LEN$/).get('CONFIG_LEN')]);
});
