# SPDX-License-Identifier: MIT
"""The Debian packages, as `./dev deb` makes them, under a real systemd: installed, used, upgraded while a daemon runs, purged."""
import os
import pathlib
import pwd
import re
import subprocess
import sys
import tempfile
import unittest

from machine import BUILD, INSIDE, SOURCE, Impossible, main, needs

if INSIDE:
    from service import SOCKET, Client, eventually, main_pid, run, show, state, systemctl

PACKAGES = ["gangerd", "ganger", "libganger0", "libganger-dev"]
UNITS = pathlib.Path("/lib/systemd/system")
# What stands on the machine and is not the packages': logs of dpkg, caches of ld.so, man, systemd; the service's user and its tracks.
OTHERS = re.compile(r"^/(var/(lib/(dpkg|systemd|private)|cache|log|tmp)|tmp|run|etc/(ld\.so\.cache|passwd|group|shadow|gshadow|subuid|subgid)|"
                    r"usr/share/man/(index|cat)|home|root|proc|sys|dev|work|etc/\.pwd\.lock)")


def built():
    """{name: its file}, those of this version."""
    return {package: next((BUILD / "deb").glob(f"{package}_*.deb")) for package in PACKAGES}


def dpkg(*arguments):
    return run("dpkg", *arguments, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}, timeout=120).stdout


def files():
    """All files of the machine that somebody may have put there."""
    out = run("find", "/", "-xdev", "-not", "-type", "d", timeout=120).stdout
    return {file for file in out.splitlines() if not OTHERS.match(file)}


def newer(directory):
    """The same packages with a higher version."""
    made = []
    for package, file in built().items():
        tree = pathlib.Path(directory, package)
        run("dpkg-deb", "--raw-extract", file, tree)
        control = tree / "DEBIAN" / "control"
        text = control.read_text(encoding="utf-8")
        version = re.search(r"^Version: (.*)$", text, re.M)[1]
        control.write_text(text.replace(version, f"{version}+1"), encoding="utf-8")
        made.append(pathlib.Path(directory, f"{package}.deb"))
        run("dpkg-deb", "--build", "--root-owner-group", tree, made[-1])
    return made


class Packages(unittest.TestCase):
    def test_life(self):
        pathlib.Path("/usr/sbin/policy-rc.d").unlink(missing_ok=True)  # of the machine below, where no package may start anything
        before = files()
        run("useradd", "--create-home", "--user-group", "--shell", "/bin/sh", "ann")
        self.install()
        self.use()
        self.upgrade()
        self.purge(before)

    def install(self):
        out = dpkg("--install", *built().values())
        self.assertNotIn("warning", out.lower())
        self.assertEqual(pwd.getpwnam("ganger").pw_shell, "/usr/sbin/nologin")
        self.assertEqual((state("ganger.socket"), state()), ("active", "inactive"))
        self.assertEqual(systemctl("is-enabled", "ganger.socket").stdout, "enabled\n")
        self.assertEqual(systemctl("is-enabled", "ganger.service", check=False).stdout, "disabled\n")
        self.assertEqual(systemctl("--global", "is-enabled", "ganger.socket", check=False).stdout, "disabled\n")
        self.assertEqual(run("systemd-analyze", "verify", "ganger.service", "ganger.socket").stderr, "")
        for page in ("ganger", "gangerd", "ganger.conf", "libganger", "ganger_call", "ganger-protocol"):
            run("man", "--where", page)
        run("bash", "-c", ". /usr/share/bash-completion/completions/gangerd && complete -p ganger gangerd")
        for link in re.findall(r"file://(\S+)", (UNITS / "ganger.service").read_text(encoding="utf-8")):
            self.assertTrue(pathlib.Path(link).exists(), link)

    def use(self):
        """An ordinary user in the group; not before"""
        refused = run("ganger", "call", "echo", "1", user="ann", check=False)
        self.assertEqual(refused.returncode, 125)
        self.assertEqual(state(), "inactive")
        run("usermod", "-aG", "ganger", "ann")
        pathlib.Path("/etc/ganger/ganger.conf").write_text("[pool default]\nmodules = digest text image\n", encoding="utf-8")
        self.assertEqual(run("ganger", "call", "echo", "1", user="ann").stdout, "1\n")
        eventually(lambda: state() == "active")
        self.assertRegex(run("ganger", "map", "digest.sha256", "@/etc/os-release", user="ann").stdout, r'^"[0-9a-f]{64}"\n$')

    def upgrade(self):
        """Under a running daemon and one who calls all the time: another daemon, the same socket, no connect refused"""
        pid, inode = main_pid(), os.stat(SOCKET).st_ino
        asking = subprocess.Popen(["sh", "-c", "n=0; until [ -e /tmp/over ]; do ganger ping >/dev/null || exit 1; n=$((n + 1)); done; echo $n"],
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            with tempfile.TemporaryDirectory() as directory:
                dpkg("--install", *newer(directory))
            self.assertEqual(state(), "active")
            self.assertNotIn(main_pid(), (0, pid))
            self.assertEqual(os.stat(SOCKET).st_ino, inode)
            pathlib.Path("/tmp/over").touch()
            said, errors = asking.communicate(timeout=60)
        finally:
            asking.kill()
        # A connection that the daemon has taken ends with it, which a caller is told; it cannot be refused a connection.
        self.assertNotIn("is gangerd running", errors)
        print(f"upgraded; meanwhile: {said.strip() or errors.strip()}")
        self.assertRegex(dpkg("--status", "gangerd"), r"Version: \S+\+1\n")
        self.assertEqual(run("ganger", "call", "echo", "2", user="ann").stdout, "2\n")
        with Client(SOCKET) as client:
            self.assertGreater(len(client.ask("functions")), 5)

    def purge(self, before):
        """Nothing is left but what the administrator wrote, and the user (so that its number is not another's)"""
        pid = main_pid()
        dpkg("--purge", *PACKAGES)
        eventually(lambda: not os.path.exists(f"/proc/{pid}"))
        pathlib.Path("/etc/ganger/ganger.conf").unlink()
        self.assertEqual(sorted(files() - before), [])
        self.assertEqual(sorted(before - files()), [])
        self.assertEqual(systemctl("list-unit-files", "ganger*", check=False).stdout.splitlines()[-1], "0 unit files listed.")
        self.assertEqual(show("LoadState"), "not-found")
        self.assertFalse(os.path.exists("/run/ganger"))
        self.assertEqual(pwd.getpwnam("ganger").pw_dir, "/")


def build():
    """What is committed, unless the machine cannot be had at all."""
    try:
        needs()
    except Impossible:
        return
    done = subprocess.run([SOURCE / "dev", "deb"], env={**os.environ, "BUILD": str(BUILD)}, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          check=False)
    print(done.stdout)
    if done.returncode != 0:
        sys.exit(done.stderr)


if __name__ == "__main__":
    if not INSIDE:
        build()
    main(install="true")
