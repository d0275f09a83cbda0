/**
 * The inodes that a guest knows, in the linear memory behind its RAM: an inode is one file of the host, whatever its names, and is
 * remembered by the name it was seen under last. It is forgotten when the guest has, and nothing of ours needs it any more.
 *
 *   0        header: HEAD_*, then the heads of the lists of free name pieces
 *   4096     buckets, a u32 each: index of the first entry
 *   then     entries upwards, ENTRY_WORDS each; from FIRST
 *   the end  names downwards, pieces of NAME_GRAIN bytes: a byte of length, the name, a NUL
 */
const HEAD_BYTES = 4096;
/** Words of the header. */
const HEAD_FREE = 0;
const HEAD_ENTRIES = 1;
const HEAD_NAMES = 2;
const HEAD_PIECES = 16;
/** Nothing has the numbers 0 and FUSE_ROOT_ID. */
const FIRST = 2;

const ENTRY_WORDS = 16;
const ENTRY_BYTES = ENTRY_WORDS * 4;
const NAME_GRAIN = 16;

// Words of an entry.
const NEXT = 0; // in its bucket, or among the free
const PARENT = 1;
const NAME = 2; // offset of its piece
const GENERATION = 3;
const LOOKUPS = 4; // two words
const DEV = 6;
const INO = 7; // two words
const BORN = 9;
const PLACE = 10; // export, above it the type (S_IFMT >> 12)
const CHILDREN = 11; // entries whose parent it is
const PINS = 12; // open files
const FLAGS = 13;
const SEEN = 14; // the file as it was at the last open, mixed
const KEYED = 1; // it is in a bucket
/** Its name is gone; only a descriptor leads to it. */
const NAMELESS = 2;

/** What tells one file of the host from another. */
export interface FileKey {
  readonly dev: number;
  readonly inoLow: number;
  readonly inoHigh: number;
  /** The time of its birth, mixed: numbers of inodes are used again. */
  readonly born: number;
  /** S_IFMT >> 12. */
  readonly type: number;
}

export class Nodes {
  readonly #words: Uint32Array;
  readonly #bytes: Uint8Array;
  /** Linear offset of all this. */
  readonly #base: number;
  readonly #size: number;
  readonly #buckets: number;
  readonly #entries: number;
  /** How many there are. */
  count = 0;

