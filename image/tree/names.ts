/**
 * File names inside the tree are *byte strings*: JavaScript strings in which each
 * character (0..255) is one byte of the name. Linux names are bytes, not text; this form
 * keeps names that are not UTF-8 intact, works as a Map key, and sorts in byte order with
 * the plain string comparison. Nothing outside this file converts them.
 */
export type ByteString = string;

/** Longest name of one directory entry (Linux NAME_MAX), in bytes. */
export const NAME_MAX = 255;
/** Longest path or symbolic link target (Linux PATH_MAX less its NUL), in bytes. */
export const PATH_MAX = 4095;

/** The byte string of a text, encoded as UTF-8. */
export function byteString(text: string): ByteString {
  return Buffer.from(text, 'utf8').toString('latin1');
}

/** The byte string that holds these bytes. */
export function byteStringOf(bytes: Uint8Array): ByteString {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}

/** The bytes of a byte string. */
export function bytesOf(name: ByteString): Buffer {
  return Buffer.from(name, 'latin1');
}

/** A name as text: UTF-8 decoded, bytes that are not UTF-8 become U+FFFD. */
function textOf(name: ByteString): string {
  return Buffer.from(name, 'latin1').toString('utf8');
}

/** A name for one line of a message: control characters escaped, long names shortened. */
export function quoteName(name: ByteString): string {
  const shown = name.length > 200 ? `${name.slice(0, 200)}...` : name;
  return JSON.stringify(textOf(shown)).replace(
    // C1 controls too: a terminal may act on them.
    /[\u007f-\u009f]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
