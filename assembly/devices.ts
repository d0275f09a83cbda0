/** The exports of machine and devices, by file: all that KVM needs of the module (dist/core-kvm.wasm). */
export { machine_exit_request, machine_init, machine_trace } from './core/machine';
export { guest_written } from './core/guest';
export { kvm_exit } from './io/kvm_run';
export { device_polled, device_process, device_quiesce, device_resume, device_waiting } from './virtio/transport';
export { blk_add, blk_complete_many, blk_id, blk_set_capacity } from './virtio/blk';
export { fs_add, fs_complete, fs_keep } from './virtio/fs';
export { net_add, net_link } from './virtio/net';
export { console_add, console_drained, console_input, console_resize } from './virtio/console';
export { vsock_add } from './virtio/vsock';
export {
  vsock_accept, vsock_connect, vsock_consumed, vsock_listen, vsock_reset, vsock_send, vsock_shutdown, vsock_unlisten,
} from './virtio/vsock_host';
export { rng_add } from './virtio/rng';
export { balloon_add } from './virtio/balloon';
export { serial_add, serial_input } from './legacy/serial';
export { i8042_add } from './legacy/i8042';
export { rtc_add } from './legacy/rtc';
export { power_add } from './legacy/power';

// For tests: the accesses that a guest would make, counters, and steps one by one.
export { machine_counter, machine_exit_clear } from './core/machine';
// For tests.
export { guest_dirty_take, guest_ptr } from './core/guest';
// For tests.
export { bus_add } from './core/bus';
// For tests.
export { bus_mmio_read, bus_mmio_write, bus_pio_read, bus_pio_write } from './io/access';
// For tests.
export { kvm_exits } from './io/kvm_run';
// For tests.
export { device_inflight, device_poll, device_version } from './virtio/transport';
// For tests.
export { blk_complete } from './virtio/blk';
// For tests: reads straight into the guest's buffers, and a transport that moved; the host copies as yet.
export { vsock_buffer, vsock_rx_begin, vsock_rx_commit, vsock_rx_table, vsock_transport_reset } from './virtio/vsock_host';
// For tests: sizes and statistics, which the host does not ask for as yet; free-page reporting does without.
export { balloon_actual, balloon_reported, balloon_set, balloon_stat, balloon_stats_count, balloon_stats_request } from './virtio/balloon';
