/** Is what lies in a container's folder what its documents have? Another program may have written it, or a disk lost a part of it. */
import { type ContainerLife, type ContainerRecord, RECORD_VERSION } from './record.ts';

type Fields = Readonly<Record<string, unknown>>;

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function areTexts(value: unknown): boolean {
  return Array.isArray(value) && value.every((each) => typeof each === 'string');
}

/** What lists and commands look at without a question of their own. */
export function isRecord(value: unknown, id: string): value is ContainerRecord {
  if (!isFields(value) || value['version'] !== RECORD_VERSION || value['id'] !== id) return false;
  const { config, restart, labels, mounts, ports } = value;
  return (
    ['name', 'image', 'imageId', 'rootfs', 'created', 'folder'].every((key) => typeof value[key] === 'string') &&
    ['command', 'env', 'argv'].every((key) => areTexts(value[key])) &&
    [mounts, ports].every((list) => list === undefined || (Array.isArray(list) && list.every(isFields))) &&
    isFields(labels) && isFields(restart) && isFields(config) && areTexts(config['volumes'])
  );
}

/** Of one that is not, nothing is known: as if it had not been started. */
export function isLife(value: unknown): value is ContainerLife {
  if (!isFields(value)) return false;
  const { end, health, denied } = value;
  return (
    Number.isInteger(value['pid']) && typeof value['ran'] === 'boolean' &&
    [health, denied].every((each) => each === undefined || isFields(each)) &&
    (end === undefined || (isFields(end) && typeof end['status'] === 'number' && typeof end['finished'] === 'string'))
  );
}
