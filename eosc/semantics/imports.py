"""Where imports come from: the file's own folder first, then the built-in zoo, and nowhere else."""

from __future__ import annotations

from pathlib import Path

from eosc.options import LIMITS
from eosc.resources import zoo_folder
from eosc.semantics.model import Unit
from eosc.syntax.characters import decode
from eosc.syntax.parser import parse

ZOO = "zoo"
_SUFFIX = ".eos"


class Loader:
    """Finds and elaborates the files that imports name; each file once.

    A name is an identifier of the language, so it can hold no path separator; files are looked up
    in the listing of a folder, never through a path made of the name. Symbolic links that lead out
    of the folder are not followed.
    """

    def __init__(self, zoo: Path | None = None) -> None:
        self._zoo = zoo
        self._units: dict[Path, Unit] = {}
        self._pending: list[Path] = []
        self._listings: dict[Path, dict[str, Path]] = {}

    def load(self, module: str, name: str, importer: str) -> Unit | None:
        """The file that holds `name` of `module`, elaborated; None where there is none.

        `from zoo import gla` looks for `gla.eos` beside the importing file, then in the zoo;
        `from models import block` for `models.eos` beside the importing file.

        Raises:
            RecursionError: the files import each other in a circle.
        """
        path = self.find(name if module == ZOO else module, module == ZOO, importer)
        return None if path is None else self._unit(path)

    def known(self, importer: str) -> tuple[str, ...]:
        """The names that `from zoo import` finds, for did-you-mean."""
        names = {**self._zoo_listing(), **self._own_listing(importer)}
        return tuple(sorted(names))

    def find(self, stem: str, with_zoo: bool, importer: str) -> Path | None:
        """The file of this name."""
        own = self._own_listing(importer).get(stem)
        if own is not None and own != self._own_path(importer):
            return own
        return self._zoo_listing().get(stem) if with_zoo else None

    def _own_path(self, importer: str) -> Path | None:
        path = Path(importer)
        return path.resolve() if path.suffix == _SUFFIX and path.is_file() else None

    def _own_listing(self, importer: str) -> dict[str, Path]:
        path = self._own_path(importer)
        return {} if path is None else self._listing(path.parent)

    def _zoo_listing(self) -> dict[str, Path]:
        try:
            root = zoo_folder() if self._zoo is None else self._zoo
        except FileNotFoundError:
            return {}
        root = root.resolve()
        if root not in self._listings:
            found: dict[str, Path] = {}
            for folder in (root, *sorted(each for each in root.iterdir() if each.is_dir())):
                for stem, path in self._listing(folder).items():
                    found.setdefault(stem, path)
            self._listings[root] = found
        return self._listings[root]

    def _listing(self, folder: Path) -> dict[str, Path]:
        try:
            paths = sorted(folder.glob("*" + _SUFFIX))
        except OSError:
            return {}
        resolved = {path.stem: path.resolve() for path in paths if path.is_file()}
        return {stem: path for stem, path in resolved.items() if path.parent == folder}

    def _unit(self, path: Path) -> Unit:
        if path in self._pending:
            raise RecursionError(path.name)
        if path not in self._units:
            # Imported here: elaboration asks the loader, and the loader asks elaboration.
            from eosc.semantics.elaborate import elaborate

            self._pending.append(path)
            try:
                with path.open("rb") as file:
                    source, _ = decode(file.read(LIMITS.file_bytes + 1), str(path))
                module, _ = parse(source)
                self._units[path], _ = elaborate(module, source, self, thorough=False)
            finally:
                self._pending.pop()
        return self._units[path]
