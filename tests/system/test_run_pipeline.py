# SPDX-License-Identifier: MIT
"""`ganger run` in a pipeline is as the command itself: what it writes, how it ends, and nothing of it in the daemon's memory."""
import os
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from gangerd import CLI, Flat, Gangerd, environment, main, sanitized  # noqa: E402

PAUSE = float(os.environ.get("GANGER_TEST_PAUSE", "3"))  # seconds that the reader sleeps
FLAT = 4 << 20


def bash(g, script, run, **options):
    """A pipeline in which $RUN is `run`."""
    surroundings = environment(RUN=run, GANGER_SOCKET=g.socket)
    return subprocess.Popen(["bash", "-c", script], env=surroundings, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True, **options)


GANGER_RUN = f"{CLI} run --"


class RunPipeline(unittest.TestCase):
    def both(self, g, script, **options):
        """The outcome of a script with ganger and without: (status, stdout, stderr)."""
        outcomes = []
        for run in (GANGER_RUN, ""):
            process = bash(g, script, run, **options)
            out, err = process.communicate(timeout=60)
            outcomes.append((process.returncode, out, err))
        return outcomes

    def test_yes_into_a_sleeping_reader(self):
        script = f"$RUN yes | (sleep {PAUSE}; head -c 1G | wc -c); echo ${{PIPESTATUS[0]}}"
        with Gangerd() as g:
            g.ganger("ping")
            flat = Flat(g)
            process = bash(g, script, GANGER_RUN)
            end = time.monotonic() + 60
            while process.poll() is None and time.monotonic() < end:
                flat.sample()
                try:
                    process.wait(0.1)
                except subprocess.TimeoutExpired:
                    pass
            out, err = process.communicate(timeout=1)
            self.assertEqual(out.split(), [str(1 << 30), "141"], err)
            print(f"1 GiB through the pipeline, memory +{flat.grown() / (1 << 20):.1f} MiB")
            if not sanitized():
                self.assertLess(flat.grown(), FLAT)
            without = bash(g, script.replace(str(PAUSE), "0").replace("1G", "1M"), "")
            self.assertEqual(without.communicate(timeout=20)[0].split(), [str(1 << 20), "141"])

    def test_as_without_ganger(self):
        scripts = [
            "seq 1000 | $RUN sort -r | head -n 3; echo ${PIPESTATUS[1]}",
            "$RUN sh -c 'echo out; echo err >&2; exit 7'; echo $?",
            "$RUN sh -c 'kill -9 $$'; echo $?",
            "$RUN sh -c 'kill -TERM $$'; echo $?",
            "echo in | $RUN cat",
            "$RUN cat < /etc/hostname",
            "cd /usr && $RUN pwd",
            "umask 027; $RUN sh -c umask",
            "$RUN true; echo $?; $RUN false; echo $?",
            "$RUN echo 'two  words' '' \"*\"",
            "$RUN sh -c 'read a; echo $a; read b; echo $b' <<< $'one\ntwo'",
            "$RUN cat | ($RUN cat; echo end)",
        ]
        with Gangerd() as g:
            for script in scripts:
                with_ganger, without = self.both(g, script)
                if "kill" not in script:  # the shell itself tells of its own killed child
                    self.assertEqual(with_ganger, without, script)
                self.assertEqual(with_ganger[:2], without[:2], script)

    def test_command_that_cannot_be_run(self):
        with Gangerd() as g:
            for command, status in (("/no/such/program", 127), ("no-such-program", 127), (str(g.config), 126)):
                process = bash(g, f"$RUN {command}; echo $?", GANGER_RUN)
                out, err = process.communicate(timeout=20)
                self.assertEqual(out.split(), [str(status)], err)
                self.assertIn(command, err)

    def test_sort_of_a_file(self):
        with Gangerd() as g:
            file, ours, theirs = (g.directory / name for name in ("file", "ours", "theirs"))
            file.write_text("".join(f"{n * 7919 % 1000003} line\n" for n in range(300_000)), encoding="ascii")
            script = f"cat {file} | $RUN sort > %s"
            for run, target in ((GANGER_RUN, ours), ("", theirs)):
                process = bash(g, script % target, run)
                self.assertEqual(process.communicate(timeout=60), ("", ""))
            self.assertEqual(ours.read_bytes(), theirs.read_bytes())
            self.assertEqual(ours.stat().st_size, file.stat().st_size)


if __name__ == "__main__":
    main()
