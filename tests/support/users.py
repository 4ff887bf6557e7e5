# SPDX-License-Identifier: MIT
"""Other real users, for tests that run as root: uids that nobody needs to have made."""
import os
import signal
import unittest

from gangerd import Child, libc, PR_SET_PDEATHSIG
from identity import seen_as

DAEMON, ANN, BOB, CAT = 60000, 60001, 60002, 60003

needs_root = unittest.skipUnless(os.geteuid() == 0, "only root can be other users")


def connect_as(gangerd, uid, groups=(), **options):
    with seen_as(uid, groups):
        return gangerd.connect(**options)


def become(uid, groups=()):
    """This process is that user from now on, for good."""
    os.setgroups(list(groups))
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # the change of user has cleared it


class UserChild(Child):
    """A client program of another user: function(out, *arguments) in a process of its own, so much nicer than this."""

    def __init__(self, uid, function, *arguments, nice=0):
        def as_user(out, *inner):
            os.nice(nice)
            become(uid)
            function(out, *inner)
        super().__init__(as_user, *arguments)


def open_to_all(gangerd):
    """Lets every user reach the socket in the daemon's private directory."""
    os.chmod(gangerd.directory, 0o755)
    return gangerd
