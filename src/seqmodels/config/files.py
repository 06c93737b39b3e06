"""Files of configurations: where they are, and checks before Hydra reads them, so that errors name the file.

Hydra and OmegaConf pass on errors of other libraries that name no file, and copy the target of an alias at each use, so
that a file of ten lines can exhaust any memory.
"""

from collections.abc import Iterator
from pathlib import Path

import yaml

from seqmodels.errors import ConfigError

MAX_BYTES = 1 << 20
MAX_NODES = 100_000  # keys and values, with aliases expanded
HEADER = ("@package",)


def config_folder() -> Path:
    """Return the folder of the package's configurations: inside the installed package, else in the checkout."""
    packaged = Path(__file__).resolve().parents[1] / "configs"
    return packaged if (packaged / "train.yaml").is_file() else Path(__file__).resolve().parents[3] / "configs"


def check_files(folder: Path) -> None:
    """Check every configuration in a folder and its subfolders, except hidden ones.

    Raises:
        ConfigError: a file is not a valid configuration; the message names it.
    """
    for path in sorted(config_files(folder)):
        try:
            _check_file(path)
        except RecursionError as error:
            raise ConfigError(f"{path}: keys and values are nested too deeply") from error
        except (OSError, UnicodeError, ValueError, yaml.YAMLError) as error:
            raise ConfigError(f"{path}: {' '.join(str(error).split())}") from error


def config_files(folder: Path) -> Iterator[Path]:
    """Yield the configurations in a folder and those below it, hidden ones aside."""
    for path in folder.iterdir():
        if path.name.startswith("."):
            continue
        if path.is_dir() and not path.is_symlink():
            yield from config_files(path)
        elif path.suffix in (".yaml", ".yml"):
            yield path


def _check_file(path: Path) -> None:
    if not path.is_file() or path.stat().st_size > MAX_BYTES:
        raise ValueError(f"a configuration must be a plain file of at most {MAX_BYTES} bytes")
    text = path.read_text(encoding="utf-8")
    for line in text.splitlines():  # comments before the first key, where Hydra looks for headers
        if not line.startswith("#"):
            break
        words = line.lstrip("# ").split()
        if words and words[0].startswith("@") and (len(words) != 2 or words[0] not in HEADER):
            raise ValueError(f"a header must be '# @package NAME', got {line[:80]!r}")
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    _count(root, {}, ())
    yaml.safe_load(text)  # raises for tags of Python objects, unhashable keys, invalid dates
    if root is not None and not isinstance(root, yaml.MappingNode):
        raise ValueError("a configuration must hold keys and values")
    for key, value in root.value if root is not None else ():
        if key.value == "defaults" and not isinstance(value, yaml.SequenceNode):
            raise ValueError("defaults must be a list")


def _count(node: yaml.Node | None, known: dict[int, int], above: tuple[int, ...]) -> int:
    """Return the number of nodes with aliases expanded.

    Raises:
        ValueError: there are too many, or a node contains itself.
    """
    if isinstance(node, yaml.ScalarNode) or node is None:
        return 1
    if id(node) in above:
        raise ValueError(f"line {node.start_mark.line + 1}: it contains an alias of itself")
    if id(node) not in known:
        pairs = [part for pair in node.value for part in (pair if isinstance(pair, tuple) else (pair,))]
        known[id(node)] = 1 + sum(_count(part, known, (*above, id(node))) for part in pairs)
    if known[id(node)] > MAX_NODES:
        raise ValueError(f"line {node.start_mark.line + 1}: more than {MAX_NODES} keys and values through aliases")
    return known[id(node)]
