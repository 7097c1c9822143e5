"""The arrows between the packages: who may import whom, and that there is no circle."""

from __future__ import annotations

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import tfdecode

PACKAGE = Path(tfdecode.__file__).parent

#: From the top floor down: a module imports from its own room and from rooms on lower floors.
FLOORS = (
    {"__main__"},
    {"cli"},
    {"serving"},
    {"bulk", "client", "keras"},
    {"saved_models"},
    {"choose"},
    {"files", "schema"},
    {"layouts", "schema_json"},
    {"dataset", "spec"},
    {"spec_graph", "spec_json"},
    {"spec_encode"},
    {"codecs"},
    {"array_like", "conversion", "formats", "graph", "statistics"},
    {"casts"},
    {"form"},
    {"dtypes", "reading", "releases"},
    {"sources"},
    {"extras", "names"},
    {"errors", "lookalikes", "protobuf_fields", "temporary"},
)
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}


def modules() -> dict[str, Path]:
    """Dotted name below ``tfdecode`` -> file; a package is named by its directory."""
    found = {}
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()


def imports(name: str) -> set[str]:
    """The modules of the package that one of its modules imports, anywhere in its file."""
    base = name.split(".") if MODULES[name].name == "__init__.py" else name.split(".")[:-1]
    found = set()
    for node in ast.walk(ast.parse(MODULES[name].read_text())):
        assert not isinstance(node, ast.Import) or not any(
            alias.name.startswith("tfdecode") for alias in node.names
        ), f"{name} imports tfdecode by its absolute name"
        if isinstance(node, ast.ImportFrom) and node.level:
            above = base[: len(base) - node.level + 1]
            source = ".".join([*above, *(node.module or "").split(".")]).strip(".")
            for alias in node.names:
                inner = f"{source}.{alias.name}".strip(".")
                found.add(inner if inner in MODULES else source)
    return found - {name}


def room(name: str) -> str:
    return name.split(".")[0]


GRAPH = {name: imports(name) for name in MODULES}


def test_imports_make_no_circle() -> None:
    assert set(TopologicalSorter(GRAPH).static_order()) == set(MODULES)


@pytest.mark.parametrize("name", sorted(set(MODULES) - {""}))
def test_a_module_imports_from_lower_floors_only(name: str) -> None:
    assert room(name) in FLOOR, f"say in FLOORS where {room(name)} belongs"
    for imported in GRAPH[name]:
        own, other = room(name), room(imported)
        if imported == "":  # the version number, for the command line
            assert own == "cli"
        elif own != other:
            assert FLOOR[own] < FLOOR[other], f"{name} imports {imported}"


#: Who opens files besides `reading`: what they open is not of a user, or is written.
OPENERS = {
    "reading",
    "bulk.output",  # writes
    "bulk.shard",  # its own notes and shards
    "bulk.spark",  # the notes of its tasks
    "cli",  # os.devnull
    "cli.inputs",  # spools standard input
    "cli.quiet_import",  # os.devnull
    "formats.hdf5.survey",  # /proc
    "saved_models.op_history",  # its own table
    "saved_models.op_history.make",  # the registries that it dumped
    "saved_models.publish",  # a directory
    "sources",  # objects at URLs
    "temporary",  # new files, and those that killed processes left
}
OPENING = {"open", "fdopen", "read_bytes", "read_text", "fromfile", "memmap", "mmap"}


def test_every_file_of_a_user_is_opened_by_one_module() -> None:
    """It refuses what is not a regular file, which would block or never end."""
    found = set()
    for name, path in MODULES.items():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute):
                called = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
                base = ast.unparse(node.func).split(".")[0]
                if called in OPENING and base not in (
                    "archive",
                    "h5py",
                    "pillow",
                    "reading",
                    "h5o",
                    "h5g",
                ):
                    found.add(name)
    assert found - OPENERS == set(), "open files by tfdecode.reading"
    assert "reading" in found


def test_no_file_is_longer_than_400_lines() -> None:
    lengths = {name: len(path.read_text().splitlines()) for name, path in MODULES.items()}
    assert not {name: length for name, length in lengths.items() if length > 400}


def test_every_codec_has_a_file_of_its_own() -> None:
    loose = {path.stem for path in (PACKAGE / "codecs").glob("*.py")}
    assert loose - {"__init__"} == {"base", "chain", "chain_text", "registry", "one_of", "deflate"}
