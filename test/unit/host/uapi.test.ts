import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { FILES, uapiPath, uapiText } from '../../../scripts/uapi.mjs';

test.each(Object.keys(FILES))('%s agrees with the C headers of this system', (path) => {
  expect(readFileSync(uapiPath(path), 'utf8')).toBe(uapiText(path));
});
