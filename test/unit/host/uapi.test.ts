import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { FILES, uapiPath, uapiText } from '../../../scripts/uapi.mjs';

test.each(Object.keys(FILES))('vmm/host/uapi/%s.ts agrees with the C headers of this system', (name) => {
  expect(readFileSync(uapiPath(name), 'utf8')).toBe(uapiText(name));
});
