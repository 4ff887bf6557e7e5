# SPDX-License-Identifier: MIT
"""`meson install`: all below the prefix; and what of it must agree with the source. Needs no systemd, and no root."""
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

SOURCE = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = pathlib.Path(os.environ.get("GANGER_BUILD", SOURCE / "build")).resolve()


def prefix():
    options = json.loads((BUILD / "meson-info" / "intro-buildoptions.json").read_text(encoding="utf-8"))
    return next(option["value"] for option in options if option["name"] == "prefix")


class Files(unittest.TestCase):
    def test_nothing_outside_the_prefix(self):
        with tempfile.TemporaryDirectory(prefix="ganger-install.") as directory:
            subprocess.run(["meson", "install", "--no-rebuild", "--quiet", "-C", BUILD], env={**os.environ, "DESTDIR": directory},
                           stdout=subprocess.DEVNULL, check=True)
            root = pathlib.Path(directory)
            files = sorted("/" + str(path.relative_to(root)) for path in root.rglob("*") if not path.is_dir())
        self.assertEqual([file for file in files if not file.startswith(prefix() + "/")], [])
        its = [file.removeprefix(prefix() + "/") for file in files]
        for wanted in ("lib/systemd/system/ganger.service", "lib/systemd/system/ganger.socket", "lib/systemd/system/ganger@.service",
                       "lib/systemd/system/ganger@.socket", "lib/systemd/user/ganger.service", "lib/systemd/user/ganger.socket",
                       "lib/systemd/system/ganger-metrics.socket", "lib/systemd/system/ganger-metrics@.socket",
                       "lib/systemd/catalog/ganger.catalog", "lib/sysusers.d/ganger.conf", "lib/tmpfiles.d/ganger.conf",
                       "share/doc/ganger/drop-ins/homes.conf", "share/bash-completion/completions/ganger",
                       "share/bash-completion/completions/gangerd"):
            self.assertIn(wanted, its)
        pages = ("man1/ganger.1", "man3/libganger.3", "man3/ganger_call.3", "man5/ganger.conf.5", "man7/ganger-protocol.7", "man8/gangerd.8")
        if any(page.stem == "ganger" for page in (BUILD / "proto" / "man").glob("*.1")):  # else without the manual (option `man`)
            self.assertEqual([page for page in pages if f"share/man/{page}" not in its], [])

    def test_packages_version(self):
        """Of the packages and of the build"""
        project = json.loads((BUILD / "meson-info" / "intro-projectinfo.json").read_text(encoding="utf-8"))
        changelog = (SOURCE / "systemd" / "debian" / "changelog").read_text(encoding="utf-8")
        self.assertEqual(re.match(r"ganger \((.*?)\)", changelog)[1], project["version"])

    def test_message_ids(self):
        """Those of the source are those of the catalog, each once"""
        header = (SOURCE / "daemon" / "message_ids.h").read_text(encoding="utf-8")
        catalog = (SOURCE / "systemd" / "ganger.catalog").read_text(encoding="utf-8")
        ids = re.findall(r'^#define MESSAGE_\w+ +"([0-9a-f]{32})"', header, re.MULTILINE)
        self.assertGreaterEqual(len(ids), 10)
        self.assertEqual(len(ids), header.count("#define MESSAGE_"))
        self.assertEqual(len(set(ids)), len(ids))
        self.assertEqual(ids, re.findall(r"^-- ([0-9a-f]{32})$", catalog, re.MULTILINE))

    def test_every_line_has_its_reason(self):
        """In the hardened unit each setting stands under a comment, or in a block right under a heading"""
        reason, before, n = False, "", 0
        text = (SOURCE / "systemd" / "ganger.service.in").read_text(encoding="utf-8")
        for line in text.partition("[Service]")[2].partition("[Install]")[0].splitlines():
            if line.startswith("#"):
                reason = True
            elif line:
                n += 1
                self.assertTrue(reason, f"without a reason: {line}")
            else:
                reason = before.startswith("# --")
            before = line
        self.assertGreater(n, 40)


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    unittest.main(verbosity=2)
