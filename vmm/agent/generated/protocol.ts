// Made by scripts/protocol.mjs from guest-kernel/init/protocol.h; do not edit.

export const PROTOCOL_VERSION_MIN = 1;
export const PROTOCOL_VERSION_MAX = 1;

export const PORT_CONTROL = 1024;
export const PORT_STREAM = 1025;

// Message header: u32 length of the payload, u16 type, u16 flags, u32 id.
export const HEADER_SIZE = 12;
export const MAX_REQUEST = 4 * 1024 * 1024; // payload, host to guest
export const MAX_REPORT = 64 * 1024; // payload, guest to host

export const FLAG_REPLY = 0x0001;
export const FLAG_ERROR = 0x0002;

// Stream header: u32 magic, u16 version, u16 stream, u32 process, u32 zero, u8 token[16].
export const STREAM_HEADER_SIZE = 32;
export const STREAM_MAGIC = 0x534d4d56; // "VMMS"
export const TOKEN_SIZE = 16;

export const STREAM_STDIN = 0;
export const STREAM_STDOUT = 1;
export const STREAM_STDERR = 2;
export const STREAM_TTY = 3;
export const STREAM_SOCKET = 4; // a connection that a listener took; its number is in the place of the process

// Messages of both sides.
export const MSG_HELLO = 0x0001;
// Requests of the host.
export const MSG_START = 0x0010;
export const MSG_EXEC = 0x0011;
export const MSG_SIGNAL = 0x0012;
export const MSG_RESIZE = 0x0013;
export const MSG_PAUSE = 0x0014;
export const MSG_RESUME = 0x0015;
export const MSG_STATS = 0x0016;
export const MSG_UPDATE = 0x0017;
export const MSG_RELEASE = 0x0018;
export const MSG_SHUTDOWN = 0x0020;
export const MSG_SET_TIME = 0x0021;
export const MSG_PING = 0x0022;
export const MSG_SYNC = 0x0023;
export const MSG_SLOT = 0x0030;
export const MSG_VOLUME = 0x0031;
export const MSG_RAISE = 0x0032;
export const MSG_NETWORK = 0x0040;
export const MSG_LISTEN = 0x0041;
// Events of the guest.
export const MSG_EXIT = 0x0080;
export const MSG_FATAL = 0x0081;
export const MSG_BYE = 0x0082;
export const MSG_LOG = 0x0083;
export const MSG_READY = 0x0084;

// Tags below TAG_OPTIONAL must be understood; the others may be skipped.
export const TAG_OPTIONAL = 0x8000;

export const TAG_VERSION = 0x0001;
export const TAG_TOKEN = 0x0002;
export const TAG_TIME = 0x0003;
export const TAG_TIME_STEP = 0x0004;
export const TAG_SEED = 0x8004;
export const TAG_BUILD = 0x8005;
export const TAG_FEATURES = 0x8006;
export const TAG_BOOT_NS = 0x8007;
export const TAG_KERNEL = 0x8008;
export const TAG_CLOCK = 0x8009;

export const TAG_CONTAINER = 0x0010;
export const TAG_PROCESS = 0x0011;
export const TAG_PID = 0x0012;

export const TAG_ARG = 0x0020;
export const TAG_ENV = 0x0021;
export const TAG_CWD = 0x0022;
export const TAG_USER = 0x0023;
export const TAG_GROUP_ADD = 0x0024;
export const TAG_STDIO = 0x0025;
export const TAG_WINSIZE = 0x0026;
export const TAG_CAPS = 0x0027;
export const TAG_NO_NEW_PRIVS = 0x0028;
export const TAG_RLIMIT = 0x0029;
export const TAG_SECCOMP = 0x002a;
export const TAG_OOM_SCORE_ADJ = 0x002b;
export const TAG_UMASK = 0x002c;
export const TAG_BUILTIN = 0x002d;
export const TAG_CWD_THERE = 0x002e;

export const TAG_ROOT = 0x0040;
export const TAG_MOUNT = 0x0041;
export const TAG_OVERLAY = 0x0042;
export const TAG_READ_ONLY = 0x0043;
export const TAG_HOSTNAME = 0x0044;
export const TAG_DOMAIN = 0x0045;
export const TAG_FILE = 0x0046;
export const TAG_MASKED_PATH = 0x0047;
export const TAG_READONLY_PATH = 0x0048;
export const TAG_SYSCTL = 0x0049;
export const TAG_DEVICE = 0x004a;
export const TAG_CGROUP = 0x004b;
export const TAG_NAMESPACE = 0x004c;
export const TAG_REAPER = 0x004d;
export const TAG_STOP_SIGNAL = 0x004e;
export const TAG_SANDBOX = 0x004f;
export const TAG_HOLD = 0x0050;
export const TAG_DEVICE_RULE = 0x0051;
export const TAG_ALL_DEVICES = 0x0052;
export const TAG_NOTIFY = 0x0053;
export const TAG_ACTIVATED = 0x0056;
export const TAG_MASKED_CLOSED = 0x0057;

