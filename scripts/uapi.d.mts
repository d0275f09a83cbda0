export const FILES: Readonly<Record<string, unknown>>;
/** The TypeScript text that the system's headers give. */
export function uapiText(name: string): string;
export function uapiPath(name: string): string;
