# SPDX-License-Identifier: MIT
"""A program whose threads use the library as it promises, also while its daemon is killed and comes back."""
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from gangerd import BUILD, Gangerd, main  # noqa: E402
from reconnecting import Program, restart  # noqa: E402

CLIENT = BUILD / "tests" / "system" / "thread_client"
PATIENCE = 60000
N_THREADS = 4
N_ROUNDS = 5  # each handle is closed once in them
N_KILLS = 3


class Threads(unittest.TestCase):
    def ends_well(self, program):
        self.assertEqual(program.end(), 0)
        name, numbers = program.lines[-1]
        rounds, wrong = numbers.split()
        self.assertEqual((name, wrong), ("ended", "0"))
        print(f"{rounds} rounds of {N_THREADS} threads", file=sys.stderr)

    def test_each_handle_by_one_thread_at_a_time(self):
        with Gangerd() as g, Program(g.socket, 0, N_THREADS, client=CLIENT) as program:
            program.more(N_ROUNDS)
            self.ends_well(program)

    def test_while_the_daemon_comes_back(self):
        with Gangerd() as g, Program(g.socket, PATIENCE, N_THREADS, client=CLIENT) as program:
            for _ in range(N_KILLS):
                program.more(1)
                restart(g)
            program.more(2)
            self.ends_well(program)


if __name__ == "__main__":
    main()
