/** The byte that makes all bytes of a structure add up to 0 modulo 256, as the MP and ACPI tables want it. */
export function checksum(bytes: Uint8Array): number {
  let sum = 0;
  for (const byte of bytes) sum += byte;
  return (256 - (sum & 255)) & 255;
}
