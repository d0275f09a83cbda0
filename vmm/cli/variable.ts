import { refuseLostVariable } from './bytes.ts';

/** A variable of our own environment. Throws USAGE when Node has lost its bytes. */
export function hostVariable(name: string): string | undefined {
  const text = process.env[name];
  if (text?.includes('\ufffd')) refuseLostVariable(name);
  return text;
}
