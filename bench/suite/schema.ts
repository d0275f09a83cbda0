/** The report's JSON schema (draft 2020-12), and a reader that holds a file against it: what it refuses it names by the path of the field. */
import { SCHEMA } from './log.ts';

export interface Schema {
  readonly type: 'object' | 'array' | 'string' | 'number' | 'integer' | 'boolean';
  readonly const?: unknown;
  readonly enum?: readonly string[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: Schema | false;
  readonly items?: Schema;
}

const TEXT: Schema = { type: 'string' };
const NUMBER: Schema = { type: 'number' };
const listOf = (items: Schema): Schema => ({ type: 'array', items });
const mapOf = (additionalProperties: Schema): Schema => ({ type: 'object', additionalProperties });

/** All of `properties` have to be there but for those whose names end in ?. */
function object(fields: Readonly<Record<string, Schema>>): Schema {
  const names = Object.keys(fields);
  return {
    type: 'object', additionalProperties: false, required: names.filter((name) => !name.endsWith('?')),
    properties: Object.fromEntries(names.map((name) => [name.replace(/\?$/, ''), fields[name]!])),
  };
}

const ESTIMATE = object({ value: NUMBER, 'low?': NUMBER, 'high?': NUMBER });
const SUMMARY = object({ samples: { type: 'integer' }, p50: ESTIMATE, p90: ESTIMATE, p99: ESTIMATE, least: NUMBER, most: NUMBER, outliers: listOf(NUMBER) });
const CONDITIONS = object({ kernel: TEXT, memoryMib: NUMBER, vcpus: NUMBER, commandLine: TEXT, root: TEXT });
const HOST = object({ cpu: TEXT, cores: NUMBER, memoryGib: NUMBER, kernel: TEXT, node: TEXT, kvm: TEXT, cgroup: TEXT, governor: TEXT, nodeVariables: listOf(TEXT), load: NUMBER });
const HEADER = object({ schema: { type: 'integer', const: SCHEMA }, date: TEXT, revision: TEXT, rounds: { type: 'integer' }, warmUp: { type: 'integer' }, host: HOST });
const MEASURED = object({
  scenario: TEXT, peer: TEXT, version: TEXT, command: listOf(TEXT), conditions: CONDITIONS, figures: mapOf(SUMMARY),
  phases: listOf(object({ name: TEXT, ms: NUMBER })), values: mapOf(listOf(NUMBER)),
});
const COMPARISON = object({ scenario: TEXT, figure: TEXT, peer: TEXT, against: TEXT, pairs: { type: 'integer' }, 'ratio?': NUMBER, 'low?': NUMBER, 'high?': NUMBER, 'refused?': TEXT });
const TROUBLE = object({ scenario: TEXT, peer: TEXT, what: { type: 'string', enum: ['missing', 'unverified', 'fails', 'hangs', 'wrong output'] }, detail: TEXT });

export const REPORT: Schema = object({
  schema: { type: 'integer', const: SCHEMA }, complete: { type: 'boolean' }, header: HEADER, measured: listOf(MEASURED), comparisons: listOf(COMPARISON), troubles: listOf(TROUBLE),
});

export const schemaText = (): string => `${JSON.stringify({ $schema: 'https://json-schema.org/draft/2020-12/schema', title: 'A start-up report of vmm bench', ...REPORT }, null, 2)}\n`;

/** Why a value is none of the schema, by the path of the field; undefined: it is one. */
export function refusal(value: unknown, schema: Schema = REPORT, path = ''): string | undefined {
  const at = path === '' ? 'the report' : `field ${path}`;
  const kind = Array.isArray(value) ? 'array' : value === null ? 'null' : typeof value;
  const wanted = schema.type === 'integer' ? 'number' : schema.type;
  if (kind !== wanted) return `${at}: ${kind}, not ${schema.type}`;
  if (wanted === 'number' && (!Number.isFinite(value) || (schema.type === 'integer' && !Number.isInteger(value)))) return `${at}: ${value} is no ${schema.type}`;
  if (schema.const !== undefined && value !== schema.const) return `${at} is ${JSON.stringify(value)}, this version reads ${JSON.stringify(schema.const)}`;
  if (schema.enum !== undefined && !schema.enum.includes(value as string)) return `${at}: ${JSON.stringify(value)} is none of ${schema.enum.join(', ')}`;
  if (kind === 'array') return first((value as unknown[]).map((each, i) => () => refusal(each, schema.items!, `${path}[${i}]`)));
  if (kind !== 'object') return undefined;
  const below = (name: string): string => (path === '' ? name : `${path}.${name}`);
  const fields = value as Record<string, unknown>;
  const lost = schema.required?.find((name) => !Object.hasOwn(fields, name));
  if (lost !== undefined) return `field ${below(lost)} is not there`;
  return first(Object.keys(fields).map((name) => () => {
    const rule = schema.properties !== undefined && Object.hasOwn(schema.properties, name) ? schema.properties[name] : schema.additionalProperties;
    return rule === undefined || rule === false ? `field ${below(name)} is not known` : refusal(fields[name], rule, below(name));
  }));
}

function first(checks: readonly (() => string | undefined)[]): string | undefined {
  for (const check of checks) {
    const found = check();
    if (found !== undefined) return found;
  }
  return undefined;
}
