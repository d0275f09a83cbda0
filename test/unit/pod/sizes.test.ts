/** A pod's machine by its apps' limits (rkt-stage1 "VM sizing", and this build's maximum), and by the pod's own isolators (appc 0.8.11, "Isolators"). */
import { expect, it } from 'vitest';
import type { App } from '../../../image/appc/schema/app.ts';
import { isolationOf } from '../../../image/appc/schema/isolation.ts';
import { bounded, podBounds } from '../../../vmm/pod/bounds.ts';
import { podSize } from '../../../vmm/pod/sizes.ts';

const isolators = (memory?: string, cpu?: string): App['isolators'] => [
  ...(memory === undefined ? [] : [{ name: 'resource/memory', value: { default: false, request: memory, limit: memory } }]),
  ...(cpu === undefined ? [] : [{ name: 'resource/cpu', value: { limit: cpu } }]),
];
const app = (memory?: string, cpu?: string): App => ({ exec: ['/x'], user: '0', group: '0', supplementaryGIDs: [], eventHandlers: [], workingDirectory: undefined, environment: [], mountPoints: [], ports: [], isolators: isolators(memory, cpu), userAnnotations: undefined, userLabels: undefined });

it.each<[what: string, apps: App[], rules: Parameters<typeof podSize>[2], memoryMib: number, vcpus: number]>([
  ['no limits', [app(), app()], {}, 512, 4],
  ['all have limits', [app('64Mi'), app('100M')], {}, 64 + 96 + 48, 4],
  ['one has none', [app('64Mi'), app()], {}, 512, 4],
  ['one has none, the other much', [app('1Gi'), app()], {}, 1024 + 48, 4],
  ['a limit without a value', [{ ...app(), isolators: [{ name: 'resource/memory', value: { request: '1G' } }] }], {}, 512, 4],
  ['the last isolator counts', [{ ...app(), isolators: [...isolators('1G'), ...isolators('64Mi')] }], {}, 64 + 48, 4],
  ['the administrator’s rules', [app('64Mi')], { overheadMib: 10, minMib: 128 }, 128, 4],
  ['processors, each rounded up', [app('64Mi', '500m'), app('64Mi', '1500m')], {}, 64 + 64 + 48, 3],
  ['more processors than the host’s', [app('64Mi', '8')], {}, 64 + 48, 4],
  ['the pod’s memory below the apps’', [app('1Gi'), app('1Gi')], { bounds: { memory: 256 * 2 ** 20 } }, 256 + 48, 4],
  ['the pod’s processors below the apps’', [app('64Mi', '2'), app('64Mi', '2')], { bounds: { cpuMillis: 1500 } }, 64 + 64 + 48, 2],
])('%s', (_what, apps, rules, memoryMib, vcpus) => {
  expect(podSize(apps, 4, rules)).toEqual({ memoryMib, vcpus, notes: [] });
});

it('more than a machine can have: an error with both figures, a line for processors', () => {
  expect(() => podSize([app('9Gi')], 4)).toThrow('need 9264 MiB of memory, a machine has at most 3072 MiB');
  expect(() => podSize([app('512Mi')], 4, { maxMib: 256 })).toThrow('need 560 MiB of memory, a machine has at most 256 MiB');
  expect(podSize([app()], 64)).toMatchObject({ vcpus: 32, notes: [expect.stringContaining('32 processors, not 64')] });
});

it('a pod’s isolators bound those of its apps; what is not enforced is told', () => {
  const bounds = podBounds([...isolators('128Mi', '500m'), { name: 'os/unix/sysctl', value: { 'net.core.somaxconn': '1' } }]);
  expect(bounds).toEqual({ memory: 128 * 2 ** 20, cpuMillis: 500, notes: ['isolator os/unix/sysctl of the pod is not enforced'] });
  const limits = (of: App): unknown => {
    const { memory, cpuMillis } = isolationOf(bounded(of, bounds)) ?? {};
    return [memory, cpuMillis];
  };
  expect(limits(app())).toEqual([128 * 2 ** 20, 500]);
  expect(limits(app('64Mi', '250m'))).toEqual([64 * 2 ** 20, 250]);
  expect(limits(app('1Gi', '4'))).toEqual([128 * 2 ** 20, 500]);
  expect(bounded(app('1Gi'), podBounds([])).isolators).toEqual(isolators('1Gi'));
});
