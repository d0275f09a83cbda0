/** Which family a text is an address of: 4, 6, or 0 for none. As `isIP` of Node's net, without loading that module at a start. */
export function ipVersion(text: string): 0 | 4 | 6 {
  if (IPV4.test(text)) return 4;
  return isV6(text) ? 6 : 0;
}

const BYTE = '(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)';
const IPV4 = new RegExp(`^${BYTE}(?:\\.${BYTE}){3}$`);
const GROUP = /^[0-9a-f]{1,4}$/i;

/** RFC 4291 2.2, with a zone as RFC 4007 11 writes it. */
function isV6(text: string): boolean {
  const bare = text.replace(/%[0-9a-zA-Z.:-]+$/, '');
  const v4 = /^(.*:)([\d.]+)$/.exec(bare);
  const plain = v4 !== null && bare.includes('.') ? (IPV4.test(v4[2] ?? '') ? `${v4[1]}0:0` : '') : bare;
  const halves = plain.split('::');
  const groups = halves.map((half) => (half === '' ? [] : half.split(':')));
  const count = groups.flat().length;
  return groups.flat().every((group) => GROUP.test(group)) && (halves.length === 1 ? count === 8 : halves.length === 2 && count < 8);
}
