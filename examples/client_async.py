"""Ask a server about many files with asyncio, as a web service would.

``python examples/client_async.py http://localhost:8501/v1/models/pose pose_map *.pkl``
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from tfdecode.client import AsyncRest


async def ask(url: str, name: str, files: list[Path]) -> None:
    """Print the shapes of the outputs for each file."""
    async with AsyncRest(url, retries=2) as model:
        answers = model.predict_each({name: file} for file in files)
        index = 0
        async for outputs in answers:
            print(files[index].name, {key: array.shape for key, array in outputs.items()})
            index += 1


if __name__ == "__main__":
    url, name, *files = sys.argv[1:]
    asyncio.run(ask(url, name, [Path(file) for file in files]))
