# SPDX-License-Identifier: MIT
"""Being seen as another user, for programs that run as root."""
import contextlib
import os


@contextlib.contextmanager
def seen_as(uid, groups=(), gid=None):
    """The kernel takes this process for that user: it is whom a peer sees that is connected to meanwhile."""
    own = os.getgroups()
    os.setgroups(list(groups))
    os.setegid(uid if gid is None else gid)
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(own)
