"""Reads the imports: what each room may know, and that arrows point one way."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ORDER = ("recsys", "encoders", "streams", "gateway")
"""Each may import itself and what stands before it."""

OUTSIDE_WORLD = {
    *("aiohttp", "aiokafka", "fastapi", "faust", "httpx", "kafka", "mode", "prometheus_client", "redis", "requests"),
    *("starlette", "structlog", "uvicorn", "urllib3"),
}
CLOCK_FILES_ENVIRONMENT = {
    *("asyncio", "glob", "http", "logging", "multiprocessing", "os", "pathlib", "secrets", "shutil", "socket"),
    *("sqlite3", "ssl", "subprocess", "tempfile", "time", "urllib", "uuid"),
}

WALL_CLOCKS = {("time", "time"), ("time", "time_ns"), *(("datetime", name) for name in ("now", "utcnow", "today"))}


def modules() -> dict[str, Path]:
    """Every module of ours by its dotted name."""
    found = {}
    for package in ORDER:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()
TREES = {name: ast.parse(path.read_text()) for name, path in MODULES.items()}


def imports(name: str, *, everywhere: bool = True) -> Iterator[str]:
    """Modules that a module imports; with `everywhere` also those inside functions."""
    tree = TREES[name]
    nodes = ast.walk(tree) if everywhere else at_import_time(tree)
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{name} imports relatively"
            for alias in node.names:
                submodule = f"{node.module}.{alias.name}"
                yield submodule if submodule in MODULES else node.module


def at_import_time(node: ast.AST) -> Iterator[ast.AST]:
    """Nodes that run when the module is imported, or that only a type checker follows."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield child
            yield from at_import_time(child)


@pytest.mark.parametrize("name", MODULES)
def test_arrows_point_one_way(name: str) -> None:
    allowed = ORDER[: ORDER.index(name.split(".")[0]) + 1]
    ours = {imported for imported in imports(name) if imported.split(".")[0] in ORDER}

    assert not {imported for imported in ours if imported.split(".")[0] not in allowed}
    assert ours <= MODULES.keys(), f"imports what is not there: {ours - MODULES.keys()}"


def test_the_core_knows_no_outside_world_clock_file_or_environment() -> None:
    for name in MODULES:
        roots = {imported.split(".")[0] for imported in imports(name)}
        if name.split(".")[0] in ("recsys", "encoders"):
            assert not roots & OUTSIDE_WORLD, f"{name} knows {roots & OUTSIDE_WORLD}"
        if name.split(".")[0] == "recsys":
            assert not roots & CLOCK_FILES_ENVIRONMENT, f"{name} knows {roots & CLOCK_FILES_ENVIRONMENT}"


def test_the_core_calls_no_clock_and_no_global_randomness() -> None:
    forbidden = {"now", "utcnow", "today", "open", "input", "print", "default_rng"}
    for name, tree in TREES.items():
        if name.split(".")[0] != "recsys":
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                called = getattr(node.func, "attr", getattr(node.func, "id", ""))
                is_seeded = called == "default_rng" and bool(node.args)
                assert called not in forbidden or is_seeded, f"{name}:{node.lineno} calls {called}()"


def test_no_module_imports_itself_by_a_detour() -> None:
    graph = {name: {i for i in imports(name, everywhere=False) if i in MODULES} for name in MODULES}
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " -> ".join((*path[path.index(name) :], name))
        if name not in done:
            for imported in sorted(graph[name]):
                visit(imported, (*path, name))
            done.add(name)

    for name in graph:
        visit(name, ())


def test_package_files_hold_a_docstring_and_nothing_else() -> None:
    for name, path in MODULES.items():
        if path.name == "__init__.py":
            body = TREES[name].body
            assert ast.get_docstring(ast.Module(body, [])), f"{name} does not say what is in it"
            assert len(body) == 1, f"{name} holds more than a docstring"


def test_every_module_says_what_it_is() -> None:
    for name, tree in TREES.items():
        assert ast.get_docstring(tree), f"{name} has no docstring"


def test_modules_stay_short() -> None:
    long = {name: count for name, path in MODULES.items() if (count := len(path.read_text().splitlines())) > 400}
    assert not long, f"longer than 400 lines, split them by what they know: {long}"


def test_nothing_unpickles_or_evaluates_what_it_read() -> None:
    for name in MODULES:
        assert not {i.split(".")[0] for i in imports(name)} & {"pickle", "marshal", "shelve", "joblib", "dill"}, name


def test_one_module_alone_asks_the_wall_clock() -> None:
    """It may jump by hours: leases, patience and pauses are measured by a clock that does not."""
    asking = [
        name
        for name, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and (node.value.id, node.attr) in WALL_CLOCKS
    ]
    assert asking == ["streams.clock"]
