"""Meshes from and to files: Wavefront OBJ and PLY, vertices and triangles alone."""

from pathlib import Path

import numpy as np
from jaxtyping import Float, Float32, Int

from talkinghead.errors import UserError

MESH_SUFFIXES = (".obj", ".ply")

_PLY_TYPES = {
    "char": "i1", "uchar": "u1", "short": "i2", "ushort": "u2", "int": "i4", "uint": "u4",
    "int8": "i1", "uint8": "u1", "int16": "i2", "uint16": "u2", "int32": "i4", "uint32": "u4",
    "float": "f4", "double": "f8", "float32": "f4", "float64": "f8",
}  # fmt: skip


def read_mesh(path: Path) -> tuple[Float[np.ndarray, "v 3"], Int[np.ndarray, "f 3"]]:
    """Vertices and triangles of an .obj or .ply file; polygons are split.

    Raises:
        UserError: if the file cannot be read, or a polygon names a vertex that is not there.
    """
    path = Path(path)
    try:
        points, polygons = _read_ply(path) if path.suffix.lower() == ".ply" else _read_obj(path)
        triangles = np.array([piece for corners in polygons for piece in _triangles(corners, points)], np.int64)
    except (OSError, ValueError, IndexError, KeyError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not a readable mesh ({error}).") from error
    return points, triangles.reshape(-1, 3)


def write_obj(path: Path, vertices: Float32[np.ndarray, "v 3"], faces: Int[np.ndarray, "f 3"]) -> None:
    """A mesh as OBJ, metres, to a tenth of a micrometre."""
    lines = [f"v {x:.7f} {y:.7f} {z:.7f}" for x, y, z in vertices.tolist()]
    lines += [f"f {a} {b} {c}" for a, b, c in (faces + 1).tolist()]
    path.write_text("\n".join(lines) + "\n", encoding="ascii")


def write_ply(path: Path, vertices: Float32[np.ndarray, "v 3"], faces: Int[np.ndarray, "f 3"]) -> None:
    """A mesh as binary PLY, metres."""
    header = (
        f"ply\nformat binary_little_endian 1.0\nelement vertex {len(vertices)}\n"
        "property float x\nproperty float y\nproperty float z\n"
        f"element face {len(faces)}\nproperty list uchar int vertex_indices\nend_header\n"
    )
    rows = np.empty(len(faces), [("count", "u1"), ("corners", "<i4", 3)])
    rows["count"], rows["corners"] = 3, faces
    path.write_bytes(header.encode() + vertices.astype("<f4").tobytes() + rows.tobytes())


def _read_obj(path: Path) -> tuple[Float[np.ndarray, "v 3"], list[list[int]]]:
    vertices: list[list[float]] = []
    polygons: list[list[int]] = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        kind, *words = line.split() or [""]
        if kind == "v":
            vertices.append([float(number) for number in words[:3]])
        elif kind == "f":
            polygons.append([_index(corner, len(vertices)) for corner in words])
    if not vertices:
        raise ValueError("it has no vertex")
    return np.array(vertices, np.float64).reshape(-1, 3), polygons


def _index(corner: str, count: int) -> int:
    """A corner of an OBJ polygon ("7", "7/1/3", "-1") as an index from 0."""
    number = int(corner.split("/")[0])
    index = number - 1 if number > 0 else count + number
    if not 0 <= index < count:
        raise ValueError(f"a polygon names vertex {number} of {count}")
    return index


def _read_ply(path: Path) -> tuple[Float[np.ndarray, "v 3"], list[list[int]]]:
    data = path.read_bytes()
    end = data.index(b"end_header")
    begin = data.index(b"\n", end) + 1
    header = [line.split() for line in data[:end].decode("ascii").splitlines()]
    form = next(words[1] for words in header if words[:1] == ["format"])
    elements: list[tuple[str, int, list[list[str]]]] = []
    for words in header:
        if words[:1] == ["element"]:
            elements.append((words[1], int(words[2]), []))
        elif words[:1] == ["property"]:
            elements[-1][2].append(words[1:])
    reader = _AsciiPly(data[begin:]) if form == "ascii" else _BinaryPly(data[begin:], "<" if "little" in form else ">")
    points = np.zeros((0, 3))
    polygons: list[list[int]] = []
    for name, count, properties in elements:
        if name == "vertex":
            table = reader.table(count, properties)
            points = np.stack([table[axis] for axis in ("x", "y", "z")], 1).astype(np.float64)
        else:
            lists = [reader.row(properties) for _ in range(count)]
            polygons = [corners for corners in lists if corners] if name == "face" else polygons
    worst = max((max(corners) for corners in polygons), default=0)
    if worst >= len(points):
        raise ValueError(f"a polygon names vertex {worst} of {len(points)}")
    return points, polygons


class _BinaryPly:
    """Walks through the body of a binary PLY."""

    def __init__(self, data: bytes, order: str) -> None:
        self.data, self.order, self.at = data, order, 0

    def table(self, count: int, properties: list[list[str]]) -> dict[str, np.ndarray]:
        kind = np.dtype([(name, self.order + _PLY_TYPES[of]) for of, name in properties])
        rows = np.frombuffer(self.data, kind, count, self.at)
        self.at += rows.nbytes
        return {name: rows[name] for _, name in properties}

    def row(self, properties: list[list[str]]) -> list[int]:
        """A row with a list in it; that list."""
        found: list[int] = []
        for words in properties:
            if words[0] == "list":
                count = int(self._take(words[1], 1)[0])
                found = self._take(words[2], count).astype(int).tolist()
            else:
                self._take(words[0], 1)
        return found

    def _take(self, of: str, count: int) -> np.ndarray:
        numbers = np.frombuffer(self.data, self.order + _PLY_TYPES[of], count, self.at)
        self.at += numbers.nbytes
        return numbers


class _AsciiPly:
    """Walks through the body of a PLY in text, a line a row."""

    def __init__(self, data: bytes) -> None:
        self.lines = iter(data.decode("ascii").splitlines())

    def table(self, count: int, properties: list[list[str]]) -> dict[str, np.ndarray]:
        rows = np.array([self._words() for _ in range(count)], np.float64)
        return {words[-1]: rows[:, column] for column, words in enumerate(properties)}

    def row(self, properties: list[list[str]]) -> list[int]:
        words, found = self._words(), []
        for kind in properties:
            if kind[0] == "list":
                count = int(words[0])
                found, words = [int(word) for word in words[1 : 1 + count]], words[1 + count :]
            else:
                words = words[1:]
        return found

    def _words(self) -> list[str]:
        line = next(self.lines, None)
        if line is None:
            raise ValueError("it ends early")
        return line.split()


def _triangles(corners: list[int], points: Float[np.ndarray, "v 3"]) -> list[list[int]]:
    """A polygon as triangles; a quadrangle is cut along its shorter diagonal."""
    if len(corners) == 4:
        a, b, c, d = points[corners]
        if np.linalg.norm(b - d) < 0.999 * np.linalg.norm(a - c):
            corners = corners[1:] + corners[:1]
    return [[corners[0], corners[i], corners[i + 1]] for i in range(1, len(corners) - 1)]
