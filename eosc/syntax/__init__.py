"""From text to syntax tree and back: grammar, parser, tree, formatter."""

from eosc.syntax.characters import decode, prepare
from eosc.syntax.parser import parse

__all__ = ["decode", "parse", "prepare"]
