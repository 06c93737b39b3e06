"""What batching over concurrent requests gains, and whether a server withstands requests that are wrong.

    python scripts/benchmark_serving.py MODEL [--clients 32] [--seconds 60] [--fuzz 10000] [--words 200]

MODEL is one that reads texts. Two servers run it, one that batches and one that does not, and take turns: clients ask
each for a part of the seconds. Each answer must be the one that ``predict`` gives in Python; meanwhile other clients
disconnect in the middle, send too much and nonsense, and leave sessions alone. At the end the first server gets
requests that were changed at random. The exit status is 1 if an answer was wrong or a request made the server fail.
"""

import argparse
import asyncio
import json
import os
import re
import signal
import statistics
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

from benchmarking.clients import Question, Tally, ask, exchange, post
from fuzzing.http_requests import answers, requests

import seqmodels

TURNS = 3
TOGETHER = 500  # requests that are changed at random and share a session
IDLE = 2  # seconds after which sessions that nobody uses expire, and requests that are incomplete end


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=60, help="of the server that batches; the other gets as many")
    parser.add_argument("--fuzz", type=int, default=10_000)
    parser.add_argument("--words", type=int, default=200, help="of the longest text")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    questions = questions_for(options.model, options.words, options.seed)
    with ExitStack() as stack:
        servers = [stack.enter_context(server(options.model, batch_size)) for batch_size in (32, 1)]
        ports = [port for port, _ in servers]
        sides: tuple[list[Tally], list[Tally]] = ([], [])
        used = [0.0, 0.0]
        for _ in range(TURNS):
            for number, (port, process) in enumerate(servers):
                seconds, before = options.seconds / TURNS, cpu_seconds(process)
                sides[number].append(asyncio.run(ask(port, options.clients, seconds, questions)))
                used[number] += cpu_seconds(process) - before
        wrong = report(sides, used, options.seconds, options.clients)
        bodies = [question.body for question in questions[:5]]
        counts, failed = asyncio.run(fuzz(ports[0], options, bodies))
    print(f"{options.fuzz} requests changed at random (seed {options.seed}): {dict(sorted(counts.items()))}")
    for content in failed[:5]:
        print(f"  failed: {content[:300]!r}")
    return int(bool(wrong or failed))


async def fuzz(port: int, options: argparse.Namespace, bodies: list[bytes]) -> tuple[Counter[str], list[bytes]]:
    """Send requests that are wrong, some of them to a session that is open; return their statuses and the failures."""
    valid = [("/v1/predict", body) for body in bodies]
    valid += [("/v1/generate", b'{"prompt": "a", "length": 3, "stream": true}'), ("/v1/sessions", b"{}")]
    valid += [("/v1/sessions/SESSION/step", b'{"steps": [[0.5, 1.0], [2, 3]]}')]
    valid += [("/v1/sessions/SESSION/step", b'{"steps": [4, 0, 1]}')]
    counts, failed, contents = Counter[str](), list[bytes](), requests(options.fuzz, options.seed, valid)
    while some := list(islice(contents, TOGETHER)):
        connection = await asyncio.open_connection("127.0.0.1", port)
        _, _, body = await exchange(connection, post("/v1/sessions", b""))
        connection[1].close()
        session = json.loads(body).get("session", "none").encode()  # not every model has sessions
        found, more = await answers(
            port, iter([content.replace(b"SESSION", session) for content in some]), options.clients
        )
        counts, failed = counts + found, failed + more
    return counts, failed


def questions_for(path: str, words: int, seed: int) -> list[Question]:
    """Return requests with texts of random words of the model's vocabulary, and what it predicts for them."""
    model: Any = seqmodels.load(path)
    known = getattr(model.preprocessing, "words", None) or model.preprocessing.vocabulary
    random, vocabulary = Random(seed), [word for word in known.tokens if word.isalpha()]
    texts = [" ".join(random.choices(vocabulary, k=random.randint(words // 2, words))) for _ in range(40)]
    return [
        Question(json.dumps({"inputs": [text]}).encode(), right_for(prediction._asdict()))
        for text, prediction in zip(texts, model.predict(texts), strict=True)
    ]


def right_for(expected: dict[str, Any]) -> Any:
    """Return what says whether an answer has the expected prediction, up to rounding."""

    def right(answer: Any) -> bool:
        (found,) = answer["predictions"]
        return close(found, expected)

    return right


def close(found: Any, expected: Any) -> bool:
    """Return whether two predictions are the same up to rounding."""
    if isinstance(expected, dict):
        return found.keys() == expected.keys() and all(close(found[name], expected[name]) for name in expected)
    if isinstance(expected, list | tuple):
        return len(found) == len(expected) and all(map(close, found, expected))
    return abs(found - expected) < 1e-4 if isinstance(expected, float) else bool(found == expected)


@contextmanager
def server(path: str, batch_size: int) -> Iterator[tuple[int, int]]:
    """Run the command in a process of its own; yield its port and the id of the process."""
    given = [f"model={path}", "port=0", "threads=1", f"limits.batch_size={batch_size}", f"limits.idle_seconds={IDLE}"]
    given += [f"limits.upload_seconds={IDLE}"]
    process = subprocess.Popen(
        [sys.executable, "-m", "seqmodels", "serve", *given], stderr=subprocess.PIPE, text=True, env=os.environ
    )
    assert process.stderr is not None
    try:
        for line in process.stderr:
            if found := re.search(r"at http://127\.0\.0\.1:(\d+)", line):
                yield int(found[1]), process.pid
                break
        else:
            raise RuntimeError("the server did not start")
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)


def cpu_seconds(process: int) -> float:
    """Return how long a process has computed, in all its threads; 0 where the system does not tell (not Linux)."""
    path = Path(f"/proc/{process}/stat")
    if not path.exists():
        return 0.0
    user, system = path.read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def report(sides: tuple[list[Tally], list[Tally]], used: list[float], seconds: float, clients: int) -> list[str]:
    """Print what both servers did, and the CPU time that they used; return the answers that were wrong."""
    rates = []
    for name, tallies, cpu in zip(("batched", "one by one"), sides, used, strict=True):
        times = sorted(time for tally in tallies for time in tally.seconds)
        rates.append(len(times) / seconds)
        print(
            f"{name:11} {clients} clients, {seconds:g} s: {len(times)} answers, {rates[-1]:.0f} per second, "
            f"p50 {1e3 * statistics.median(times):.1f} ms, p99 {1e3 * times[int(0.99 * len(times))]:.1f} ms, "
            f"{1e3 * cpu / len(times):.2f} ms of CPU per answer"
        )
    turns = [len(one.seconds) / len(other.seconds) for one, other in zip(*sides, strict=True)]
    print(f"throughput: {rates[0] / rates[1]:.2f} times (by turn {', '.join(f'{ratio:.2f}' for ratio in turns)})")
    disturbed = {
        name: sum(tally.disturbed[name] for tallies in sides for tally in tallies) for name in sides[0][0].disturbed
    }
    print(f"meanwhile: {disturbed}")
    wrong = [found for tallies in sides for tally in tallies for found in tally.wrong]
    print(f"wrong answers: {len(wrong)} {wrong[:3]}")
    return wrong


if __name__ == "__main__":
    sys.exit(main())