export const TAG_KIND = 0x0060;
export const TAG_SOURCE = 0x0061;
export const TAG_FSTYPE = 0x0062;
export const TAG_TARGET = 0x0063;
export const TAG_FLAGS = 0x0064;
export const TAG_DATA = 0x0065;
export const TAG_SUBPATH = 0x0066;
export const TAG_MODE = 0x0067;
export const TAG_OWNER = 0x0068;
export const TAG_SIZE = 0x0069;
export const TAG_CONTENT = 0x006a;
export const TAG_NODE = 0x006b;

export const TAG_CODE = 0x0070;
export const TAG_ERRNO = 0x0071;
export const TAG_TEXT = 0x0072;

export const TAG_STATUS = 0x0080;
export const TAG_BYTES = 0x0081;
export const TAG_USAGE = 0x8082;
export const TAG_STREAMS = 0x0083;

export const TAG_SIGNAL = 0x0090;
export const TAG_SCOPE = 0x0091;
export const TAG_POWER = 0x0092;
export const TAG_TIMEOUT = 0x0093;

export const TAG_SLOT = 0x00a0;
export const TAG_ACTION = 0x00a1;
export const TAG_STAT = 0x00b0;
export const TAG_EXPORT = 0x00c0;
export const TAG_CHANGE = 0x00c1;

export const TAG_INTERFACE = 0x00d0;
export const TAG_CARD = 0x00d1;
export const TAG_ADDRESS = 0x00d2;
export const TAG_ROUTE = 0x00d3;
export const TAG_MTU = 0x00d4;
export const TAG_LISTENER = 0x00d5;
export const TAG_PORT = 0x00d6;
export const TAG_SHARED_PORT = 0x00d7;

export const STDIO_STDIN = 1;
export const STDIO_STDOUT = 2;
export const STDIO_STDERR = 4;
export const STDIO_TTY = 8;

export const SOURCE_NONE = 0;
export const SOURCE_BLOCK = 1;
export const SOURCE_SHARE = 2;
export const SOURCE_VOLUME = 3;
export const SOURCE_DIRECTORY = 4;
export const SOURCE_ROOT = 5;

export const OVERLAY_TMPFS = 0;
export const OVERLAY_BLOCK = 1;
export const OVERLAY_KEPT = 2; // a block device whose content outlives the machine

export const NAMESPACE_NEW = 0;
export const NAMESPACE_VM = 1;
export const NAMESPACE_JOIN = 2;

export const FILE_IF_ABSENT = 1;
export const FILE_KEPT = 2;

export const DEVICE_MKNOD = 1;
export const DEVICE_READ = 2;
export const DEVICE_WRITE = 4;
export const DEVICE_ALL = 7;
export const DEVICE_ANY = 0xffffffff; // major or minor number

export const STATUS_EXITED = 0;
export const STATUS_SIGNALED = 1;
export const STATUS_CORE = 1;
export const STATUS_OOM = 2;
export const STATUS_FULL = 4;

export const SCOPE_PROCESS = 0;
export const SCOPE_CONTAINER = 1;
export const SCOPE_GROUP = 2; // a process and what it has started

export const POWER_OFF = 1;
export const POWER_REBOOT = 2;
export const POWER_HALT = 4;

export const SLOT_DISK = 1;
export const SLOT_NIC = 2;
export const SLOT_SHARE = 3;

// What happened on the host to a name of a share, raised in this order.
export const CHANGE_DELETE = 1;
export const CHANGE_CREATE = 2;
export const CHANGE_MODIFY = 4;
export const CHANGE_ATTRIB = 8;
export const CHANGE_CLOSE_WRITE = 16;

export const ACTION_ADD = 1;
export const ACTION_REMOVE = 2;
export const ACTION_DETACH = 3; // whoever uses it keeps what it has open

// Error codes of a reply with FLAG_ERROR.
export const ERR_PROTOCOL = 1;
export const ERR_UNKNOWN_TYPE = 2;
export const ERR_UNSUPPORTED = 3;
export const ERR_INVALID = 4;
export const ERR_NOT_FOUND = 5;
export const ERR_EXISTS = 6;
export const ERR_LIMIT = 7;
export const ERR_DEVICE = 8;
export const ERR_ROOT = 9;
export const ERR_MOUNT = 10;
export const ERR_USER = 11;
export const ERR_CWD = 12;
export const ERR_COMMAND_NOT_FOUND = 13;
export const ERR_COMMAND_NOT_EXECUTABLE = 14;
export const ERR_CGROUP = 15;
export const ERR_NAMESPACE = 16;
export const ERR_SECURITY = 17;
export const ERR_RLIMIT = 18;
export const ERR_FILE = 19;
export const ERR_TTY = 20;
export const ERR_SYSTEM = 21;

// Bounds that both sides keep.
export const MAX_STRING = 131072; // MAX_ARG_STRLEN of Linux
export const MAX_PATH = 4096;
export const MAX_EXPORT = 255; // NAME_MAX
export const MAX_CHANGES = 64;
export const MAX_CONTAINERS = 64;
export const MAX_ACTIVATED = 16;
export const MAX_PROCESSES = 1024;
