"""The kinds of training there are."""

from talkinghead.speech.karras_training import KarrasRecipe
from talkinghead.speech.pham_training import PhamRecipe
from talkinghead.speech.voca_training import VocaRecipe

__all__ = ["KarrasRecipe", "PhamRecipe", "VocaRecipe"]
