"""A head that moves as glTF 2.0: one mesh whose morph targets are expressions, and an animation of their weights.

The head's turns animate the node. A motion without expressions, of vertices alone, gets the principal directions of its
movement as targets.

References:
    Khronos, glTF 2.0 specification (mesh primitives' targets, animation channels "weights" and "rotation").
"""

import base64
import json
import struct
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Float32, Int, UInt8

from talkinghead.media.files import atomic_path
from talkinghead.rig.rig import rotation_of_pose
from talkinghead.rig.shade import vertex_normals

FLOAT, INDEX, BYTE = 5126, 5125, 5121
ARRAY, ELEMENTS = 34962, 34963
KINDS = {1: "SCALAR", 3: "VEC3", 4: "VEC4"}

MOST_TARGETS = 48
"""Principal directions that vertices alone are reduced to."""


@dataclass(frozen=True)
class MorphAnimation:
    """A mesh, its targets and how they move."""

    neutral: Float32[np.ndarray, "v 3"]
    faces: Int[np.ndarray, "f 3"]
    targets: Float32[np.ndarray, "k v 3"]
    """Offsets at weight 1, metres."""
    names: tuple[str, ...]
    weights: Float32[np.ndarray, "t k"]
    fps: Fraction
    pose: Float32[np.ndarray, "t 3"] | None = None
    """Yaw, pitch, roll, radians."""
    colours: UInt8[np.ndarray, "v 3"] | None = None


def principal_targets(
    vertices: Float32[np.ndarray, "t v 3"], *, most: int = MOST_TARGETS
) -> tuple[Float32[np.ndarray, "v 3"], Float32[np.ndarray, "k v 3"], Float32[np.ndarray, "t k"]]:
    """Vertices over time as a mean, directions that explain most of the movement, and their weights. Each direction is
    as large as it gets in the motion, so that weights lie in -1..1."""
    mean = vertices.mean(0)
    moved = (vertices - mean).reshape(len(vertices), -1)
    left, size, right = np.linalg.svd(moved, full_matrices=False)
    kept = min(most, max(1, int((size > 1e-6 * max(float(size[0]), 1e-9)).sum())))
    weights = left[:, :kept] * size[:kept]
    reach = np.maximum(np.abs(weights).max(0), 1e-9)
    targets = (right[:kept] * reach[:, None]).reshape(kept, -1, 3)
    return mean.astype(np.float32), targets.astype(np.float32), (weights / reach).astype(np.float32)


def write_gltf(head: MorphAnimation, path: Path, *, sound: str | None = None, overwrite: bool = False) -> None:
    """Write a .glb (binary), or a .gltf with its data inside.

    Args:
        head: what moves.
        path: ends in .glb or .gltf.
        sound: name of the sound's file, kept in the scene's extras.
        overwrite: replace a file that exists.

    Raises:
        UserError: if the file exists and `overwrite` is false.
    """
    document, data = _document(head, sound)
    with atomic_path(path, overwrite=overwrite) as temporary:
        if path.suffix.lower() == ".glb":
            temporary.write_bytes(_binary(document, data))
        else:
            uri = "data:application/octet-stream;base64," + base64.b64encode(data).decode()
            document["buffers"][0]["uri"] = uri
            temporary.write_text(json.dumps(document), encoding="utf-8")


def _document(head: MorphAnimation, sound: str | None) -> tuple[dict[str, Any], bytes]:
    """The glTF document and the data its buffer holds."""
    store = _Store()
    attributes = {
        "POSITION": store.add(head.neutral, target=ARRAY, bounds=True),
        "NORMAL": store.add(vertex_normals(head.neutral, head.faces).astype(np.float32), target=ARRAY),
    }
    if head.colours is not None:
        opaque = np.concatenate([head.colours, np.full((len(head.colours), 1), 255, np.uint8)], 1)
        attributes["COLOR_0"] = store.add(opaque, target=ARRAY, normalised=True)
    primitive = {
        "attributes": attributes,
        "indices": store.add(head.faces.astype(np.uint32).reshape(-1, 1), target=ELEMENTS),
        "targets": [{"POSITION": store.add(target, target=ARRAY, bounds=True)} for target in head.targets],
        "material": 0,
    }
    mesh = {
        "name": "head",
        "primitives": [primitive],
        "weights": [0.0] * len(head.names),
        "extras": {"targetNames": list(head.names)},
    }
    times = store.add(
        np.array([[float(frame / head.fps)] for frame in range(len(head.weights))], np.float32), bounds=True
    )
    samplers = [{"input": times, "output": store.add(head.weights.reshape(-1, 1)), "interpolation": "LINEAR"}]
    channels = [{"sampler": 0, "target": {"node": 0, "path": "weights"}}]
    if head.pose is not None:
        samplers.append({"input": times, "output": store.add(quaternions(head.pose)), "interpolation": "LINEAR"})
        channels.append({"sampler": 1, "target": {"node": 0, "path": "rotation"}})
    document = {
        "asset": {"version": "2.0", "generator": "talkinghead"},
        "scene": 0,
        "scenes": [{"nodes": [0], "extras": {"fps": str(head.fps), "sound": sound}}],
        "nodes": [{"name": "head", "mesh": 0}],
        "meshes": [mesh],
        "materials": [{"pbrMetallicRoughness": {"metallicFactor": 0.0, "roughnessFactor": 0.7}, "doubleSided": True}],
        "animations": [{"name": "motion", "samplers": samplers, "channels": channels}],
        "accessors": store.accessors,
        "bufferViews": store.views,
        "buffers": [{"byteLength": len(store.data)}],
    }
    return document, bytes(store.data)


class _Store:
    """A buffer with its views and accessors."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.views: list[dict[str, Any]] = []
        self.accessors: list[dict[str, Any]] = []

    def add(
        self, array: np.ndarray, *, target: int | None = None, bounds: bool = False, normalised: bool = False
    ) -> int:
        """Store rows of numbers; the accessor's index."""
        kind = {np.dtype(np.float32): FLOAT, np.dtype(np.uint32): INDEX, np.dtype(np.uint8): BYTE}[array.dtype]
        raw = np.ascontiguousarray(array).tobytes()
        view: dict[str, Any] = {"buffer": 0, "byteOffset": len(self.data), "byteLength": len(raw)}
        if target is not None:
            view["target"] = target
        accessor: dict[str, Any] = {
            "bufferView": len(self.views),
            "componentType": kind,
            "count": len(array),
            "type": KINDS[array.shape[1]],
        }
        if bounds:
            accessor |= {"min": array.min(0).tolist(), "max": array.max(0).tolist()}
        if normalised:
            accessor["normalized"] = True
        self.data += raw + bytes(-len(raw) % 4)
        self.views.append(view)
        self.accessors.append(accessor)
        return len(self.accessors) - 1


def quaternions(pose: Float[np.ndarray, "t 3"]) -> Float32[np.ndarray, "t 4"]:
    """Poses as unit quaternions (x, y, z, w), without jumps of sign."""
    found = rotation_of_pose(pose).as_quat()
    turns = np.sign((found[1:] * found[:-1]).sum(1))
    found[1:] *= np.cumprod(np.where(turns == 0, 1, turns))[:, None]
    return np.asarray(found, np.float32)


def _binary(document: dict[str, Any], data: bytes) -> bytes:
    """A GLB: header, JSON chunk, data chunk."""
    text = json.dumps(document, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    chunks = struct.pack("<II", len(text), 0x4E4F534A) + text + struct.pack("<II", len(data), 0x004E4942) + data
    return struct.pack("<III", 0x46546C67, 2, 12 + len(chunks)) + chunks
