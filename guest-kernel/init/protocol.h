/*
 * The agent protocol, version 1; docs/agent-protocol.md describes it.
 * scripts/protocol.mjs makes vmm/agent/generated/protocol.ts from this file.
 */
#ifndef VMM_PROTOCOL_H
#define VMM_PROTOCOL_H

#define PROTOCOL_VERSION_MIN 1
#define PROTOCOL_VERSION_MAX 1

#define PORT_CONTROL 1024
#define PORT_STREAM 1025

/* Message header: u32 length of the payload, u16 type, u16 flags, u32 id. */
#define HEADER_SIZE 12
#define MAX_REQUEST (4 * 1024 * 1024) /* payload, host to guest */
#define MAX_REPORT (64 * 1024)        /* payload, guest to host */

#define FLAG_REPLY 0x0001
#define FLAG_ERROR 0x0002

/* Stream header: u32 magic, u16 version, u16 stream, u32 process, u32 zero, u8 token[16]. */
#define STREAM_HEADER_SIZE 32
#define STREAM_MAGIC 0x534d4d56 /* "VMMS" */
#define TOKEN_SIZE 16

#define STREAM_STDIN 0
#define STREAM_STDOUT 1
#define STREAM_STDERR 2
#define STREAM_TTY 3
#define STREAM_SOCKET 4 /* a connection that a listener took; its number is in the place of the process */

/* Messages of both sides. */
#define MSG_HELLO 0x0001
/* Requests of the host. */
#define MSG_START 0x0010
#define MSG_EXEC 0x0011
#define MSG_SIGNAL 0x0012
#define MSG_RESIZE 0x0013
#define MSG_PAUSE 0x0014
#define MSG_RESUME 0x0015
#define MSG_STATS 0x0016
#define MSG_UPDATE 0x0017
#define MSG_RELEASE 0x0018
#define MSG_SHUTDOWN 0x0020
#define MSG_SET_TIME 0x0021
#define MSG_PING 0x0022
#define MSG_SYNC 0x0023
#define MSG_SLOT 0x0030
#define MSG_VOLUME 0x0031
#define MSG_RAISE 0x0032
#define MSG_NETWORK 0x0040
#define MSG_LISTEN 0x0041
/* Events of the guest. */
#define MSG_EXIT 0x0080
#define MSG_FATAL 0x0081
#define MSG_BYE 0x0082
#define MSG_LOG 0x0083
#define MSG_READY 0x0084

/* Tags below TAG_OPTIONAL must be understood; the others may be skipped. */
#define TAG_OPTIONAL 0x8000

#define TAG_VERSION 0x0001
#define TAG_TOKEN 0x0002
#define TAG_TIME 0x0003
#define TAG_TIME_STEP 0x0004
#define TAG_SEED 0x8004
#define TAG_BUILD 0x8005
#define TAG_FEATURES 0x8006
#define TAG_BOOT_NS 0x8007
#define TAG_KERNEL 0x8008
#define TAG_CLOCK 0x8009

#define TAG_CONTAINER 0x0010
#define TAG_PROCESS 0x0011
#define TAG_PID 0x0012

#define TAG_ARG 0x0020
#define TAG_ENV 0x0021
#define TAG_CWD 0x0022
#define TAG_USER 0x0023
#define TAG_GROUP_ADD 0x0024
#define TAG_STDIO 0x0025
#define TAG_WINSIZE 0x0026
#define TAG_CAPS 0x0027
#define TAG_NO_NEW_PRIVS 0x0028
#define TAG_RLIMIT 0x0029
#define TAG_SECCOMP 0x002a
#define TAG_OOM_SCORE_ADJ 0x002b
#define TAG_UMASK 0x002c
#define TAG_BUILTIN 0x002d
#define TAG_CWD_THERE 0x002e

#define TAG_ROOT 0x0040
#define TAG_MOUNT 0x0041
#define TAG_OVERLAY 0x0042
#define TAG_READ_ONLY 0x0043
#define TAG_HOSTNAME 0x0044
#define TAG_DOMAIN 0x0045
#define TAG_FILE 0x0046
#define TAG_MASKED_PATH 0x0047
#define TAG_READONLY_PATH 0x0048
#define TAG_SYSCTL 0x0049
#define TAG_DEVICE 0x004a
#define TAG_CGROUP 0x004b
#define TAG_NAMESPACE 0x004c
#define TAG_REAPER 0x004d
#define TAG_STOP_SIGNAL 0x004e
#define TAG_SANDBOX 0x004f
#define TAG_HOLD 0x0050
#define TAG_DEVICE_RULE 0x0051
#define TAG_ALL_DEVICES 0x0052
#define TAG_NOTIFY 0x0053
#define TAG_ACTIVATED 0x0056
#define TAG_MASKED_CLOSED 0x0057

