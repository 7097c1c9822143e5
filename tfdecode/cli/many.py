"""``predict`` on many files: batches to the model, answers as they come, failures by file."""

from __future__ import annotations

import argparse
import json
import math
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from ..client.array_file import ArrayFile
from ..client.each import IN_FLIGHT
from ..client.grpc import Grpc
from ..client.in_process import InProcess
from ..client.inputs import Inputs, Outputs, named_inputs
from ..client.rest import Rest
from ..errors import RefusedError, ServerError, TfdecodeError
from ..names import bytes_key
from .batch import MANY, Report, print_failures
from .failure import UsageError, one_line, reason
from .joined import Example, Joined
from .outputs import STATISTICS, for_json, masked_rows, output_report
from .saved import OneEach, Stacked
from .show import dimensions, number, say, table
from .source import path_key, reading_of
from .write import refuse_other_suffix, refuse_overwriting

Model: TypeAlias = "InProcess | Rest | Grpc"
Answer: TypeAlias = "Outputs | TfdecodeError"

#: Examples of a request, if the model does not limit them to fewer.
BATCH = 8
#: Requests at the same time to a model in this process, which uses all cores for one.
OWN_IN_FLIGHT = 2
#: New tries of an example that is refused, but perhaps for a row of another request.
TRIES = 3
#: Requests in a row without an answer after which no more are sent.
LOST = 3


def run_many(arguments: argparse.Namespace, model: Model) -> int:
    """Run the model on all examples, print the report, return the exit status."""
    joined = Joined(arguments.inputs)
    saver = saver_of(arguments.o, joined)
    run = Run(arguments, model, joined, saver)
    run.start()
    if saver is not None and run.good:
        saver.finish()
    if not arguments.json:
        run.report()
    print_failures("predict", run.failures, arguments.all)
    return 1 if run.failures else 0


def saver_of(out: str | None, joined: Joined) -> OneEach | Stacked | None:
    """Where the answers go; UsageError if that is a file of an input."""
    if out is None:
        return None
    saver = OneEach(Path(out)) if out.endswith("/") or Path(out).is_dir() else Stacked(Path(out))
    inputs = (path for example in joined for path, _ in example.files.values())
    refuse_overwriting(inputs, [saver.path(stem) for stem in joined.stems[: saver.most]])
    if isinstance(saver, Stacked):
        refuse_other_suffix(Path(out), many=True)
    return saver


