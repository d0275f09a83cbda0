/**
 * The core's functions that the host calls, as assembly/index.ts exports them. Arguments and results are u32 or i32, or
 * f64 where a size may exceed 32 bits; negative results are -errno. What each does is said beside it in assembly/.
 */
export interface CoreExports {
  // assembly/core
  machine_init(ramBytes: number, vcpus: number, flags: number): number;
  machine_exit_request(): number;
  machine_trace(mask: number): void;
  guest_written(gpa: number, length: number): void;
  // assembly/io
  kvm_exit(vcpu: number): number;
  // assembly/legacy
  serial_add(): number;
  i8042_add(): number;
  rtc_add(): number;
  power_add(): number;
  serial_input(ptr: number, length: number): number;
  // assembly/virtio
  device_process(slot: number, queue: number): number;
  device_polled(slot: number, on: number): number;
  device_quiesce(slot: number): number;
  device_resume(slot: number): number;
  device_waiting(slot: number): number;
  net_add(slot: number, offloads: number, mtu: number, mac: number): number;
  net_link(slot: number, flags: number): number;
  console_add(slot: number, columns: number, rows: number): number;
  console_resize(slot: number, columns: number, rows: number): number;
  console_input(slot: number, ptr: number, length: number): number;
  console_drained(slot: number): number;
  rng_add(slot: number): number;
  balloon_add(slot: number, features: number): number;
  balloon_set(slot: number, pages: number): number;
  blk_add(slot: number, disk: number, sectors: number, flags: number, blockSize: number, queues: number): number;
  blk_id(slot: number, ptr: number): number;
  blk_set_capacity(slot: number, sectors: number): number;
  blk_complete_many(slot: number, ptr: number, count: number): number;
  fs_add(slot: number, tag: number, flags: number): number;
  fs_complete(slot: number, tag: number, result: number, length: number): number;
  fs_keep(slot: number): void;
  vsock_add(slot: number, cid: number): number;
  vsock_listen(port: number): number;
  vsock_unlisten(port: number): number;
  vsock_connect(port: number): number;
  vsock_accept(handle: number): number;
  vsock_send(handle: number, ptr: number, length: number): number;
  vsock_consumed(handle: number, n: number): number;
  vsock_shutdown(handle: number, how: number): number;
  vsock_reset(handle: number): number;
  // assembly/cpu
  cpu_run(cpu: number, budget: number): number;
  cpu_wait(cpu: number, maxNs: number): number;
  cpu_set_exact(cpu: number, on: number): void;
  count_clear(): void;
  count_clock(cpu: number): bigint;
  count_fold(cpu: number): bigint;
  count_left(cpu: number): number;
  count_set_clock(cpu: number, ns: bigint): void;
  count_timer(cpu: number): number;
  count_trace(cpu: number, flags: number): void;
  cpu_kick(index: number): void;
  cpu_flags(cpu: number): number;
  cpu_set_flags(cpu: number, value: number): void;
  cpu_set_step(cpu: number, on: number): void;
  cpu_field(id: number): number;
  cpu_reset(index: number, profile: number, timeMode: number): number;
  irqchip_reset(cpus: number): void;
  enter_protected32(index: number, eip: number, eax: number, ebx: number, gdtBase: number, gdtLimit: number): void;
  debug_clear(): void;
  debug_break(address: bigint): number;
  debug_watch(address: bigint, length: number, accesses: number): number;
  debug_apply(): void;
  blocks_drop(): void;
  debug_reason(cpu: number): number;
  debug_address(cpu: number): bigint;
  debug_registers_set(cpu: number): void;
  debug_translate(cpu: number, address: bigint): bigint;
  debug_clock_back(ns: number): void;
  enter_long64(index: number, rip: bigint, rsi: bigint, cr3: number, gdtBase: number, gdtLimit: number): void;
}
