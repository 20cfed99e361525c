"""The kinds of training there are."""

from talkinghead.speech.training.karras import KarrasRecipe
from talkinghead.speech.training.pham import PhamRecipe
from talkinghead.speech.training.voca import VocaRecipe

__all__ = ["KarrasRecipe", "PhamRecipe", "VocaRecipe"]
