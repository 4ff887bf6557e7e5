# SPDX-License-Identifier: MIT
"""What README.md shows is run, word for word: its commands, its configuration, its client, its module. A command that this test
does not know fails it."""
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from gangerd import BUILD, CLI, GANGERD, MODULES, SOURCE, ZYGOTE, Gangerd, environment, main, sanitized  # noqa: E402

README = (SOURCE / "README.md").read_text(encoding="utf-8")
ELSEWHERE = {"./dev demo", "./dev test", "./dev install"}  # run by CI, and the last by this test's own way
COMMENT = re.compile(r"\s{2,}# .*$")


def blocks():
    """The indented blocks, each without its indentation."""
    found, lines = [], []
    for line in [*README.splitlines(), ""]:
        if line.startswith("    "):
            lines.append(line[4:])
        elif line.strip() or not lines:
            if lines:
                found.append("\n".join(lines).strip("\n") + "\n")
            lines = []
        else:
            lines.append("")
    if lines:
        found.append("\n".join(lines).strip("\n") + "\n")
    return found


def block_with(text):
    [block] = [block for block in blocks() if text in block]
    return block


def commands():
    """What stands behind a `$ `, without the comment."""
    return [COMMENT.sub("", line[2:]).strip() for block in blocks() for line in block.splitlines() if line.startswith("$ ")]


def inline(start):
    """The code in the text that begins so."""
    [code] = re.findall(rf"`({re.escape(start)}[^`]*)`", README)
    return code


