# SPDX-License-Identifier: MIT
"""What a zygote in another language needs (PROTOCOL.md, part 2), in as few lines as that takes."""
import os
import socket
import time

import msgpack

control = socket.socket(fileno=3)
gangerd = os.getppid()


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


def worker_channel(fd):
    """In a worker: its channel, when gangerd is its parent and has its hello; one task at a time, no area."""
    while os.getppid() != gangerd:
        time.sleep(0.001)
    channel = socket.socket(fileno=fd)
    send(channel, [2, "hello", [{"protocol": 1, "slots": 0, "area": False}]])
    return channel


def serve(functions, spawn, spawned=lambda: None):
    """Says hello, loads nothing, and calls spawn(channel, area), which returns the pid, or raises, until gangerd goes. spawned() is
    called when that was reported and the descriptors are closed."""
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
                send(control, [1, message[1], None, {"functions": [[name, "foreign", None] for name in functions]}])
            elif message[1] == "spawn":
                channel, area = arrived.pop(0), arrived.pop(0)
                try:
                    send(control, [2, "spawned", [message[2][0], spawn(channel, area)]])
                except OSError as error:
                    send(control, [2, "spawn_failed", [message[2][0], error.errno]])
                os.close(channel)
                os.close(area)
                spawned()
