# SPDX-License-Identifier: MIT
"""Values beside the message (kind 0): what they hold, in a sealed memfd whose descriptor rides with it."""
import fcntl
import mmap
import os

from wire import descriptors_in

SHRINK, GROW, WRITE, SEAL = fcntl.F_SEAL_SHRINK, fcntl.F_SEAL_GROW, fcntl.F_SEAL_WRITE, fcntl.F_SEAL_SEAL
ALL = SHRINK | GROW | WRITE | SEAL


def memfd(data, seals=ALL):
    fd = os.memfd_create("test", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, len(data))
    os.pwrite(fd, data, 0)
    if seals:
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)
    return fd


def content(fd, size):
    """Of a received value: what it holds, once it is sure that it is sealed and of that size. Closes it."""
    try:
        assert fcntl.fcntl(fd, fcntl.F_GET_SEALS) & ALL == ALL
        assert os.fstat(fd).st_size == size, (os.fstat(fd).st_size, size)
        with mmap.mmap(fd, size, prot=mmap.PROT_READ) as mapped:
            return bytes(mapped)
    finally:
        os.close(fd)


def finish(client, msgid):
    """The answer to a request, a bin wherever its bytes came."""
    value = client.finish(msgid)
    if not descriptors_in(value):
        return value
    fd, = client.fds.pop(msgid)
    assert value.data[0] == 0, value
    return content(fd, int.from_bytes(value.data[1:], "big"))
