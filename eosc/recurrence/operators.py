"""An oscillation as a sum of pieces: elementwise, rank one, dense along an axis, or a fold.

Requires the paths of one memory's update that start at that memory. Ensures that the sum of the
pieces is the sum of the paths; a path of another form becomes `Opaque`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

from eosc.recurrence.building import Builder, Fingerprints
from eosc.recurrence.factors import Splitter
from eosc.recurrence.paths import Contract, Folded, Mul, Path, Renamed, Sources, Step, fold_body
from eosc.semantics.terms import Dependence, Eye, Fold, Term


@dataclass(frozen=True, slots=True)
class Elementwise:
    """Multiply by the product of the factors; no factor is the identity."""

    factors: tuple[Term, ...]


@dataclass(frozen=True, slots=True)
class RankOne:
    """m -> back * sum[over](functional * m)."""

    functional: tuple[Term, ...]
    over: tuple[str, ...]
    back: tuple[Term, ...]


@dataclass(frozen=True, slots=True)
class Dense:
    """m -> sum[K'](matrix * m[K']) with a matrix that does not factor."""

    axis: str
    matrix: Term


@dataclass(frozen=True, slots=True)
class Product:
    """One step of `body` for each position of the fold's axis, after the factors `before`."""

    fold: Fold
    before: tuple[Term, ...]
    body: tuple[Piece, ...]
    rank: int


@dataclass(frozen=True, slots=True)
class Opaque:
    """A linear map of no simpler form."""

    dependence: Dependence
    complex: bool


Piece: TypeAlias = Elementwise | RankOne | Dense | Product | Opaque


@dataclass(frozen=True, slots=True)
class Operator:
    """The oscillation of one memory.

    axes: of the memory. pieces: their sum is the oscillation. rank: of the sum of the rank-one
    pieces. members: the memories of its group.
    """

    axes: tuple[str, ...]
    pieces: tuple[Piece, ...]
    rank: int = 0
    members: tuple[str, ...] = ()

    @property
    def elementwise(self) -> tuple[Elementwise, ...]:
        """The elementwise pieces."""
        return tuple(each for each in self.pieces if isinstance(each, Elementwise))


