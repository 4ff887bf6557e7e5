# SPDX-License-Identifier: MIT
"""Runs the conformance program against gangerd, with all the daemons that it may be given."""
import contextlib
import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "support"))
from gangerd import Gangerd  # noqa: E402

NOBODY = 65534
WIDE = "[pool wide]\nworkers = 1\nmodules = hoard\nmemory_limit = 64M"
LIMITS = {"user_tasks": 12, "user_connections": 32, "max_requests": 8, "max_message": "1M", "user_objects": 8,
          "user_memory": "64M"}


def main():
    shared = Gangerd({"socket_mode": "0666"}, uid=NOBODY if os.geteuid() == 0 else None)
    daemons = {
        "": Gangerd(pool={"modules": "digest text image nest probe"}),
        "limits": Gangerd(LIMITS, {"queue_limit": 4}, WIDE),
        "shared": shared,
        "stop": Gangerd({"stop_timeout": 5}),
    }
    with contextlib.ExitStack() as stack:
        for daemon in daemons.values():
            stack.enter_context(daemon)
        os.chmod(shared.directory, 0o755)
        options = [word for role, daemon in daemons.items() if role for word in (f"--{role}", daemon.socket)]
        command = [sys.executable, HERE / "conformance", daemons[""].socket, *sys.argv[1:], *options, "--verbose"]
        status = subprocess.run(command, check=False).returncode
        if status:
            for role, daemon in daemons.items():
                print(f"the daemon {role or 'plain'}:", file=sys.stderr)
                daemon.show_log()
    return status


if __name__ == "__main__":
    sys.exit(main())
