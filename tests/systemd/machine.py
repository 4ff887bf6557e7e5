# SPDX-License-Identifier: MIT
"""A machine of the tests' own, on which a real systemd is process 1 and ganger is installed.

A test file that ends with `main()` from here runs in two places. Outside it boots a container (systemd-nspawn) on an overlay of
this machine's own file system, installs ganger there by `meson install` (unless main() is told otherwise), has the container's systemd run the same file, shows what
it prints, and exits with its status. Inside it is an ordinary unittest, as root, and whatever it does to the machine ends with it.

Nothing of it stays: mounts are in a mount namespace that goes with the container, processes in a pid namespace and a cgroup of its
own; the container dies with this process, whatever this dies of (of SIGKILL, empty cgroups and a directory remain, which the next
run removes)."""
import ctypes
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import unittest

SOURCE = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = pathlib.Path(os.environ.get("GANGER_BUILD", SOURCE / "build")).resolve()
INSIDE = os.environ.get("GANGER_MACHINE") == "inside"
BOUND = 150
PR_SET_PDEATHSIG = 1
SKIPPED = 77
PREFIX = "ganger-machine."
HIERARCHIES = [pathlib.Path("/sys/fs/cgroup"), pathlib.Path("/sys/fs/cgroup/unified"), pathlib.Path("/sys/fs/cgroup/systemd")]
# Of processes too: when its first one is killed, which follows from the death of `unshare`, so is everything in it.
NAMESPACES = ["unshare", "--mount", "--pid", "--fork", "--kill-child=KILL", "--mount-proc"]
DRIVER = """[Unit]
Requires=basic.target
After=basic.target
SuccessAction=exit-force
FailureAction=exit-force

[Service]
Type=oneshot
Environment=GANGER_MACHINE=inside GANGER_BUILD={build} GANGER_TEST_LONG={long} PYTHONUNBUFFERED=1
ExecStart={command}
StandardOutput=append:{share}/output
StandardError=append:{share}/output
"""


class Impossible(Exception):
    """This machine cannot hold another one."""


def needs():
    """As root only what the kernel, or whoever confined this process, refuses is a reason to skip; what is not installed is not."""
    if os.geteuid() != 0:
        raise Impossible("only root can make a machine of its own")
    for program in ("systemd-nspawn", "unshare", "meson"):
        if shutil.which(program) is None:
            sys.exit(f"there is no {program}: ./dev setup --machine installs it")
    if subprocess.run([*NAMESPACES, "true"], capture_output=True, check=False).returncode != 0:
        raise Impossible("this process may not have mounts of its own")
    if not any(hierarchy.exists() and os.access(hierarchy, os.W_OK) for hierarchy in HIERARCHIES[:2]):
        raise Impossible("no cgroups can be made here")
    with open("/proc/filesystems", encoding="ascii") as file:
        there = any(line.split()[-1] == "overlay" for line in file)
    if not there and subprocess.run(["sh", "-c", "modprobe -q overlay"], stderr=subprocess.DEVNULL, check=False).returncode != 0:
        raise Impossible("the kernel has no overlay file system")


