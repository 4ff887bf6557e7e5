# SPDX-License-Identifier: MIT
"""The examples of the manual are run: lines that begin with `$ ` in a shell, beside a daemon, one block a shell; what stands under
them is what they print (… for anything). Configurations are checked, programs compiled and run."""
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

from pages import BUILD, SOURCE, Page

sys.path.insert(0, str(SOURCE / "tests" / "support"))
from gangerd import CLI, GANGERD, MODULES, Gangerd, environment, main, sanitized  # noqa: E402

PAGES = ["ganger.1", "libganger.3", "ganger.conf.5", "gangerd.8"]


def examples(start):
    """The blocks of all pages that begin so."""
    found = [block for page in PAGES for block in Page(page).blocks("EXAMPLES") if block.startswith(start)]
    assert found, f"no example begins with {start}"
    return found


class Examples(unittest.TestCase):
    def setUp(self):
        self.here = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory(prefix="ganger-manual.")))

    def run_here(self, command, **more):
        return subprocess.run(command, cwd=self.here, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              env=environment(PATH=f"{CLI.parent}:{GANGERD.parent}:{os.environ['PATH']}", **more), timeout=60, check=False)

    def test_every_block_is_of_a_kind(self):
        for page in PAGES:
            for block in Page(page).blocks("EXAMPLES"):
                self.assertRegex(block, r"^(\$ |\[|#include|# systemd)")  # the last: held against README's, which is run

    def test_commands(self):
        """Every block as it stands, what it prints too"""
        n = 0
        with Gangerd() as g:
            for block in examples("$ "):
                lines = block.splitlines()
                script = "\n".join(f"{line[2:]}\necho '=='" for line in lines if line.startswith("$ "))
                done = self.run_here(["sh", "-c", script], GANGER_SOCKET=g.socket)
                wanted, n = [], n + 1
                for line in [*lines[1:], "$ "]:
                    wanted.append("==" if line.startswith("$ ") else line)
                pattern = "".join(".*".join(re.escape(part) for part in f"{line}\n".split("…")) for line in wanted)
                self.assertRegex(done.stdout, re.compile(rf"\A{pattern}\Z", re.S), block)
        self.assertGreater(n, 5)

    def test_configurations(self):
        for block in examples("["):
            (self.here / "ganger.conf").write_text(f"{block}[daemon]\nmodule_path = {MODULES}\n", encoding="utf-8")
            done = self.run_here([GANGERD, "--check", "--config", "ganger.conf", "--socket", self.here / "socket"])
            self.assertEqual(done.returncode, 0, done.stdout)
            for key, value in re.findall(r"^(\w+) = (.*)$", block, re.M):
                if key not in ("timeout", "user_memory"):  # printed in seconds, in bytes
                    self.assertRegex(done.stdout, rf"(?m)^{key} = .*{re.escape(value)}")

    def test_programs(self):
        """Compiled without a warning, and they do what they are for"""
        library = BUILD / "client"
        for block in examples("#include"):
            (self.here / "example.c").write_text(block, encoding="utf-8")
            done = self.run_here(["cc", "-Wall", "-Wextra", "-Werror", "-I", SOURCE / "client", "-o", "example", "example.c", "-L", library,
                                  "-lganger"], LIBRARY_PATH=str(library))
            # The sanitizers' runtime, where the library has it, makes the linker talk about tmpnam.
            said = [line for line in done.stdout.splitlines() if "libasan" not in line]
            self.assertEqual((done.returncode, said), (0, []))
            built = {"LD_LIBRARY_PATH": str(library)}
            if sanitized():  # the library needs its runtime in a program that was built without
                runtime = self.run_here(["cc", "-print-file-name=libasan.so"]).stdout.strip()
                built |= {"LD_PRELOAD": runtime, "ASAN_OPTIONS": "detect_leaks=0"}
            with Gangerd() as g:
                wanted = self.run_here(["sha256sum", "/etc/os-release"]).stdout.split()[0]
                self.assertEqual(self.run_here(["./example"], GANGER_SOCKET=g.socket, **built).stdout, f"{wanted}\n")
                self.assertIn("/no/such", self.run_here(["./example", "/no/such"], GANGER_SOCKET=g.socket, **built).stdout)
            self.assertEqual(self.run_here(["./example"], GANGER_SOCKET="/no/such", **built).returncode, 125)


if __name__ == "__main__":
    main()
