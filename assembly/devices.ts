/** The exports of machine and devices, by file: all that KVM needs of the module (dist/core-kvm.wasm). */
export { machine_counter, machine_exit_clear, machine_exit_request, machine_init, machine_trace } from './core/machine';
export { guest_dirty_take, guest_ptr, guest_written } from './core/guest';
export { bus_add } from './core/bus';
export { bus_mmio_read, bus_mmio_write, bus_pio_read, bus_pio_write } from './io/access';
export { kvm_exit, kvm_exits } from './io/kvm_run';
export {
  device_inflight, device_poll, device_polled, device_process, device_quiesce, device_resume, device_version, device_waiting, devices_reset,
} from './virtio/transport';
export { blk_add, blk_complete, blk_complete_many, blk_id, blk_set_capacity } from './virtio/blk';
export { console_add, console_drained, console_input, console_resize } from './virtio/console';
export { vsock_add } from './virtio/vsock';
export {
  vsock_accept, vsock_buffer, vsock_connect, vsock_consumed, vsock_listen, vsock_reset, vsock_rx_begin, vsock_rx_commit, vsock_rx_table, vsock_send,
  vsock_shutdown, vsock_transport_reset, vsock_unlisten,
} from './virtio/vsock_host';
export { rng_add } from './virtio/rng';
export {
  balloon_actual, balloon_add, balloon_reported, balloon_set, balloon_stat, balloon_stats_count, balloon_stats_request,
} from './virtio/balloon';
export { serial_add, serial_input } from './legacy/serial';
export { i8042_add } from './legacy/i8042';
export { rtc_add } from './legacy/rtc';
export { power_add } from './legacy/power';
