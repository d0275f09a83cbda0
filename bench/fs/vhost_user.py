"""Hands a guest's memory and rings to a vhost-user device and keeps the connection until standard input ends.

vhost_user.py SOCKET ADDRESS BYTES QUEUE_SIZE {DESC AVAIL USED}…: descriptor 3 is the memory, then a kick and a call for each queue; rings by guest addresses.
QEMU, docs/interop/vhost-user.rst.
"""
import socket
import struct
import sys
import time

GET_FEATURES, SET_FEATURES, SET_OWNER, SET_MEM_TABLE = 1, 2, 3, 5
SET_VRING_NUM, SET_VRING_ADDR, SET_VRING_BASE, SET_VRING_KICK, SET_VRING_CALL = 8, 9, 10, 12, 13
GET_PROTOCOL_FEATURES, SET_PROTOCOL_FEATURES, SET_VRING_ENABLE = 15, 16, 18
F_PROTOCOL_FEATURES, F_VERSION_1 = 1 << 30, 1 << 32

path, address, size, entries = sys.argv[1], *map(int, sys.argv[2:5])
rings = [tuple(map(int, sys.argv[at:at + 3])) for at in range(5, len(sys.argv), 3)]
connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
for attempt in range(500):
    try:
        connection.connect(path)
        break
    except OSError:
        if attempt == 499:
            raise
        time.sleep(0.01)


def send(request, payload=b'', fds=()):
    socket.send_fds(connection, [struct.pack('<III', request, 1, len(payload)) + payload], fds)


def ask(request):
    send(request)
    got = b''
    while len(got) < 20:
        part = connection.recv(20 - len(got))
        if not part:
            sys.exit('the device has closed the connection')
        got += part
    return struct.unpack('<IIIQ', got)[3]


features = ask(GET_FEATURES)
send(SET_OWNER)
send(SET_FEATURES, struct.pack('<Q', features & (F_PROTOCOL_FEATURES | F_VERSION_1)))
ask(GET_PROTOCOL_FEATURES)
send(SET_PROTOCOL_FEATURES, struct.pack('<Q', 0))
send(SET_MEM_TABLE, struct.pack('<II4Q', 1, 0, 0, size, address, 0), [3])
for index, (desc, avail, used) in enumerate(rings):
    send(SET_VRING_NUM, struct.pack('<II', index, entries))
    send(SET_VRING_BASE, struct.pack('<II', index, 0))
    send(SET_VRING_ADDR, struct.pack('<II4Q', index, 0, address + desc, address + used, address + avail, 0))
    send(SET_VRING_CALL, struct.pack('<Q', index), [5 + 2 * index])
    send(SET_VRING_KICK, struct.pack('<Q', index), [4 + 2 * index])
    send(SET_VRING_ENABLE, struct.pack('<II', index, 1))
# An answer: all of it is done by then.
ask(GET_FEATURES)
print('ready', flush=True)
sys.stdin.read()
