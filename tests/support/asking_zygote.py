# SPDX-License-Identifier: MIT
"""A zygote whose workers ask (PROTOCOL.md, part 3), written from that text: `foreign.ask [method, params, …]` sends a request for
each method and its params, all at once, and returns the answers, in the order in which they came, as [number, error, result]."""
import itertools

import msgpack

from foreign_zygote import fork_twice, send, serve, worker_channel


class Worker:
    def __init__(self, fd):
        self.channel = worker_channel(fd)
        self.unpacker = msgpack.Unpacker(raw=False, strict_map_key=False)
        self.numbers = itertools.count(1)  # of requests, over all tasks
        self.kept = []  # messages for when the task has ended

    def receive(self):
        while True:
            for message in self.unpacker:
                return message
            data = self.channel.recv(1 << 16)
            if not data:
                raise EOFError
            self.unpacker.feed(data)

    def ask(self, requests):
        open_ = {next(self.numbers): i for i in range(len(requests))}
        for msgid, i in open_.items():
            send(self.channel, [0, msgid, *requests[i]])
        answers = []
        while open_:
            message = self.receive()
            if message[0] == 1:
                if message[1] in open_:
                    answers.append([open_.pop(message[1]), *message[2:]])
            elif message[1] != "stream":
                self.kept.append(message)
        return answers

    def serve(self):
        while True:
            message = self.kept.pop(0) if self.kept else self.receive()
            if message[0] == 2 and message[1] == "stop":
                return
            if message[0] != 0:  # credit, or an answer that comes too late
                continue
            task, attempt, slot, _, args, _ = message[3]
            answers = self.ask(list(zip(args[::2], args[1::2])))
            send(self.channel, [1, slot, None, [task, attempt, answers]])


def live(fd):
    try:
        Worker(fd).serve()
    except EOFError:
        pass


serve(["foreign.ask"], lambda channel, _: fork_twice(lambda: live(channel)))
