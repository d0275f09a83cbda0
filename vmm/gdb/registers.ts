/** The registers that gdb is told of (gdb manual, appendix G.5.8 "i386 features"), in the order of g packets. */
export interface GdbRegister {
  /** Name in target.xml. */
  readonly name: string;
  /** Name in Registers (vmm/accel). */
  readonly source: string;
  readonly bits: number;
  readonly type: string;
  readonly feature: string;
  /** Section of `info registers`; default: by type. */
  readonly group?: string;
}

const CORE = 'org.gnu.gdb.i386.core';
const SSE = 'org.gnu.gdb.i386.sse';
const SEGMENTS = 'org.gnu.gdb.i386.segments';
const SYSTEM = 'org.vmm.x86.system';

function list(feature: string, names: readonly string[], bits: number, type: string, group?: string): GdbRegister[] {
  return names.map((name) => ({ name, source: SOURCES[name] ?? name, bits, type, feature, ...(group === undefined ? {} : { group }) }));
}

/** Where gdb's name is not the SDM's. */
const SOURCES: Readonly<Record<string, string>> = { eflags: 'rflags', k_gs_base: 'kernel_gs_base' };
const numbered = (prefix: string, count: number): string[] => Array.from({ length: count }, (_, i) => `${prefix}${i}`);

export const REGISTERS: readonly GdbRegister[] = [
  ...list(CORE, ['rax', 'rbx', 'rcx', 'rdx', 'rsi', 'rdi'], 64, 'int64'),
  ...list(CORE, ['rbp', 'rsp'], 64, 'data_ptr'),
  ...list(CORE, numbered('r', 16).slice(8), 64, 'int64'),
  ...list(CORE, ['rip'], 64, 'code_ptr'),
  ...list(CORE, ['eflags'], 32, 'x86_eflags'),
  ...list(CORE, ['cs', 'ss', 'ds', 'es', 'fs', 'gs'], 32, 'int32'),
  ...list(CORE, numbered('st', 8), 80, 'i387_ext'),
  ...list(CORE, ['fctrl', 'fstat', 'ftag', 'fiseg', 'fioff', 'foseg', 'fooff', 'fop'], 32, 'int', 'float'),
  ...list(SSE, numbered('xmm', 16), 128, 'vec128'),
  ...list(SSE, ['mxcsr'], 32, 'x86_mxcsr', 'vector'),
  ...list(SEGMENTS, ['fs_base', 'gs_base'], 64, 'int'),
  ...list(SYSTEM, ['k_gs_base', 'cr0', 'cr2', 'cr3', 'cr4', 'cr8', 'efer'], 64, 'int64', 'system'),
];

const flag = (name: string, bit: number): string => `<field name="${name}" start="${bit}" end="${bit}"/>`;
const EFLAGS = [['', 1], ['CF', 0], ['PF', 2], ['AF', 4], ['ZF', 6], ['SF', 7], ['TF', 8], ['IF', 9], ['DF', 10], ['OF', 11], ['NT', 14], ['RF', 16], ['VM', 17], ['AC', 18], ['VIF', 19], ['VIP', 20], ['ID', 21]] as const;
const MXCSR = ['IE', 'DE', 'ZE', 'OE', 'UE', 'PE', 'DAZ', 'IM', 'DM', 'ZM', 'OM', 'UM', 'PM'];
const TYPES: Readonly<Record<string, string>> = {
  [CORE]: `<flags id="x86_eflags" size="4">${EFLAGS.map(([name, bit]) => flag(name, bit)).join('')}</flags>`,
  [SSE]: [
    ...[['v4f', 'ieee_single', 4], ['v2d', 'ieee_double', 2], ['v16i8', 'int8', 16], ['v8i16', 'int16', 8], ['v4i32', 'int32', 4], ['v2i64', 'int64', 2]].map(
      ([id, type, count]) => `<vector id="${id}" type="${type}" count="${count}"/>`,
    ),
    '<union id="vec128"><field name="v4_float" type="v4f"/><field name="v2_double" type="v2d"/><field name="v16_int8" type="v16i8"/>',
    '<field name="v8_int16" type="v8i16"/><field name="v4_int32" type="v4i32"/><field name="v2_int64" type="v2i64"/><field name="uint128" type="uint128"/></union>',
    `<flags id="x86_mxcsr" size="4">${MXCSR.map(flag).join('')}${flag('FZ', 15)}</flags>`,
  ].join(''),
};

/** The target description that qXfer:features:read gives out. */
export function targetXml(): string {
  const features = [...new Set(REGISTERS.map((register) => register.feature))].map((feature) => {
    const registers = REGISTERS.filter((register) => register.feature === feature).map(
      ({ name, bits, type, group }) => `<reg name="${name}" bitsize="${bits}" type="${type}"${group === undefined ? '' : ` group="${group}"`}/>`,
    );
    return `<feature name="${feature}">${TYPES[feature] ?? ''}${registers.join('')}</feature>`;
  });
  return `<?xml version="1.0"?><!DOCTYPE target SYSTEM "gdb-target.dtd"><target version="1.0"><architecture>i386:x86-64</architecture>${features.join('')}</target>`;
}