#define TAG_KIND 0x0060
#define TAG_SOURCE 0x0061
#define TAG_FSTYPE 0x0062
#define TAG_TARGET 0x0063
#define TAG_FLAGS 0x0064
#define TAG_DATA 0x0065
#define TAG_SUBPATH 0x0066
#define TAG_MODE 0x0067
#define TAG_OWNER 0x0068
#define TAG_SIZE 0x0069
#define TAG_CONTENT 0x006a
#define TAG_NODE 0x006b

#define TAG_CODE 0x0070
#define TAG_ERRNO 0x0071
#define TAG_TEXT 0x0072

#define TAG_STATUS 0x0080
#define TAG_BYTES 0x0081
#define TAG_USAGE 0x8082
#define TAG_STREAMS 0x0083

#define TAG_SIGNAL 0x0090
#define TAG_SCOPE 0x0091
#define TAG_POWER 0x0092
#define TAG_TIMEOUT 0x0093

#define TAG_SLOT 0x00a0
#define TAG_ACTION 0x00a1
#define TAG_STAT 0x00b0
#define TAG_EXPORT 0x00c0
#define TAG_CHANGE 0x00c1

#define TAG_INTERFACE 0x00d0
#define TAG_CARD 0x00d1
#define TAG_ADDRESS 0x00d2
#define TAG_ROUTE 0x00d3
#define TAG_MTU 0x00d4
#define TAG_LISTENER 0x00d5
#define TAG_PORT 0x00d6
#define TAG_SHARED_PORT 0x00d7

#define STDIO_STDIN 1
#define STDIO_STDOUT 2
#define STDIO_STDERR 4
#define STDIO_TTY 8

#define SOURCE_NONE 0
#define SOURCE_BLOCK 1
#define SOURCE_SHARE 2
#define SOURCE_VOLUME 3
#define SOURCE_DIRECTORY 4
#define SOURCE_ROOT 5

#define OVERLAY_TMPFS 0
#define OVERLAY_BLOCK 1
#define OVERLAY_KEPT 2 /* a block device whose content outlives the machine */

#define NAMESPACE_NEW 0
#define NAMESPACE_VM 1
#define NAMESPACE_JOIN 2

#define FILE_IF_ABSENT 1
#define FILE_KEPT 2

#define DEVICE_MKNOD 1
#define DEVICE_READ 2
#define DEVICE_WRITE 4
#define DEVICE_ALL 7
#define DEVICE_ANY 0xffffffff /* major or minor number */

#define STATUS_EXITED 0
#define STATUS_SIGNALED 1
#define STATUS_CORE 1
#define STATUS_OOM 2
#define STATUS_FULL 4

#define SCOPE_PROCESS 0
#define SCOPE_CONTAINER 1
#define SCOPE_GROUP 2 /* a process and what it has started */

#define POWER_OFF 1
#define POWER_REBOOT 2
#define POWER_HALT 4

#define SLOT_DISK 1
#define SLOT_NIC 2
#define SLOT_SHARE 3

/* What happened on the host to a name of a share, raised in this order. */
#define CHANGE_DELETE 1
#define CHANGE_CREATE 2
#define CHANGE_MODIFY 4
#define CHANGE_ATTRIB 8
#define CHANGE_CLOSE_WRITE 16

#define ACTION_ADD 1
#define ACTION_REMOVE 2
#define ACTION_DETACH 3 /* whoever uses it keeps what it has open */

/* Error codes of a reply with FLAG_ERROR. */
#define ERR_PROTOCOL 1
#define ERR_UNKNOWN_TYPE 2
#define ERR_UNSUPPORTED 3
#define ERR_INVALID 4
#define ERR_NOT_FOUND 5
#define ERR_EXISTS 6
#define ERR_LIMIT 7
#define ERR_DEVICE 8
#define ERR_ROOT 9
#define ERR_MOUNT 10
#define ERR_USER 11
#define ERR_CWD 12
#define ERR_COMMAND_NOT_FOUND 13
#define ERR_COMMAND_NOT_EXECUTABLE 14
#define ERR_CGROUP 15
#define ERR_NAMESPACE 16
#define ERR_SECURITY 17
#define ERR_RLIMIT 18
#define ERR_FILE 19
#define ERR_TTY 20
#define ERR_SYSTEM 21

/* Bounds that both sides keep. */
#define MAX_STRING 131072 /* MAX_ARG_STRLEN of Linux */
#define MAX_PATH 4096
#define MAX_EXPORT 255 /* NAME_MAX */
#define MAX_CHANGES 64
#define MAX_CONTAINERS 64
#define MAX_ACTIVATED 16
#define MAX_PROCESSES 1024

#endif
