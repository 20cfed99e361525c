"""Shapes from glTF 2.0: the mesh with most morph targets in a .gltf or .glb file.

References:
    Khronos, glTF 2.0 specification (accessors, sparse accessors, GLB layout).
"""

import base64
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np

from talkinghead.errors import UserError
from talkinghead.rig.files.folder import Shapes, make_rig, read_landmarks
from talkinghead.rig.rig import Rig

MAGIC = b"glTF"
JSON_CHUNK, DATA_CHUNK = 0x4E4F534A, 0x004E4942
COMPONENTS = {5120: "i1", 5121: "u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4}


def load_gltf(path: Path) -> Rig:
    """The rig in a glTF file, with its landmarks in landmarks.json beside it (see `folder`).

    The vertices of all primitives of the mesh are put together. Nodes' transforms are left out.

    Raises:
        UserError: if the file cannot be read, no mesh has morph targets, or the landmarks are missing.
    """
    try:
        shapes = _Gltf(path).shapes()
    except (OSError, ValueError, KeyError, IndexError, TypeError, struct.error) as error:
        raise UserError(f"{path}: not a glTF file with morph targets ({error}).") from error
    return make_rig(shapes, *read_landmarks(path.parent, shapes.faces))


class _Gltf:
    """An open glTF file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        raw = path.read_bytes()
        self.chunk = b""
        if raw[:4] == MAGIC:
            at = 12
            while at < len(raw):
                size, kind = struct.unpack_from("<II", raw, at)
                body = raw[at + 8 : at + 8 + size]
                at += 8 + size
                if kind == JSON_CHUNK:
                    self.document: dict[str, Any] = json.loads(body)
                elif kind == DATA_CHUNK:
                    self.chunk = body
        else:
            self.document = json.loads(raw)
        self.buffers: dict[int, bytes] = {}

    def shapes(self) -> Shapes:
        """The mesh with most targets."""
        meshes = self.document.get("meshes", [])
        mesh = max(meshes, key=lambda mesh: len(mesh["primitives"][0].get("targets", [])), default=None)
        if mesh is None or not mesh["primitives"][0].get("targets"):
            raise ValueError("no mesh has morph targets")
        count = len(mesh["primitives"][0]["targets"])
        names = mesh.get("extras", {}).get("targetNames") or [f"target{index:02d}" for index in range(count)]
        points, faces, start = [], [], 0
        moved: list[list[np.ndarray]] = [[] for _ in range(count)]
        for primitive in mesh["primitives"]:
            rest = self.array(primitive["attributes"]["POSITION"]).astype(np.float64)
            if "indices" in primitive:
                corners = self.array(primitive["indices"]).reshape(-1, 3).astype(np.int64)
            else:
                corners = np.arange(len(rest)).reshape(-1, 3)
            points.append(rest)
            faces.append(corners + start)
            start += len(rest)
            targets = primitive.get("targets", [])
            for index, parts in enumerate(moved):
                given = targets[index].get("POSITION") if index < len(targets) else None
                parts.append(np.zeros_like(rest) if given is None else self.array(given).astype(np.float64))
        expressions = {name: np.concatenate(parts) for name, parts in zip(names, moved, strict=True)}
        return Shapes(self.path.stem, np.concatenate(points), np.concatenate(faces), expressions)

    def array(self, index: int) -> np.ndarray:
        """An accessor's rows."""
        accessor = self.document["accessors"][index]
        kind, width = np.dtype(COMPONENTS[accessor["componentType"]]), WIDTHS[accessor["type"]]
        rows = np.zeros((accessor["count"], width), kind)
        if "bufferView" in accessor:
            rows = self._rows(accessor["bufferView"], accessor.get("byteOffset", 0), kind, width, accessor["count"])
        if "sparse" in accessor:
            sparse = accessor["sparse"]
            where, what = sparse["indices"], sparse["values"]
            places = self._rows(
                where["bufferView"], where.get("byteOffset", 0), np.dtype(COMPONENTS[where["componentType"]]), 1,
                sparse["count"],
            )  # fmt: skip
            rows = rows.copy()
            rows[places[:, 0]] = self._rows(what["bufferView"], what.get("byteOffset", 0), kind, width, sparse["count"])
        return rows

    def _rows(self, view: int, offset: int, kind: np.dtype, width: int, count: int) -> np.ndarray:
        about = self.document["bufferViews"][view]
        start = about.get("byteOffset", 0) + offset
        stride = about.get("byteStride") or kind.itemsize * width
        data = self._buffer(about["buffer"])
        if count and start + stride * (count - 1) + kind.itemsize * width > len(data):
            raise ValueError("its data end early")
        return np.ndarray((count, width), kind, data, start, (stride, kind.itemsize))

    def _buffer(self, index: int) -> bytes:
        if index not in self.buffers:
            uri = self.document["buffers"][index].get("uri")
            if uri is None:
                self.buffers[index] = self.chunk
            elif uri.startswith("data:"):
                self.buffers[index] = base64.b64decode(uri.partition(",")[2])
            else:
                beside = (self.path.parent / uri).resolve()
                if not beside.is_relative_to(self.path.parent.resolve()):
                    raise ValueError(f"its data lie outside of its folder: {uri}")
                self.buffers[index] = beside.read_bytes()
        return self.buffers[index]
