"""Products with the inverse of a triangular matrix, as the equations that they solve."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from eosc.ir.nodes import TIME, Dot, Inverse, Rename, Use, Value
from eosc.prove import formula
from eosc.prove.algorithms.masks import masks
from eosc.prove.algorithms.places import Here
from eosc.prove.algorithms.reading import Meaning, Reader, Scope
from eosc.prove.algorithms.scalars import Unreadable
from eosc.prove.formula import Formula

_MATRIX, _SOLUTION = "the matrix", "the solution"


@dataclass(frozen=True, slots=True)
class System:
    """The equations Y[r] + sum over c of matrix[r, c] Y[c] = given[r], for all tokens r of a chunk.

    rows, columns: the time dimensions r and c. inside: the scope of the matrix.
    """

    matrix: Value
    inside: Scope
    given: Value
    rows: str
    columns: str

    def sides(
        self, reader: Reader, here: Here, scope: Scope, solution: Meaning
    ) -> tuple[Formula, Formula]:
        """Both sides at a token and an index, for what is said to be the solution.

        Raises:
            Unreadable: the matrix is not strictly triangular, so that there need not be one, or a
                value has no reading.
        """
        under = masks(self.matrix, self.inside)
        strict = (each is not None and (each.strict or each.kind == "level") for each in under)
        if not under or not all(strict):
            raise Unreadable("the inverse of a matrix that is not strictly triangular")
        features = tuple(name for name in self.given.dims if name not in TIME)
        lets: Mapping[str, tuple[Value, Scope]] = {
            **scope.lets,
            _MATRIX: (self.matrix, self.inside),
        }
        own = replace(scope, lets=lets, cuts={**scope.cuts, _SOLUTION: solution})
        coupled = Dot(
            Use(_MATRIX, dims=self.matrix.dims),
            Use(_SOLUTION, dims=(self.columns, *features)),
            self.columns,
            dims=(self.rows, *features),
        )
        (place,) = here.times.values()
        row = replace(here, times={self.rows: place})
        column = replace(here, times={self.columns: place})
        indices = tuple(here.indices[name] for name in features)
        left = formula.add(solution(place.time, indices), reader.whole(coupled, row, own))
        return left, reader.whole(self.given, column, scope)


def sides(
    value: Value, reader: Reader, here: Here, scope: Scope, meaning: Meaning
) -> tuple[Formula, Formula]:
    """Both sides of the goal that a value over tokens has a meaning, at a token and an index.

    That of a product with an inverse is that it solves its system; the solution is the only one.

    Raises:
        Unreadable: the value has no reading.
    """
    system = system_of(value, scope)
    if system is not None:
        return system.sides(reader, here, scope, meaning)
    (place,) = here.times.values()
    right = meaning(place.time, tuple(here.indices.values()))
    return reader.whole(value, here, scope), right


def system_of(value: Value, scope: Scope) -> System | None:
    """The system whose solution a value is; None where it is no product with an inverse."""
    match value:
        case Rename(arg=arg) if _features(arg) == _features(value):
            return system_of(arg, scope)
        case Dot(left=Use(name=name, dims=dims), right=given, over=over) if name in scope.lets:
            inverse, inside = scope.lets[name]
            if not isinstance(inverse, Inverse) or inverse.dims != dims or over not in TIME:
                return None
            if set(dims) != set(TIME) or set(inverse.arg.dims) != set(TIME):
                raise Unreadable("the inverse of what is no matrix of pairs")
            if [each for each in given.dims if each in TIME] != [over]:
                raise Unreadable("the inverse of a matrix, times what is no column of tokens")
            (row,) = (each for each in dims if each != over)
            return System(inverse.arg, inside, given, row, over)
    return None


def _features(value: Value) -> tuple[str, ...]:
    return tuple(name for name in value.dims if name not in TIME)