class Readme(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.TemporaryDirectory(prefix="ganger-readme.")
        self.addCleanup(self.directory.cleanup)
        self.here = pathlib.Path(self.directory.name)
        self.surroundings = environment(PATH=f"{CLI.parent}:{GANGERD.parent}:{os.environ['PATH']}")

    def sh(self, script, status=0, **more):
        done = subprocess.run(["sh", "-c", script], cwd=self.here, env={**self.surroundings, **more}, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=100, check=False)
        self.assertEqual(done.returncode, status, f"{script}\n{done.stdout}{done.stderr}")
        return done.stdout

    def installed(self):
        """A tree as ./dev install makes it, in a directory of its own."""
        root = self.here / "root"
        self.sh(f"meson install -C {BUILD} --no-rebuild --quiet", DESTDIR=str(root))
        [library] = root.rglob("libganger.so")
        [header] = root.rglob("ganger.h")
        [pc] = root.rglob("ganger.pc")
        return {"PKG_CONFIG_PATH": str(pc.parent), "PKG_CONFIG_SYSROOT_DIR": str(root), "LD_LIBRARY_PATH": str(library.parent),
                "LIBRARY_PATH": str(library.parent), "CPATH": str(header.parent)}

    def test_commands(self):
        known = {
            "ganger map digest.sha256 /usr/include/*.h": self.map_digests,
            "seq 100000 | ganger run -- sort -r | head -n 1": self.run_sort,
            "ganger submit sleep 5": self.submit_and_wait,
            "ganger wait ID && ganger result ID": None,  # run by the one before
            "gangerd --check": self.check,
            "gangerd &": self.keep_a_daemon,
            "ganger status": None,  # run by the one before
            "ganger doctor": None,  # as well
        }
        found = commands()
        self.assertGreater(len(found), 5)
        for command in found:
            self.assertIn(command, {*known, *ELSEWHERE}, "README.md has a command that no test runs")
        with Gangerd() as g:
            self.surroundings["GANGER_SOCKET"] = g.socket
            for command in found:
                with self.subTest(command=command):
                    if known.get(command):
                        known[command](command)

    def map_digests(self, command):
        ours = self.sh(command)
        theirs = self.sh("sha256sum /usr/include/*.h | cut -d ' ' -f 1").split()
        self.assertEqual(sorted(re.findall(r"[0-9a-f]{64}", ours)), sorted(theirs))

    def run_sort(self, command):
        self.assertEqual(self.sh(command), "99999\n")

    def submit_and_wait(self, command):
        id = self.sh(command.replace(" 5", " 0.2")).strip()
        self.assertRegex(id, r"^\d+$")
        self.sh("ganger wait ID && ganger result ID".replace("ID", id))

    def check(self, command):
        self.sh(f"{command} --config /dev/null")

    def keep_a_daemon(self, command):
        """A daemon of one's own on the usual socket, `ganger status` and `ganger doctor`."""
        script = f"{command} pid=$!; n=0; until ganger ping >/dev/null 2>&1 || [ $n = 200 ]; do n=$((n + 1)); sleep 0.05; done\n" \
                 "ganger status && ganger doctor; status=$?; kill $pid; wait $pid; exit $status"
        own = {**self.surroundings, "XDG_RUNTIME_DIR": str(self.here), "GANGER_SOCKET": str(self.here / "socket")}
        done = subprocess.run(["sh", "-c", script], cwd=self.here, env=own, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=60, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("default", done.stdout)
        self.assertRegex(done.stdout, r"(?m)^ok +daemon +gangerd ")

    def test_configuration(self):
        file = self.here / "ganger.conf"
        where = f"[daemon]\nmodule_path = {MODULES}\n"  # what is not installed is in the build tree
        file.write_text(block_with("[pool images]") + where, encoding="utf-8")
        self.sh(f"gangerd --check --config {file}", XDG_RUNTIME_DIR=str(self.here))

    def test_client(self):
        (self.here / "client.c").write_text(block_with("#include <ganger.h>"), encoding="utf-8")
        built = self.installed()
        self.sh(f"{inline('cc client.c')} -o client", **built)
        if sanitized():  # the library needs its runtime in a program that was built without
            runtime = self.sh("cc -print-file-name=libasan.so").strip()
            built = {**built, "LD_PRELOAD": runtime, "ASAN_OPTIONS": "detect_leaks=0"}
        with Gangerd() as g:
            want = self.sh("sha256sum /etc/os-release").split()[0]
            self.assertEqual(self.sh("./client", GANGER_SOCKET=g.socket, **built), want + "\n")
            self.assertIn("/no/such", subprocess.run(["./client", "/no/such"], cwd=self.here, env={**environment(), **built,
                          "GANGER_SOCKET": g.socket}, capture_output=True, text=True, check=False).stderr)
        self.sh("./client", status=125, GANGER_SOCKET="/no/such/socket", **built)

    def test_module(self):
        (self.here / "maths.c").write_text(block_with("GANGER_MODULE"), encoding="utf-8")
        self.sh(inline("cc -shared"), **self.installed())
        undefined = self.sh("nm -D --undefined-only maths.so | grep -i ganger || :")
        self.assertEqual(undefined, "")
        with Gangerd({"module_path": f"{self.here} {MODULES}"}, {"modules": "maths"}) as g:
            self.assertEqual(self.sh(inline("ganger call maths.twice"), GANGER_SOCKET=g.socket), "42\n")

    def test_install(self):
        """Everything lies in the prefix, and the unit starts what is there."""
        self.installed()
        root = self.here / "root"
        files = [file for file in root.rglob("*") if not file.is_dir()]
        [gangerd] = [file for file in files if file.name == "gangerd" and file.parent.name == "bin"]
        prefix = gangerd.parent.parent
        self.assertEqual([file for file in files if prefix not in file.parents], [])
        unit = (prefix / "lib/systemd/system/ganger.service").read_text(encoding="utf-8")
        [program] = re.findall(r"^ExecStart=(\S+)", unit, re.M)
        self.assertEqual(root / program.lstrip("/"), gangerd)
        for document in re.findall(r"file://(\S+)", unit):
            self.assertTrue((root / document.lstrip("/")).exists(), document)

    def test_what_is_shown_exists(self):
        for path in re.findall(r"\]\(([\w./-]+)\)", README):
            self.assertTrue((SOURCE / path).exists(), path)
        self.assertTrue(ZYGOTE.exists())


if __name__ == "__main__":
    main()
