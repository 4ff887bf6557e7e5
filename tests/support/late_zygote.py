# SPDX-License-Identifier: MIT
"""A zygote (PROTOCOL.md, part 2) whose first worker is dead before it is reported; the others do nothing but live."""
import os
import select
import socket
import time

import msgpack

control = socket.socket(fileno=3)
n_spawned = 0


def send(channel, message):
    channel.sendall(msgpack.packb(message))


def fork_twice(child):
    """The grandchild runs child(); returns its pid."""
    reader, writer = os.pipe()
    middle = os.fork()
    if middle == 0:
        pid = os.fork()
        if pid == 0:
            control.close()
            child()
            os._exit(0)
        os.write(writer, str(pid).encode())
        os._exit(0)
    os.waitpid(middle, 0)
    pid = int(os.read(reader, 32))
    os.close(reader)
    os.close(writer)
    return pid


def live(fd):
    while os.getppid() != gangerd:
        time.sleep(0.001)
    channel = socket.socket(fileno=fd)
    send(channel, [2, "hello", [{"protocol": 1, "slots": 0, "area": False}]])
    select.select([channel], [], [])  # whatever comes: stop, or the end


def spawn(number, fds):
    global n_spawned
    n_spawned += 1
    if n_spawned > 1:
        pid = fork_twice(lambda: live(fds[0]))
    else:
        pid = fork_twice(lambda: None)
        time.sleep(0.3)  # gangerd has looked who died
    send(control, [2, "spawned", [number, pid]])
    for fd in fds:
        os.close(fd)


gangerd = os.getppid()
unpacker = msgpack.Unpacker()
arrived = []
send(control, [2, "hello", [{"protocol": 1, "version": "0", "pid": os.getpid()}]])
while True:
    data, fds, _, _ = socket.recv_fds(control, 65536, 16)
    if not data:
        break
    arrived += fds
    unpacker.feed(data)
    for message in unpacker:
        if message[0] == 0:
            send(control, [1, message[1], None, {"functions": [["echo", "core", None]]}])
        elif message[1] == "spawn":
            spawn(message[2][0], [arrived.pop(0), arrived.pop(0)])
