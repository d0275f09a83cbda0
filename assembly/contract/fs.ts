/**
 * Requests of virtio-fs devices as the core hands them to the host, and the host's answers. Device slot n has FS_BASE + n * FS_STRIDE
 * (assembly/core/layout.ts):
 *
 *   0x00000  requests, FS_REQUEST_SIZE × FS_REQUESTS, by tag
 *   0x10000  the text of the request taken last: what follows struct fuse_in_header, names with their NUL
 *   0x22000  its pieces in guest memory, {u32 linear offset, u32 length}: the place for the answer, READ's data among them
 *   0x22800  likewise, WRITE's data
 *   0x23000  the host's answer to it
 *
 * Of a request that waits (a lock) the first alone stays. Both compilers read this folder: plain constants only.
 */
/** As many as a queue has descriptors: each may wait for a lock. */
export const FS_REQUESTS: u32 = 256;
export const FS_REQUEST_SIZE: u32 = 256;
export const FS_TEXT: u32 = 0x1_0000;
export const FS_TEXT_SIZE: u32 = 0x1_2000;
export const FS_PIECES: u32 = 0x2_2000;
export const FS_DATA: u32 = 0x2_2800;
export const FS_REPLY: u32 = 0x2_3000;
export const FS_REPLY_SIZE: u32 = 0x1_d000;

// Byte offsets in a request. Those below 0x20 are the core's own.
export const FS_REQ_OPCODE: u32 = 0x20;
/** The one supplementary group that the caller's kernel tells of, or FS_NO_GROUP. */
export const FS_REQ_GROUP: u32 = 0x24;
export const FS_REQ_UNIQUE: u32 = 0x28;
export const FS_REQ_NODEID: u32 = 0x30;
export const FS_REQ_UID: u32 = 0x38;
export const FS_REQ_GID: u32 = 0x3c;
/** Bytes of the answer that the driver has room for, behind the header. */
export const FS_REQ_ROOM: u32 = 0x40;
/** First name, linear offset of a C string; its length. */
export const FS_REQ_NAME: u32 = 0x44;
export const FS_REQ_NAME_LENGTH: u32 = 0x48;
/** Second name, a link's text, or an attribute's value. */
export const FS_REQ_SECOND: u32 = 0x4c;
export const FS_REQ_SECOND_LENGTH: u32 = 0x50;
/** READ: pieces at FS_PIECES, and the bytes that are wanted, which may be fewer than theirs. WRITE: pieces at FS_DATA, and their bytes. */
export const FS_REQ_BYTES: u32 = 0x58;
/** Whose request it is, as the guest's kernel counts processes. */
export const FS_REQ_PID: u32 = 0x5c;
/** The operation's own structure, fuse_*_in. */
export const FS_REQ_ARGUMENTS: u32 = 0x80;
export const FS_ARGUMENTS_MAX: u32 = 0x80;

export const FS_NO_GROUP: u32 = 0xffff_ffff;
/** `tag` of `host_fs` when the driver reset the device: all that it had open is gone. */
export const FS_RESET: u32 = 0xffff;

// Flags of `fs_add`: what the host can do.
/** Several directories of the host behind one device: their own numbers of devices and inodes. */
export const FS_SUBMOUNTS: u32 = 1;
export const FS_LOCKS: u32 = 2;
/** The guest may hold writes back: nobody else uses the files. */
export const FS_WRITEBACK: u32 = 4;

/** Bytes of a file system's tag (virtio 1.2 §5.11.4). */
export const FS_TAG_BYTES: u32 = 36;
/** One queue for requests that must not wait, one for the others: one thread of the host serves both. */
export const FS_QUEUES: u32 = 2;
export const FS_HIPRIO: u32 = 0;
/** Most bytes of a name. */
export const FS_NAME_BYTES: u32 = 255;
