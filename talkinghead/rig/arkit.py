"""Names of facial expressions: ARKit's 52 blendshapes, the rig's 46, and the way from each to the other.

The rig's set is ARKit's with three changes, so that it has as many expressions as Pham et al. 2017 predict:

* both eyes look together: `eyeLookUp`, `eyeLookDown`, `eyeLookLeft`, `eyeLookRight` (the person's left) stand for
  ARKit's eight; a squint of the two eyes against each other is lost;
* `noseSneer` is both sides;
* `tongueOut` is left out: the tongue is not seen by 68 landmarks, nor does the rig have one.

From ARKit, a merged expression is the mean of its parts; to ARKit, each part is the merged one. What the rig can do
survives the way there and back.

References:
    Apple, ARKit documentation: ARFaceAnchor.BlendShapeLocation (the 52 names).
    Cao et al. 2014, FaceWarehouse (46 expressions).
"""

import numpy as np
from jaxtyping import Float, Float32

ARKIT_NAMES = (
    "eyeBlinkLeft",
    "eyeLookDownLeft",
    "eyeLookInLeft",
    "eyeLookOutLeft",
    "eyeLookUpLeft",
    "eyeSquintLeft",
    "eyeWideLeft",
    "eyeBlinkRight",
    "eyeLookDownRight",
    "eyeLookInRight",
    "eyeLookOutRight",
    "eyeLookUpRight",
    "eyeSquintRight",
    "eyeWideRight",
    "jawForward",
    "jawLeft",
    "jawRight",
    "jawOpen",
    "mouthClose",
    "mouthFunnel",
    "mouthPucker",
    "mouthLeft",
    "mouthRight",
    "mouthSmileLeft",
    "mouthSmileRight",
    "mouthFrownLeft",
    "mouthFrownRight",
    "mouthDimpleLeft",
    "mouthDimpleRight",
    "mouthStretchLeft",
    "mouthStretchRight",
    "mouthRollLower",
    "mouthRollUpper",
    "mouthShrugLower",
    "mouthShrugUpper",
    "mouthPressLeft",
    "mouthPressRight",
    "mouthLowerDownLeft",
    "mouthLowerDownRight",
    "mouthUpperUpLeft",
    "mouthUpperUpRight",
    "browDownLeft",
    "browDownRight",
    "browInnerUp",
    "browOuterUpLeft",
    "browOuterUpRight",
    "cheekPuff",
    "cheekSquintLeft",
    "cheekSquintRight",
    "noseSneerLeft",
    "noseSneerRight",
    "tongueOut",
)
"""Eyes, jaw, mouth, brows, cheeks, nose, tongue: the order that files of ARKit's weights commonly have."""

MERGED = {
    "eyeLookUp": ("eyeLookUpLeft", "eyeLookUpRight"),
    "eyeLookDown": ("eyeLookDownLeft", "eyeLookDownRight"),
    "eyeLookLeft": ("eyeLookOutLeft", "eyeLookInRight"),
    "eyeLookRight": ("eyeLookInLeft", "eyeLookOutRight"),
    "noseSneer": ("noseSneerLeft", "noseSneerRight"),
}
"""Expressions of the rig that stand for two of ARKit's."""

_PARTS = {part for parts in MERGED.values() for part in parts}
_EYES = [name for name in MERGED if name.startswith("eye")]
_SINGLE = [name for name in ARKIT_NAMES if name not in _PARTS and name != "tongueOut"]

RIG_NAMES = (
    *(name for name in _SINGLE if name.startswith("eye")),
    *_EYES,
    *(name for name in _SINGLE if not name.startswith("eye")),
    "noseSneer",
)
"""The 46 expressions of the rig."""


def to_rig_matrix() -> Float32[np.ndarray, "52 46"]:
    """`arkit_weights @ to_rig_matrix()` are the rig's weights."""
    matrix = np.zeros((len(ARKIT_NAMES), len(RIG_NAMES)), np.float32)
    for column, name in enumerate(RIG_NAMES):
        parts = MERGED.get(name, (name,))
        for part in parts:
            matrix[ARKIT_NAMES.index(part), column] = 1 / len(parts)
    return matrix


def to_arkit_matrix() -> Float32[np.ndarray, "46 52"]:
    """`rig_weights @ to_arkit_matrix()` are ARKit's weights; `tongueOut` is 0."""
    return (to_rig_matrix() > 0).astype(np.float32).T


def to_rig(weights: Float[np.ndarray, "t n"], names: tuple[str, ...] | list[str]) -> Float32[np.ndarray, "t 46"]:
    """Weights of any columns as the rig's 46; what is not given is 0.

    Args:
        weights: 0..1.
        names: what the columns are: ARKit's names, the rig's, ICT-FaceKit's, in any order and letter case. Unknown ones
            are left out. Where several columns are the same expression, the largest counts.

    Raises:
        ValueError: if there are not as many names as columns, or none of them is known.
    """
    if len(names) != weights.shape[1]:
        raise ValueError(f"{weights.shape[1]} columns and {len(names)} names")
    found: dict[str, np.ndarray] = {}
    for column, name in enumerate(names):
        known = canonical(name)
        if known:
            found[known] = np.maximum(found.get(known, 0), weights[:, column])
    if not found:
        raise ValueError(f"none of the names is an expression: {', '.join(names[:5])}…")
    rig = np.zeros((len(weights), len(RIG_NAMES)), np.float32)
    for column, name in enumerate(RIG_NAMES):
        given = [found[part] for part in MERGED.get(name, ()) if part in found]
        if name in found:
            rig[:, column] = found[name]
        elif given:
            rig[:, column] = np.sum(given, 0) / len(MERGED[name])
    return rig


def to_arkit(weights: Float[np.ndarray, "t 46"]) -> Float32[np.ndarray, "t 52"]:
    """The rig's weights as ARKit's 52, in `ARKIT_NAMES` order."""
    return np.asarray(weights, np.float32) @ to_arkit_matrix()


def canonical(name: str) -> str | None:
    """An expression's name in ARKit's or the rig's spelling: "JawOpen", "jaw_open", "eyeBlink_L" (ICT-FaceKit), "Eye
    Blink Left", "blendShapes.eyeBlinkL" and the like are known. None if it is none of them."""
    plain = "".join(letter for letter in name.lower() if letter.isalnum())
    for prefix in ("", *_PREFIXES):
        rest = plain.removeprefix(prefix)
        for spelling in (rest, *(rest[:-1] + side for side in ("left", "right") if rest.endswith(side[0]))):
            if spelling in _SPELLINGS:
                return _SPELLINGS[spelling]
    return None


_PREFIXES = ("blendshapes", "blendshape", "arkit", "bs", "expressions", "face")

_SPELLINGS = {name.lower(): name for name in (*ARKIT_NAMES, *RIG_NAMES)} | {
    name.lower() + side: name for name in ("browInnerUp", "cheekPuff") for side in ("left", "right")
}
"""Lower case -> proper name; ICT-FaceKit has two sides of what is one in ARKit."""