class Machine:
    """with Machine() as m: status = m.run(command)"""

    def __init__(self, install):
        self.install = install  # for the shell: puts ganger below $DESTDIR, or nothing
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}."))
        self.share = self.directory / "share"
        self.cgroups = [hierarchy / self.directory.name for hierarchy in HIERARCHIES if (hierarchy / "cgroup.procs").exists()]
        self.process = None

    def __enter__(self):
        self.sweep()
        self.share.mkdir()
        for group in self.cgroups:
            group.mkdir()
        return self

    def __exit__(self, *_):
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
        if self.process is not None:
            self.process.wait()
        for group in self.cgroups:
            self.remove_cgroup(group, 200)
        shutil.rmtree(self.directory, ignore_errors=True)

    def sweep(self):
        """What runs left behind that were killed; the name has the pid."""
        for path in (path for place in (self.directory.parent, *HIERARCHIES) for path in place.glob(PREFIX + "*")):
            if os.path.exists(f"/proc/{path.name.split('.')[1]}"):
                continue
            if path.parent in HIERARCHIES:
                self.remove_cgroup(path, 1)
            else:
                shutil.rmtree(path, ignore_errors=True)

    @staticmethod
    def remove_cgroup(group, tries):
        """Bottom up; what still dies in one is waited for."""
        for directory, _, _ in os.walk(group, topdown=False):
            for _ in range(tries):
                try:
                    os.rmdir(directory)
                    break
                except FileNotFoundError:
                    break
                except OSError:
                    threading.Event().wait(0.02)

    def before_exec(self):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        for group in self.cgroups:
            (group / "cgroup.procs").write_text("0", encoding="ascii")

    def driver(self, command):
        text = DRIVER.format(build=BUILD, long=os.environ.get("GANGER_TEST_LONG", ""), command=command, share=self.share)
        (self.directory / "driver.service").write_text(text, encoding="utf-8")

    def script(self):
        """In the mount namespace: the file system, without the host's own services; ganger in it; the container."""
        d, root = self.directory, self.directory / "root"
        return f"""set -eu
exec </dev/null
mount -t tmpfs -o mode=755 machine {d}/disk
mkdir {d}/disk/upper {d}/disk/work
mount -t overlay machine -o lowerdir=/,upperdir={d}/disk/upper,workdir={d}/disk/work {root}
find {root}/etc/systemd/system {root}/etc/systemd/user -mindepth 1 -delete
rm -rf {root}/var/log/journal {root}/usr/local/etc/ganger {root}/etc/ganger
tr -d - </proc/sys/kernel/random/uuid >{root}/etc/machine-id
cp {d}/driver.service {root}/etc/systemd/system/test-driver.service
DESTDIR={root} {self.install}
mount -t tmpfs -o mode=755 machine /run
SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 exec systemd-nspawn --quiet --directory={root} --machine=ganger-test --register=no --keep-unit --link-journal=no \
        --private-network --console=pipe --bind={self.share} --bind-ro={SOURCE} --bind-ro={BUILD} \
        --boot systemd.unit=test-driver.service
"""

    def run(self, command):
        """Boots, runs the command, shows what it prints; its exit status."""
        self.driver(command)
        for name in ("disk", "root"):
            (self.directory / name).mkdir()
        output = self.share / "output"
        os.mkfifo(output)
        with open(self.share / "console", "wb") as console:
            self.process = subprocess.Popen([*NAMESPACES, "sh", "-c", self.script()], stdin=subprocess.DEVNULL, stdout=console, stderr=console,
                                            preexec_fn=self.before_exec)
        relay = threading.Thread(target=self.relay, args=(output,), daemon=True)
        relay.start()
        try:
            status = self.process.wait(BOUND)
        except subprocess.TimeoutExpired:
            print(f"the machine did not end within {BOUND} s", file=sys.stderr)
            status = 1
        if status != 0:
            print("--- the machine's console", (self.share / "console").read_text(encoding="utf-8", errors="replace")[-4000:], "---",
                  sep="\n", file=sys.stderr, flush=True)
        else:
            relay.join(5)
        return status

    @staticmethod
    def relay(fifo):
        with open(fifo, "rb", buffering=0) as file:
            while data := file.read(65536):
                sys.stdout.buffer.write(data)
                sys.stdout.buffer.flush()


def main(install=f"meson install --no-rebuild --quiet -C {BUILD}"):
    if INSIDE:
        unittest.main(verbosity=2)
    try:
        needs()
    except Impossible as error:
        print(f"SKIP: {error}")
        sys.exit(SKIPPED)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, lambda n, _: sys.exit(128 + n))
    python = "/usr/bin/python3" if os.path.exists("/usr/bin/python3") else sys.executable
    with Machine(install) as machine:
        sys.exit(machine.run(" ".join([python, str(pathlib.Path(sys.argv[0]).resolve()), *sys.argv[1:]])))