class Run:
    """A run over the examples, and what came of it so far."""

    def __init__(
        self,
        arguments: argparse.Namespace,
        model: Model,
        joined: Joined,
        saver: OneEach | Stacked | None,
    ) -> None:
        self.arguments, self.model, self.joined, self.saver = arguments, model, joined, saver
        self.good = self.bad = self.lost = 0
        #: A file that is a batch has several.
        self.saved_rows = 0
        self.failures: list[str] = []
        self.totals: dict[str, Total] = {}
        #: The file and the outputs of each example, for people; of many only the first ones.
        self.rows: list[tuple[str, Outputs]] = []
        own = isinstance(model, InProcess)
        self.in_flight: int = arguments.in_flight or (OWN_IN_FLIGHT if own else IN_FLIGHT)
        schema, inputs, outputs = model.describe()
        self.told = outputs is not None
        if outputs is not None:  # else nobody says which other inputs there are
            named_inputs(
                dict.fromkeys(name for name, _ in arguments.inputs), inputs, model.signature
            )
        #: Whether the outputs have a row for each example of a batch.
        self.stacked = all(one.batched for one in (*inputs.values(), *(outputs or {}).values()))
        if not self.stacked and (arguments.batch or 1) > 1:
            raise UsageError("argument --batch: an input or output has no batch dimension")
        wanted = (arguments.batch or BATCH) if self.stacked else 1
        self.size = min(wanted, schema.max_batch_size or wanted)

    def start(self) -> None:
        """Ask for all answers; KeyboardInterrupt says how far it came."""
        from rich.console import Console
        from rich.progress import Progress

        began, total, console = time.monotonic(), len(self.joined), Console(stderr=True)
        try:
            with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
                task = bar.add_task("tfdecode predict", total=total)
                for done in self.done():
                    failed = f", {self.bad:,} failed" if self.bad else ""
                    bar.update(task, completed=done, description=f"tfdecode predict{failed}")
        except KeyboardInterrupt:
            kept = f"; {self.saver.kept}" if self.saver else ""
            raise KeyboardInterrupt(
                f"after {self.good + self.bad:,} of {total:,} examples, {self.bad:,} failed{kept}"
            ) from None
        if left := total - self.good - self.bad:
            self.failures.append(f"{left:,} more were not tried: {LOST} requests had no answer")
        self.seconds = time.monotonic() - began

    def done(self) -> Iterator[int]:
        """Process the examples; yields how many are done."""
        sent: deque[list[Example]] = deque()
        for answer in self.each(self.batches(sent)):
            batch = sent.popleft()
            self.lost = self.lost + 1 if is_lost(answer) else 0
            rows: Iterable[Answer] | None = self.split(answer, len(batch))
            alone, bad = rows is None, self.bad
            # If an example is wrong, each is asked for alone.
            rows = self.each([example] for example in batch) if rows is None else rows
            for example, row in zip(batch, rows, strict=True):
                self.finish(example, self.own(example, row))
            if alone and bad == self.bad:  # the model takes no batches
                self.size = 1
            yield self.good + self.bad
            if self.lost >= LOST:
                return

    def own(self, example: Example, answer: Answer) -> Answer:
        """The answer for an example; a server that merges requests refuses good ones with a bad."""
        for _ in range(TRIES):
            if not isinstance(answer, RefusedError) or answer.row is not None:
                break
            (answer,) = self.each([[example]])
        return answer

    def batches(self, sent: deque[list[Example]]) -> Iterator[list[Example]]:
        """The examples of each request; those that lack a file fail. ``sent`` gets them too."""
        batch: list[Example] = []
        for example in self.joined:
            for name, path in example.missing.items():
                text = f"has no {name}: there is no file {path}"
                self.fail(example, f"{first_file(example)}: {text}")
                break
            else:
                batch.append(example)
            if len(batch) >= self.size:
                sent.append(batch)
                yield batch
                batch = []
        if batch:
            sent.append(batch)
            yield batch

    def each(self, batches: Iterable[list[Example]]) -> Iterator[Answer]:
        """The answer to each batch, or its error."""
        return self.model.predict_each(
            map(self.inputs, batches), max_in_flight=self.in_flight, return_exceptions=True
        )

    def inputs(self, batch: Sequence[Example]) -> Inputs:
        """What the client takes: a list of files, or for one example the file."""
        options = reading_of(self.arguments)
        found: dict[str, Any] = {
            name: [ArrayFile(*example.files[name], **options) for example in batch]
            for name in batch[0].files
        }
        return found if len(batch) > 1 else {name: files[0] for name, files in found.items()}

    def split(self, answer: Answer, count: int) -> Sequence[Answer] | None:
        """The answer for each example of a batch; None if it does not say that."""
        if count == 1 or is_lost(answer):
            return [answer] * count
        if isinstance(answer, TfdecodeError) or any(
            array.ndim == 0 or len(array) != count for array in answer.values()
        ):
            return None
        return [{n: array[i : i + 1] for n, array in answer.items()} for i in range(count)]

    def finish(self, example: Example, answer: Answer) -> None:
        """Save and count the answer for an example."""
        if isinstance(answer, TfdecodeError):
            self.fail(example, self.reason(example, answer))
            return
        masked = masked_rows(answer, self.told)
        if masked:
            listed = ", ".join(f"row {row}: {why}" for row, why in list(masked.items())[:5])
            self.fail(example, f"{first_file(example)}: is invalid and masked ({listed})")
            return
        lengths = {len(array) if array.ndim else -1 for array in answer.values()}
        rows = 0
        if self.stacked and len(lengths) == 1 and -1 not in lengths:
            (rows,) = lengths
        if rows == 1:  # an example of its own has no batch dimension
            answer, rows = {name: array[0, ...] for name, array in answer.items()}, 0
        saved = None
        try:
            if self.saver is not None:
                saved = str(self.saver.add(example.stem, first_file(example), answer, rows))
        except TfdecodeError as error:
            self.fail(example, f"{first_file(example)}: {error}")
            return
        self.good += 1
        self.saved_rows += rows or 1
        for name, array in answer.items():
            self.totals.setdefault(name, Total()).add(array)
        if self.arguments.json:
            outputs = [for_json(output_report(n, answer[n], values=True)) for n in sorted(answer)]
            self.line(example, {"outputs": outputs, "saved": saved})
        elif len(self.rows) <= MANY or self.arguments.all:
            self.rows.append((first_file(example), answer))

    def reason(self, example: Example, error: TfdecodeError) -> str:
        """The message of an error, with the file that it is about before it."""
        text = reason(error)
        files = {name: path_key(*file) for name, file in example.files.items()}
        keys = {bytes_key(name): file for name, file in files.items()}
        about = keys.get(getattr(error, "input", None) or "")
        about = about or next((file for file in files.values() if file in text), None)
        return text if text.startswith(f"{about}: ") else f"{about or first_file(example)}: {text}"

    def fail(self, example: Example, text: str) -> None:
        """Count an example that has no answer."""
        self.bad += 1
        self.failures.append(text)
        if self.arguments.json:
            self.line(example, {"error": one_line(text)})

    def line(self, example: Example, report: Report) -> None:
        """Print the JSON object of an example."""
        files = {name: path_key(*file) for name, file in example.files.items()}
        say(json.dumps({"stem": example.stem, "files": files, **report}))

    def report(self) -> None:
        """Print the outputs, of each example if they are few."""
        if self.rows and (len(self.rows) <= MANY or self.arguments.all):
            names = sorted(self.totals)
            cells = [[file, *(cell(answer.get(n)) for n in names)] for file, answer in self.rows]
            table(("file", *names), cells)
            say("")
        totals = [[name, *self.totals[name].cells()] for name in sorted(self.totals)]
        if totals:
            table(("name", "dtype", "shape", *STATISTICS), totals, right=STATISTICS)
        rows = f" ({self.saved_rows:,} rows)" if self.saved_rows > self.good else ""
        out = f", saved in {self.saver.out}" if self.saver and self.good else ""
        failed = f", {self.bad:,} failed" if self.bad else ""
        rate = f"{self.good / max(self.seconds, 1e-3):,.3g} a second"
        say(one_line(f"{self.good:,} of {len(self.joined):,} examples{rows}{out}{failed} ({rate})"))


