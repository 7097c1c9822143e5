"""Many requests at a time, in threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain, repeat
from typing import Any, Literal, TypeVar, overload

from ..errors import SpecError, TfdecodeError
from .inputs import Inputs, Outputs, PreparedInput

#: Requests of one client at the same time.
IN_FLIGHT = 8

#: What follows the last inputs.
END: Any = object()

Client = TypeVar("Client", bound="EachInput")


class EachInput:
    """What clients share that ask by ``predict``."""

    def predict(self, inputs: Inputs) -> Outputs:
        """Run the signature on one example or on a list of them, as `InProcess.predict` does.

        Raises
        ------
        SpecError, EncodeError, FileError
            Before anything is sent, if the inputs are not what the model takes.
        RefusedError
            If the model refuses a payload: with ``input`` and ``row``.
        ServerError
            If there is no answer, or it is an error: with ``status``, of HTTP or gRPC.
        """
        return self.run(self.prepare(inputs))

    def prepare(self, inputs: Inputs) -> dict[str, PreparedInput]:
        """Encode inputs without asking for an answer: the first half of ``predict``."""
        raise NotImplementedError

    def run(self, prepared: Mapping[str, PreparedInput]) -> Outputs:
        """Ask for the answer to prepared inputs: the second half of ``predict``."""
        raise NotImplementedError

    def close(self) -> None:
        """Free what the client holds."""
        raise NotImplementedError

    @overload
    def predict_each(
        self,
        many: Iterable[Inputs],
        *,
        max_in_flight: int = ...,
        progress: Callable[[int], object] | None = ...,
        return_exceptions: Literal[False] = ...,
    ) -> Iterator[Outputs]: ...
    @overload
    def predict_each(
        self,
        many: Iterable[Inputs],
        *,
        max_in_flight: int = ...,
        progress: Callable[[int], object] | None = ...,
        return_exceptions: bool,
    ) -> Iterator[Outputs | TfdecodeError]: ...

    def predict_each(
        self,
        many: Iterable[Inputs],
        *,
        max_in_flight: int = IN_FLIGHT,
        progress: Callable[[int], object] | None = None,
        return_exceptions: bool = False,
    ) -> Iterator[Outputs] | Iterator[Outputs | TfdecodeError]:
        """Run the signature on each of many inputs, several at a time; answers come in order.

        Parameters
        ----------
        many : iterable
            What ``predict`` takes; read only as far as needed.
        max_in_flight : int, default 8
            Requests at the same time.
        progress : callable, optional
            Called with the number of answers so far.
        return_exceptions : bool, default False
            Yield the error of a request in place of its answer and go on, as ``asyncio.gather``
            does; by default it is raised, and no further request is sent.

        Raises
        ------
        SpecError
            If ``max_in_flight`` is below 1.
        """
        check_in_flight(max_in_flight)
        return self._each(many, max_in_flight, progress, return_exceptions)

    def _each(
        self,
        many: Iterable[Inputs],
        max_in_flight: int,
        progress: Callable[[int], object] | None,
        return_exceptions: bool,
    ) -> Iterator[Any]:
        waiting: deque[Future[Outputs]] = deque()
        done = 0
        with ThreadPoolExecutor(max_in_flight) as pool:
            try:
                for inputs in chain(many, repeat(END)):
                    if inputs is not END:
                        waiting.append(pool.submit(self.predict, inputs))
                        if len(waiting) < max_in_flight:
                            continue
                    elif not waiting:
                        return
                    first = waiting.popleft()
                    error = first.exception() if return_exceptions else None
                    yield error if isinstance(error, TfdecodeError) else first.result()
                    done += 1
                    if progress:
                        progress(done)
            finally:
                for future in waiting:
                    future.cancel()

    def __enter__(self: Client) -> Client:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def check_in_flight(max_in_flight: int) -> None:
    """SpecError unless requests can be sent."""
    if max_in_flight < 1:
        raise SpecError(f"max_in_flight is {max_in_flight}, needs 1 or more")
