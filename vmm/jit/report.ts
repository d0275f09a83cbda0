/** What the translator of a machine did, for people. */
import type { JitBell } from './bell.ts';
import type { JitCounts } from './cache.ts';

/** Of one vCPU, at its end. */
export interface VcpuReport {
  readonly counts: JitCounts;
  /** Instructions that ran translated, and all. */
  readonly insns: number;
  readonly total: number;
  /** Blocks that came decoded with our own kernel (vmm/core/kept-blocks.ts), used. */
  readonly kept: number;
  /** Lockstep: runs of translations that the interpreter repeated, and those that could not be. */
  readonly checked: { readonly compared: number; readonly skipped: number } | undefined;
}

/** One line. */
export function reportText(vcpus: readonly VcpuReport[], bell: JitBell): string {
  const sum = (of: (report: VcpuReport) => number): number => vcpus.reduce((all, report) => all + of(report), 0);
  const total = sum((r) => r.total);
  const share = total === 0 ? 0 : (100 * sum((r) => r.insns)) / total;
  const longest = vcpus.reduce((most, { counts }) => Math.max(most, counts.longestMs), 0);
  const parts = [
    `${share.toFixed(1)} % of ${(total / 1e6).toFixed(1)} M instructions`,
    `${sum((r) => r.counts.regions)} regions in ${sum((r) => r.counts.modules)} modules, ${(sum((r) => r.counts.bytes) / 1024).toFixed(0)} KB`,
    `emitted in ${(bell.get('emitUs') / 1000).toFixed(0)} ms, compiled in ${(bell.get('compileUs') / 1000).toFixed(0)} ms`,
    `vCPUs' own part ${sum((r) => r.counts.installMs).toFixed(0)} ms, at once ${longest.toFixed(1)} ms`,
  ];
  const dropped = sum((r) => r.counts.dropped);
  if (dropped > 0) parts.push(`${dropped} dropped`);
  if (vcpus.some(({ checked }) => checked !== undefined)) parts.push(`${sum((r) => r.checked?.compared ?? 0)} runs compared with the interpreter, ${sum((r) => r.checked?.skipped ?? 0)} could not be`);
  const givenBack = sum((r) => r.counts.givenBack);
  if (givenBack > 0) parts.push(`${givenBack} given back`);
  if (vcpus.some(({ counts }) => counts.stopped)) parts.push('stopped, V8 has no more room');
  const kept = sum((r) => r.kept);
  if (kept > 0) parts.push(`${kept} blocks came decoded with the kernel`);
  return `translated: ${parts.join('; ')}`;
}
