/** The parts of scripts/ that typed code uses. */
declare module '*/scripts/build-core.mjs' {
  export function buildCore(): boolean;
}
declare module '*/scripts/lib.mjs' {
  export const root: string;
  export const cache: string;
}
