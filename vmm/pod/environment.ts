/** The environment of an app (rkt's stage1 interface, rkt/env/APP; App Container specification 0.8.11, "Execution Environment"). */
import type { App } from '../../image/appc/schema/app.ts';
import type { NameValue } from '../../image/appc/schema/labels.ts';
import { DEFAULT_PATH } from './plan.ts';

const DEFAULTS: readonly (readonly [string, string])[] = [['PATH', DEFAULT_PATH], ['SHELL', '/bin/sh'], ['USER', 'root'], ['LOGNAME', 'root'], ['HOME', '/root']];

/** The annotation by which an app says that it uses sd_notify(3): the pod's own counts before its image's. */
export function supportsNotify(...annotations: readonly (readonly NameValue[])[]): boolean {
  return annotations.flat().find(({ name }) => name === 'appc.io/executor/supports-systemd-notify')?.value === 'true';
}

/** NAME=VALUE: defaults for what the app does not set, then what it sets in order, its name and its executor's. */
export function appEnvironment(name: string, app: App): string[] {
  const set = new Set(app.environment.map((each) => each.name));
  return [
    ...DEFAULTS.filter(([key]) => !set.has(key)).map(([key, value]) => `${key}=${value}`),
    ...app.environment.filter((each) => each.name !== 'AC_APP_NAME' && each.name !== 'AC_METADATA_URL').map((each) => `${each.name}=${each.value}`),
    `AC_APP_NAME=${name}`,
    'container=vmm',
  ];
}
