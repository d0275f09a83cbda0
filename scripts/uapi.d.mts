export const FILES: Readonly<Record<string, unknown>>;
/** The TypeScript text that the system's headers give. */
export function uapiText(path: string): string;
export function uapiPath(path: string): string;