class Normaliser:
    """Turns paths into pieces."""

    def __init__(self, sources: Sources, builder: Builder, splitter: Splitter) -> None:
        self._sources = sources
        self._build = builder
        self._split = splitter
        self._prints = Fingerprints()

    def pieces(self, paths: Iterable[Path]) -> tuple[Piece, ...]:
        """The pieces of the paths, elementwise ones added together, in a canonical order."""
        found = [piece for path in paths for piece in self._pieces(path.steps)]
        same = [each for each in found if isinstance(each, Elementwise)]
        rest = tuple(each for each in found if not isinstance(each, Elementwise))
        if len(same) > 1:
            terms = [self._build.product(each.factors) for each in same]
            total = self._build.total(terms)
            assert total is not None  # there are two terms at least
            same = [Elementwise((total,))]
        factored = [Elementwise(self._split.by_axes(each.factors)) for each in same]
        return (*factored, *rest)

    def rank(self, pieces: Iterable[Piece]) -> int:
        """A bound on the rank of the rank-one pieces' sum: equal functionals or backs merge."""
        ranked = [each for each in pieces if isinstance(each, RankOne)]
        functionals = {(self._prints.of_product(each.functional), each.over) for each in ranked}
        backs = {(self._prints.of_product(each.back), each.over) for each in ranked}
        return min(len(functionals), len(backs))

    def _pieces(self, steps: tuple[Step, ...]) -> list[Piece]:
        before: list[Term] = []
        for index, step in enumerate(steps):
            match step:
                case Mul(factor):
                    before.append(factor)
                case Contract(axes):
                    return [self._rank_one(before, axes, steps[index + 1 :])]
                case Renamed(source, target):
                    return self._renamed(before, source, target, steps[index + 1 :])
                case Folded(fold):
                    return [self._product(fold, before, steps[index + 1 :])]
                case _:
                    return [_opaque(steps)]
        return [Elementwise(tuple(before))]

    def _rank_one(
        self, functional: Iterable[Term], over: tuple[str, ...], steps: tuple[Step, ...]
    ) -> Piece:
        build = self._build
        kept, back = tuple(functional), list[Term]()
        for step in steps:
            match step:
                case Mul(factor):
                    back.append(factor)
                case Contract(axes) if set(axes) <= {*over} & {*build.product(back).type.axes}:
                    # Between two contractions over K only a scalar is left.
                    back = [build.reduce("sum", axes, build.product(back))]
                case _:
                    return _opaque((*map(Mul, kept), Contract(over), *steps))
        return RankOne(self._flat(kept), over, self._flat(back))

    def _flat(self, terms: Iterable[Term]) -> tuple[Term, ...]:
        return tuple(factor for term in terms for factor in self._split.factors(term))

    def _renamed(
        self, before: list[Term], source: str, target: str, steps: tuple[Step, ...]
    ) -> list[Piece]:
        """m[K'] times a matrix over K, K', summed over K'."""
        build = self._build
        matrix: list[Term] = []
        for index, step in enumerate(steps):
            match step:
                case Mul(factor):
                    matrix.append(factor)
                case Contract(axes) if target in axes:
                    moved = [build.rename(each, source, target) for each in before]
                    after = steps[index + 1 :]
                    if not all(isinstance(each, Mul) for each in after):
                        break
                    rest = [each.factor for each in after if isinstance(each, Mul)]
                    return self._matrix([*moved, *matrix], (source, target), axes, rest)
                case _:
                    break
        return [_opaque((*map(Mul, before), Renamed(source, target), *steps))]

    def _matrix(
        self,
        terms: list[Term],
        pair: tuple[str, str],
        over: tuple[str, ...],
        after: list[Term],
    ) -> list[Piece]:
        build, (source, target) = self._build, pair
        fine = list(self._flat(terms))
        mixed = [each for each in fine if {source, target} <= set(each.type.axes)]
        if not mixed:
            inner = [each for each in fine if target in each.type.axes]
            outer = [each for each in fine if target not in each.type.axes]
            functional = tuple(build.rename(each, target, source) for each in inner)
            contracted = tuple(source if axis == target else axis for axis in over)
            return [RankOne(functional, contracted, (*outer, *self._flat(after)))]
        first = mixed[0]
        others = [each for each in fine if each is not first]
        if isinstance(first, Eye):
            same = [build.rename(each, target, source) for each in others]
            return [Elementwise((*same, *after))]
        parts = self._split.addends(first)
        if len(parts) > 1:
            return [
                piece
                for part in parts
                for piece in self._matrix([part, *others], pair, over, after)
            ]
        return [Dense(source, build.product([*fine, *after]))]

    def _product(self, fold: Fold, before: list[Term], steps: tuple[Step, ...]) -> Piece:
        if not all(isinstance(each, Mul) for each in steps):
            return _opaque((*map(Mul, before), Folded(fold), *steps))
        factors = (*before, *(each.factor for each in steps if isinstance(each, Mul)))
        body = fold_body(fold, self._sources, self._build)
        pieces = self.pieces(body.paths)
        return Product(fold, self._split.by_axes(factors), pieces, self.rank(pieces))


def _opaque(steps: Iterable[Step]) -> Opaque:
    factors = [each.factor for each in steps if isinstance(each, Mul)]
    return Opaque(
        max((each.type.dependence for each in factors), default=Dependence.STATIC),
        any(each.type.complex for each in factors),
    )


def coefficients(piece: Piece) -> tuple[Term, ...]:
    """Every memory-free coefficient of a piece, those inside a fold included."""
    match piece:
        case Elementwise(factors):
            return factors
        case RankOne(functional, _, back):
            return (*functional, *back)
        case Dense(_, matrix):
            return (matrix,)
        case Product(_, before, body):
            return (*before, *(each for part in body for each in coefficients(part)))
    return ()


def dependence(pieces: Iterable[Piece]) -> Dependence:
    """How the operator varies."""
    found = Dependence.STATIC
    for piece in pieces:
        terms = coefficients(piece)
        found = max([found, *(each.type.dependence for each in terms)])
        if isinstance(piece, Opaque):
            found = max(found, piece.dependence)
    return found


def is_complex(pieces: Iterable[Piece]) -> bool:
    """Whether any coefficient is complex."""
    return any(
        (isinstance(piece, Opaque) and piece.complex)
        or any(each.type.complex for each in coefficients(piece))
        for piece in pieces
    )