class Total:
    """Dtype, shape and statistics of an output over all examples."""

    def __init__(self) -> None:
        self.forms: set[tuple[str, str]] = set()
        self.low, self.high, self.sum, self.count = math.inf, -math.inf, 0.0, 0

    def add(self, array: np.ndarray) -> None:
        """Count the output of one example."""
        one = output_report("", array)
        if len(self.forms) < 3:
            self.forms.add((one["dtype"], dimensions(one["shape"])))
        if one["mean"] is not None:
            self.low = np.minimum(self.low, one["min"]).item()
            self.high = np.maximum(self.high, one["max"]).item()
            self.sum, self.count = self.sum + one["mean"] * array.size, self.count + array.size

    def cells(self) -> list[str]:
        """The cells of a table: dtype, shape and statistics; shapes that differ are ``...``."""
        dtypes, shapes = ({form[i] for form in self.forms} for i in (0, 1))
        form = [one.pop() if len(one) == 1 else "..." for one in (dtypes, shapes)]
        found = (self.low, self.sum / self.count, self.high) if self.count else [None] * 3
        return [*form, *map(number, found)]


def is_lost(answer: Answer) -> bool:
    """Whether a server did not answer; gRPC says 4 (DEADLINE_EXCEEDED) or 14 (UNAVAILABLE)."""
    lost = isinstance(answer, ServerError) and not isinstance(answer, RefusedError)
    return lost and getattr(answer, "status", None) in (None, 4, 14)


def first_file(example: Example) -> str:
    """The file that names an example in reports."""
    for file in example.files.values():
        return path_key(*file)
    return next(iter(example.missing.values()))


def cell(array: np.ndarray | None) -> str:
    """An output in a table: its value if it is one, else its shape."""
    if array is None:
        return "-"
    if array.size != 1:
        return dimensions(array.shape)
    item = array.item() if array.dtype.name != "bfloat16" else float(array.astype("f4").item())
    return item[:40].decode(errors="replace") if isinstance(item, bytes) else number(item)
