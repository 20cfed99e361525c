"""Who hears phonemes for VOCA: scores of 29 phonetic classes, 50 times a second."""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hama.asr import ASRModel  # type: ignore[import-untyped]
from jaxtyping import Float, Float32

from talkinghead.errors import UserError

PHONETIC_RATE = 50
"""Scores a second."""
CLASSES = 29
BACKENDS = ("hama", "wav2vec2")

ARTICULATORY = {
    "bilabial stop": "p pʰ p͈ b ɓ ʙ",
    "bilabial nasal": "m ɱ",
    "labiodental": "f v ʋ ɸ β",
    "labial glide": "w wa we wi wʌ ɥ ʷ",
    "alveolar stop": "t tʰ t͈ d ʈ ɖ ɗ",
    "alveolar nasal": "n ñ ɲ",
    "velar nasal": "ŋ ɴ",
    "sibilant": "s s͈ z",
    "rounded sibilant": "ʃ ʒ ʂ ʐ ɕ ʑ",
    "affricate": "d͡ʒ t͡ɕ t͡ɕʰ t͡ɕ͈ t͡ʃ",
    "dental": "θ ð",
    "lateral": "l ɫ ɮ ʎ",
    "rhotic": "r ɹ ɻ ɽ ɾ ʀ ʁ",
    "velar stop": "k kʰ k͈ g ɡ c ɟ",
    "back fricative": "h x ɣ ħ ɦ χ ç ʝ ʔ",
    "palatal glide": "j ja je jo ju jʌ",
    "close front": "i ì ĩ ǐ ɪ ɪə",
    "mid front": "e ẽ eə eɪ ɛ",
    "near-open front": "æ",
    "open": "a à ã ä å ɐ",
    "open back": "ɑ ɒ",
    "open diphthong": "aɪ aʊ",
    "central": "ə ɚ ɘ ɜ ɝ ɨ ʌ ɤ ᵊ",
    "mid back": "o õ oʊ ɔ",
    "rounding diphthong": "ɔɪ",
    "close back": "u ũ ʊ ʉ ɯ ɯi ɰ",
    "front rounded": "y ø œ ʏ ɵ",
    "pause": "",
    "blank": "<blank>",
}
"""Which symbols of hama's make up each class; whatever is named nowhere counts as pause."""

_SAMPLE_RATE = 16000
_LONGEST = 20.0
"""Seconds given to hama at once; it cuts sound off at 30."""
_OVERLAP = 1.0
"""Seconds heard beyond both ends of a piece, so that its seams do not show."""
_FLOOR = 1e-5
_LETTERS = " abcdefghijklmnopqrstuvwxyz'"


def phonetic_scores(waveform: Float[np.ndarray, " s"], backend: str | Path = "hama") -> Float32[np.ndarray, "n d"]:
    """Scores of phonetic classes, 50 a second: log-probabilities less their mean over the classes.

    Args:
        waveform: 16 kHz mono.
        backend: ``hama``, ``wav2vec2``, or the path of an .npy file that holds rows already computed.

    Raises:
        UserError: if the backend is unknown or not installed, or the file does not hold rows of numbers.
    """
    if isinstance(backend, Path) or str(backend).endswith(".npy"):
        return read_scores(Path(backend))
    if backend == "hama":
        return _centred(_hama_classes(waveform.astype(np.float32)))
    if backend == "wav2vec2":
        return _centred(_wav2vec2_letters(waveform.astype(np.float32)))
    raise UserError(f"there is no phonetic backend {backend!r}; take {' or '.join(BACKENDS)}, or an .npy file")


def read_scores(path: Path) -> Float32[np.ndarray, "n d"]:
    """Rows of scores from an .npy file, as they are.

    Raises:
        UserError: if the file is absent or does not hold a table of finite numbers.
    """
    try:
        table = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: not an .npy file that can be read ({error}).") from error
    if table.ndim != 2 or not len(table) or not np.issubdtype(table.dtype, np.number) or not np.isfinite(table).all():
        raise UserError(f"{path}: holds {table.dtype} of shape {table.shape}; give rows of scores, 50 a second.")
    return table.astype(np.float32)


def _centred(probabilities: Float[np.ndarray, "n d"]) -> Float32[np.ndarray, "n d"]:
    scores = np.log(np.maximum(probabilities, _FLOOR))
    return (scores - scores.mean(-1, keepdims=True)).astype(np.float32)


def articulatory_matrix(tokens: list[str]) -> Float32[np.ndarray, "n 29"]:
    """Which class (column) each symbol (row) belongs to, 1 or 0."""
    column = {symbol: i for i, members in enumerate(ARTICULATORY.values()) for symbol in members.split()}
    matrix = np.zeros((len(tokens), CLASSES), np.float32)
    matrix[range(len(tokens)), [column.get(token, CLASSES - 2) for token in tokens]] = 1
    return matrix


@cache
def _hama() -> Any:
    return ASRModel()


def _hama_classes(waveform: Float32[np.ndarray, " s"]) -> Float[np.ndarray, "n 29"]:
    """Probability of each articulatory class."""
    model = _hama()
    matrix = articulatory_matrix(list(model.decoder_tokens))
    count = max(1, round(len(waveform) / _SAMPLE_RATE * PHONETIC_RATE))
    result = np.zeros((count, CLASSES), np.float32)
    hop, margin = round(_LONGEST * PHONETIC_RATE), round(_OVERLAP * PHONETIC_RATE)
    samples = _SAMPLE_RATE // PHONETIC_RATE
    for first in range(0, count, hop):
        begin = max(0, first - margin)
        piece = waveform[begin * samples : (first + hop + margin) * samples]
        if len(piece) < _SAMPLE_RATE // 10:
            piece = np.pad(piece, (0, _SAMPLE_RATE // 10 - len(piece)))
        lengths = np.array([len(piece)])
        rows, _ = model.session.run(
            ["log_probs", "out_lengths"], {"waveform": piece[None], "waveform_lengths": lengths}
        )
        classes = np.exp(rows[0].astype(np.float32)) @ matrix
        part = classes[first - begin :][: min(hop, count - first)]
        result[first : first + len(part)] = part
        result[first + len(part) : first + hop] = part[-1:]
    return result


@cache
def _wav2vec2() -> Any:
    try:
        from transformers import Wav2Vec2ForCTC, Wav2Vec2Processor  # type: ignore[import-not-found]
    except ImportError as error:
        raise UserError(
            "transformers, which hears letters for VOCA, is not installed; run: pip install 'talkinghead[speech]'"
        ) from error
    name = "facebook/wav2vec2-base-960h"
    return Wav2Vec2Processor.from_pretrained(name), Wav2Vec2ForCTC.from_pretrained(name).eval()


def _wav2vec2_letters(waveform: Float32[np.ndarray, " s"]) -> Float[np.ndarray, "n 29"]:
    """Probability of each letter in DeepSpeech's order: space, a to z, apostrophe, blank."""
    processor, network = _wav2vec2()
    vocabulary: dict[str, int] = processor.tokenizer.get_vocab()
    inputs = processor(waveform, sampling_rate=_SAMPLE_RATE, return_tensors="pt").input_values
    with torch.inference_mode():
        probabilities = network(inputs).logits[0].softmax(-1).numpy()
    names = ["|" if letter == " " else letter.upper() for letter in _LETTERS] + ["<pad>"]
    return probabilities[:, [vocabulary[name] for name in names]]  # type: ignore[no-any-return]
