import { type Context, shown } from './context.ts';

/** AC Identifier and AC Name as the specification has them, and as the reference's code checks them. */
const IDENTIFIER = /^[a-z0-9]+([-._~/][a-z0-9]+)*$/;
const IDENTIFIER_LOOSE = /^[a-z0-9]([a-z0-9\-._~/]*[a-z0-9])?$/;
const NAME = /^[a-z0-9]+(-[a-z0-9]+)*$/;
const NAME_LOOSE = /^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/;

export function isAcIdentifier(text: string): boolean {
  return IDENTIFIER_LOOSE.test(text);
}

/** Whether a client may ask a web server for it, and make file names of it: without empty parts, `.` and `..`. */
export function isStrictAcIdentifier(text: string): boolean {
  return IDENTIFIER.test(text);
}

export function checkAcIdentifier(text: string, field: string, context: Context): string {
  if (text === '') throw context.bad(field, 'is missing or empty');
  if (!IDENTIFIER_LOOSE.test(text)) throw context.bad(field, `${shown(text)} is no AC Identifier (a-z, 0-9, and - . _ ~ / between them)`);
  if (!IDENTIFIER.test(text)) context.warn(field, `${shown(text)} has two of - . _ ~ / in a row`);
  return text;
}

export function checkAcName(text: string, field: string, context: Context): string {
  if (text === '') throw context.bad(field, 'is missing or empty');
  if (!NAME_LOOSE.test(text)) throw context.bad(field, `${shown(text)} is no AC Name (a-z, 0-9, and - between them)`);
  if (!NAME.test(text)) context.warn(field, `${shown(text)} has two of - in a row`);
  return text;
}

/** A text as an AC Identifier: what may not be in one becomes `_`, edges go. undefined: nothing is left. */
export function sanitizeIdentifier(text: string): string | undefined {
  return trimmed(text.toLowerCase().replace(/[^a-z0-9\-._~/]/g, '_'), /[^a-z0-9]/);
}

/** A text as an AC Name: what may not be in one becomes `-`, edges go. undefined: nothing is left. */
export function sanitizeName(text: string): string | undefined {
  return trimmed(text.toLowerCase().replace(/[^a-z0-9-]/g, '-'), /[^a-z0-9]/);
}

function trimmed(text: string, edge: RegExp): string | undefined {
  let start = 0;
  let end = text.length;
  while (start < end && edge.test(text[start] as string)) start++;
  while (end > start && edge.test(text[end - 1] as string)) end--;
  return start === end ? undefined : text.slice(start, end);
}

const ID = /^sha512-[^-]+$/;

/** An image id: the reference's code looks at nothing but the form `sha512-X`. */
export function checkImageId(text: string, field: string, context: Context): string {
  if (!ID.test(text)) throw context.bad(field, text === '' ? 'is missing or empty' : `${shown(text)} is no image id (sha512-HEX)`);
  if (!/^sha512-([0-9a-f]{64}|[0-9a-f]{128})$/.test(text)) context.warn(field, `${shown(text)} is not a SHA-512 in hexadecimal digits`);
  return text;
}

/** Semantic Versioning 2.0, as the specification's version of a manifest. */
const SEMVER = /^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?$/;
const SEMVER_LOOSE = /^(\d{1,18})\.(\d{1,18})\.(\d{1,18})(?:-[^+]*)?(?:\+.*)?$/s;
const OUR_MAJOR = 0;

export function checkVersion(text: string, field: string, context: Context): string {
  const match = SEMVER_LOOSE.exec(text);
  if (match === null) throw context.bad(field, text === '' ? 'is missing or empty' : `${shown(text)} is no version (x.y.z)`);
  const [major, minor, patch] = match.slice(1, 4).map(Number);
  if (major === 0 && minor === 0 && patch === 0) throw context.bad(field, 'must not be 0.0.0');
  if (!SEMVER.test(text)) context.warn(field, `${shown(text)} is not in the form of Semantic Versioning 2.0`);
  if (major !== OUR_MAJOR) context.warn(field, `${shown(text)} is of another major version than 0.8.11`);
  return text;
}