  /** `base`, `size`: in bytes, multiples of 65536. What is there must be zeros, or this table. */
  constructor(buffer: ArrayBufferLike, base: number, size: number) {
    this.#words = new Uint32Array(buffer, base, size / 4);
    this.#bytes = new Uint8Array(buffer, base, size);
    this.#base = base;
    this.#size = size;
    this.#buckets = 2 ** Math.floor(Math.log2(size / 256));
    this.#entries = HEAD_BYTES + this.#buckets * 4;
    if (this.#words[HEAD_NAMES] === 0) this.clear();
  }

  /** Forgets all. */
  clear(): void {
    this.#words.fill(0, 0, this.#entries / 4);
    this.#words[HEAD_ENTRIES] = FIRST;
    this.#words[HEAD_NAMES] = this.#size;
    this.count = 0;
  }

  // ---- identity ------------------------------------------------------------------------------------------------

  /** The entry that a FUSE node id means, 0: none. `low`, `high`: its halves. */
  find(low: number, high: number): number {
    if (low < FIRST || low >= (this.#words[HEAD_ENTRIES] as number)) return 0;
    return this.#get(low, GENERATION) === high && this.#alive(low) ? low : 0;
  }

  #alive(index: number): boolean {
    return this.#get(index, PLACE) !== 0;
  }

  generation(index: number): number {
    return this.#get(index, GENERATION);
  }

  /** The entry of a file that is known already, 0: none. */
  known(share: number, key: FileKey): number {
    for (let index = this.#words[this.#bucket(share, key)] as number; index !== 0; index = this.#get(index, NEXT)) if (this.is(index, share, key)) return index;
    return 0;
  }

  is(index: number, share: number, { dev, inoLow, inoHigh, born, type }: FileKey): boolean {
    const at = this.#at(index);
    const words = this.#words;
    return words[at + INO] === inoLow && words[at + DEV] === dev && words[at + INO + 1] === inoHigh && words[at + BORN] === born && words[at + PLACE] === (type << 16) + share + 1;
  }

  /** A new entry without a name, 0: the table is full. */
  add(share: number, key: FileKey): number {
    const words = this.#words;
    let index = words[HEAD_FREE] as number;
    let generation = 0;
    if (index !== 0) {
      words[HEAD_FREE] = this.#get(index, NEXT);
      generation = this.#get(index, GENERATION);
    } else {
      index = words[HEAD_ENTRIES] as number;
      if (this.#entries + (index + 1) * ENTRY_BYTES > (words[HEAD_NAMES] as number)) return 0;
      words[HEAD_ENTRIES] = index + 1;
    }
    const at = this.#at(index);
    words.fill(0, at, at + ENTRY_WORDS);
    words[at + GENERATION] = generation;
    words[at + DEV] = key.dev;
    words[at + INO] = key.inoLow;
    words[at + INO + 1] = key.inoHigh;
    words[at + BORN] = key.born;
    words[at + PLACE] = (key.type << 16) + share + 1;
    const bucket = this.#bucket(share, key);
    words[at + NEXT] = words[bucket] as number;
    words[at + FLAGS] = KEYED;
    words[bucket] = index;
    this.count++;
    return index;
  }

  share(index: number): number {
    return (this.#get(index, PLACE) & 0xffff) - 1;
  }

  type(index: number): number {
    return this.#get(index, PLACE) >>> 16;
  }

  // ---- names ---------------------------------------------------------------------------------------------------

  /** It is seen as `name` (a linear offset, `length` bytes) in `parent`; false: no room for the name. */
  setName(index: number, parent: number, name: number, length: number): boolean {
    const at = this.#at(index);
    const words = this.#words;
    const piece = words[at + NAME] as number;
    const from = name - this.#base;
    if (words[at + PARENT] === parent && piece !== 0 && this.#sameName(piece, from, length)) {
      words[at + FLAGS] = (words[at + FLAGS] as number) & ~NAMELESS;
      return true;
    }
    const fresh = this.#newPiece(length);
    if (fresh === 0) return false;
    this.#bytes[fresh] = length;
    this.#copyName(fresh + 1, name, length);
    this.#bytes[fresh + 1 + length] = 0;
    this.#dropName(index);
    words[at + NAME] = fresh;
    words[at + PARENT] = parent;
    words[at + FLAGS] = (words[at + FLAGS] as number) & ~NAMELESS;
    if (parent !== 0) this.#change(parent, CHILDREN, 1);
    return true;
  }

  /** Its name does not lead to it any more. */
  loseName(index: number): void {
    this.#words[this.#at(index) + FLAGS] = this.#get(index, FLAGS) | NAMELESS;
  }

  nameless(index: number): boolean {
    return (this.#get(index, FLAGS) & NAMELESS) !== 0;
  }

  parent(index: number): number {
    return this.#get(index, PARENT);
  }

  /** Linear offset of its name, a C string. */
  name(index: number): number {
    return this.#base + this.#get(index, NAME) + 1;
  }

  /** Is it seen under this name? */
  called(index: number, parent: number, name: number, length: number): boolean {
    return this.#get(index, PARENT) === parent && !this.nameless(index) && this.#get(index, NAME) !== 0 && this.#sameName(this.#get(index, NAME), name - this.#base, length);
  }

  // ---- how long it stays ---------------------------------------------------------------------------------------

  /** The guest has learnt of it once more. */
  looked(index: number): void {
    const at = this.#at(index) + LOOKUPS;
    const low = ((this.#words[at] as number) + 1) >>> 0;
    this.#words[at] = low;
    if (low === 0) this.#words[at + 1] = (this.#words[at + 1] as number) + 1;
  }

  /** The guest forgets it `n` times. True: nobody needs the entry, `free` it. */
  forget(index: number, n: number): boolean {
    const at = this.#at(index) + LOOKUPS;
    const left = Math.max(0, (this.#words[at] as number) + (this.#words[at + 1] as number) * 2 ** 32 - n);
    this.#words[at] = left % 2 ** 32;
    this.#words[at + 1] = Math.floor(left / 2 ** 32);
    return this.unused(index);
  }

  unused(index: number): boolean {
    const at = this.#at(index);
    const words = this.#words;
    return words[at + LOOKUPS] === 0 && words[at + LOOKUPS + 1] === 0 && words[at + CHILDREN] === 0 && words[at + PINS] === 0;
  }

  pin(index: number, by: 1 | -1): void {
    this.#change(index, PINS, by);
  }

  /** How many open files and locks need it. */
  pinned(index: number): number {
    return this.#get(index, PINS);
  }

  /** Lets an unused entry go; its parent, which may be unused now: the caller looks, 0: none. */
  free(index: number): number {
    const words = this.#words;
    const at = this.#at(index);
    const parent = words[at + PARENT] as number;
    this.unkey(index);
    this.#dropName(index);
    words[at + PLACE] = 0;
    words[at + GENERATION] = ((words[at + GENERATION] as number) + 1) >>> 0;
    words[at + NEXT] = words[HEAD_FREE] as number;
    words[HEAD_FREE] = index;
    this.count--;
    return parent;
  }

  /** It cannot be found by its file any more: that is another one now. */
  unkey(index: number): void {
    const words = this.#words;
    const at = this.#at(index);
    if (((words[at + FLAGS] as number) & KEYED) === 0) return;
    words[at + FLAGS] = (words[at + FLAGS] as number) & ~KEYED;
    const key = { dev: words[at + DEV] as number, inoLow: words[at + INO] as number, inoHigh: words[at + INO + 1] as number, born: 0, type: 0 };
    let before = this.#bucket(this.share(index), key);
    while (words[before] !== index) before = this.#at(words[before] as number) + NEXT;
    words[before] = words[at + NEXT] as number;
  }

  // ---- what else is remembered ------------------------------------------------------------------------------------

  /** What the file was like (`now`) when this was asked last: true when it is still so. */
  unchanged(index: number, now: number): boolean {
    const at = this.#at(index) + SEEN;
    const same = this.#words[at] === now;
    this.#words[at] = now;
    return same;
  }

  /** Calls back for each entry of a share. */
  each(share: number, found: (index: number) => void): void {
    for (let index = FIRST; index < (this.#words[HEAD_ENTRIES] as number); index++) if (this.#alive(index) && this.share(index) === share) found(index);
  }

  // ---- words ---------------------------------------------------------------------------------------------------

  #at(index: number): number {
    return (this.#entries + index * ENTRY_BYTES) >>> 2;
  }

  #get(index: number, word: number): number {
    return this.#words[this.#at(index) + word] as number;
  }

  #change(index: number, word: number, by: number): void {
    const at = this.#at(index) + word;
    this.#words[at] = (this.#words[at] as number) + by;
  }

  #bucket(share: number, { dev, inoLow, inoHigh }: FileKey): number {
    let hash = Math.imul(inoLow ^ Math.imul(inoHigh, 0x85eb_ca6b) ^ Math.imul(dev + share, 0xc2b2_ae35), 0x9e37_79b1);
    hash ^= hash >>> 15;
    return HEAD_BYTES / 4 + (hash & (this.#buckets - 1));
  }

  #sameName(piece: number, from: number, length: number): boolean {
    const bytes = this.#bytes;
    if (bytes[piece] !== length) return false;
    for (let i = 0; i < length; i++) if (bytes[piece + 1 + i] !== this.#byte(from + i)) return false;
    return true;
  }

  /** Names come from anywhere in the linear memory. */
  #byte(offset: number): number {
    return this.#all[this.#base + offset] as number;
  }

  #copyName(to: number, name: number, length: number): void {
    for (let i = 0; i < length; i++) this.#bytes[to + i] = this.#all[name + i] as number;
  }

  get #all(): Uint8Array {
    this.#allBytes ??= new Uint8Array(this.#words.buffer);
    return this.#allBytes;
  }

  #allBytes: Uint8Array | undefined;

  #newPiece(length: number): number {
    const grains = Math.ceil((length + 2) / NAME_GRAIN);
    const words = this.#words;
    const head = HEAD_PIECES + grains;
    const free = words[head] as number;
    if (free !== 0) {
      words[head] = words[free >>> 2] as number;
      return free;
    }
    const at = (words[HEAD_NAMES] as number) - grains * NAME_GRAIN;
    if (at < this.#entries + ((words[HEAD_ENTRIES] as number) + 1) * ENTRY_BYTES) return 0;
    words[HEAD_NAMES] = at;
    return at;
  }

  #dropName(index: number): void {
    const words = this.#words;
    const at = this.#at(index);
    const piece = words[at + NAME] as number;
    if (piece !== 0) {
      const head = HEAD_PIECES + Math.ceil(((this.#bytes[piece] as number) + 2) / NAME_GRAIN);
      words[piece >>> 2] = words[head] as number;
      words[head] = piece;
      words[at + NAME] = 0;
    }
    const parent = words[at + PARENT] as number;
    if (parent !== 0) this.#change(parent, CHILDREN, -1);
    words[at + PARENT] = 0;
  }
}
