"""A mesh with fewer vertices that still moves as the full one does.

Vertices are taken away one edge at a time, always the one whose loss costs least; those that stay do not move, so that
their offsets in every expression stay exact. The cost is measured on the neutral face and on every expression at once.

References:
    Garland and Heckbert 1997, Surface simplification using quadric error metrics (half-edge collapse).
"""

import heapq

import numpy as np

SHORT_EDGES = 2e-3
"""Cost of an edge's squared length, against the quadric's: triangles become more even."""

BORDER = 5.0
"""Weight of the planes that hold the outline of the surface."""

MIRROR_DISTANCE = 1e-2
"""How far from its mirrored partner a vertex may lie, in units of the mesh."""


class Decimation:
    """The mesh while it is being reduced, in mirrored pairs."""

    def __init__(self, poses: np.ndarray, faces: np.ndarray, *, importance: np.ndarray, locked: set[int]) -> None:
        """`poses (v, p, 3)`: each vertex in the neutral face (first) and in the expressions; `importance (v,)`."""
        self.poses, self.locked = poses, locked
        self.partner = mirrored_vertices(poses[:, 0])
        self.faces = {i: tuple(face) for i, face in enumerate(faces.tolist())}
        self.faces_of: list[set[int]] = [set() for _ in poses]
        for i, face in self.faces.items():
            for corner in face:
                self.faces_of[corner].add(i)
        self.border = self._border()
        self.matrix, self.vector, self.constant = self._quadrics(faces, importance)
        self.alive = np.ones(len(poses), bool)
        self.stamp = np.zeros(len(poses), int)

    def run(self, target: int) -> tuple[np.ndarray, np.ndarray]:
        """Reduce to about `target` vertices. Returns the vertices that stay and the triangles in their new numbers."""
        queue = [entry for vertex in range(len(self.poses)) for entry in self._offers(vertex)]
        heapq.heapify(queue)
        left = len(self.poses)
        while left > target and queue:
            _, gone, kept, stamp = heapq.heappop(queue)
            if not self.alive[gone] or not self.alive[kept] or stamp != self.stamp[gone] + self.stamp[kept]:
                continue
            pairs = {(gone, kept), (int(self.partner[gone]), int(self.partner[kept]))}
            if not all(self._allowed(*pair) for pair in pairs) or not self._apart(pairs):
                continue
            for pair in pairs:
                touched = self._collapse(*pair)
                left -= 1
                for vertex in touched:
                    self.stamp[vertex] += 1
            for vertex in {v for pair in pairs for v in self._around(pair[1]) | {pair[1]}}:
                for entry in self._offers(vertex):
                    heapq.heappush(queue, entry)
        kept_vertices = np.flatnonzero(self.alive)
        number = np.full(len(self.poses), -1)
        number[kept_vertices] = np.arange(len(kept_vertices))
        return kept_vertices, number[np.array(sorted(self.faces.values()))]

    def _offers(self, gone: int) -> list[tuple[float, int, int, int]]:
        """The edges that a vertex could be taken away along, each with its cost."""
        if gone in self.locked or not self.alive[gone]:
            return []
        around = [kept for kept in self._around(gone) if not (self.border[gone] and not self.border[kept])]
        if not around:
            return []
        points = self.poses[around]
        cost = np.einsum("npi,pij,npj->n", points, self.matrix[gone], points)
        cost += 2 * np.einsum("npi,pi->n", points, self.vector[gone]) + self.constant[gone]
        cost += SHORT_EDGES * ((points[:, 0] - self.poses[gone, 0]) ** 2).sum(-1)
        return [
            (float(c), gone, kept, int(self.stamp[gone] + self.stamp[kept]))
            for c, kept in zip(cost, around, strict=True)
        ]

    def _allowed(self, gone: int, kept: int) -> bool:
        """Whether the surface stays a surface and no triangle turns over."""
        if gone in self.locked or not self.alive[gone] or not self.alive[kept]:
            return False
        shared = self.faces_of[gone] & self.faces_of[kept]
        common = self._around(gone) & self._around(kept)
        if len(common) != len(shared) or not shared or (self.border[gone] and len(shared) != 1):
            return False
        for face in self.faces_of[gone] - shared:
            before = self.poses[list(self.faces[face])][:, 0]
            after = self.poses[[kept if c == gone else c for c in self.faces[face]]][:, 0]
            old, new = _normal(before), _normal(after)
            longest = max(((after - np.roll(after, 1, 0)) ** 2).sum(1))
            if old @ new < 0.3 * np.linalg.norm(old) * np.linalg.norm(new) or np.linalg.norm(new) < 0.05 * longest:
                return False
        return True

    def _apart(self, pairs: set[tuple[int, int]]) -> bool:
        """Whether an edge and its mirror image can be taken away without one being in the other's way."""
        if len(pairs) == 1:
            return True
        (a, b), (c, d) = pairs
        return a != c and a != d and c != b and c not in self._around(a)

    def _collapse(self, gone: int, kept: int) -> set[int]:
        touched = self._around(gone)
        for face in list(self.faces_of[gone]):
            corners = self.faces.pop(face)
            for corner in corners:
                self.faces_of[corner].discard(face)
            if kept not in corners:
                self.faces[face] = tuple(kept if c == gone else c for c in corners)
                for corner in self.faces[face]:
                    self.faces_of[corner].add(face)
        self.matrix[kept] += self.matrix[gone]
        self.vector[kept] += self.vector[gone]
        self.constant[kept] += self.constant[gone]
        self.alive[gone] = False
        return touched

    def _around(self, vertex: int) -> set[int]:
        return {corner for face in self.faces_of[vertex] for corner in self.faces[face]} - {vertex}

    def _border(self) -> np.ndarray:
        self.border_edges = border_edges(np.array(list(self.faces.values())))
        border = np.zeros(len(self.poses), bool)
        border[self.border_edges] = True
        return border

    def _quadrics(self, faces: np.ndarray, importance: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Sum of squared distances to the planes of a vertex's triangles, by their area, in each pose."""
        count, poses = self.poses.shape[:2]
        quadrics = np.zeros((count, poses, 3, 3)), np.zeros((count, poses, 3)), np.zeros(count)
        corners = self.poses[faces].transpose(1, 2, 0, 3)
        normal = np.cross(corners[1] - corners[0], corners[2] - corners[0])
        area = np.linalg.norm(normal, axis=-1) / 2
        planes = [(faces.T, normal / (2 * area[..., None] + 1e-12), corners[0], area)]
        edge_face = {tuple(sorted(edge)): i for i, face in enumerate(faces.tolist()) for edge in _edges(face)}
        owner = [edge_face[tuple(sorted(edge))] for edge in self.border_edges.tolist()]
        along = self.poses[self.border_edges[:, 1]] - self.poses[self.border_edges[:, 0]]
        across = np.cross(along, planes[0][1][:, owner].transpose(1, 0, 2)).transpose(1, 0, 2)
        length = np.linalg.norm(across, axis=-1)
        start = self.poses[self.border_edges[:, 0]].transpose(1, 0, 2)
        planes.append((self.border_edges.T, across / (length[..., None] + 1e-12), start, BORDER * length**2))
        for indices, unit, point, weight in planes:
            weight = weight * importance[indices].mean(0)
            offset = -(unit * point).sum(-1)
            for index in indices:
                np.add.at(quadrics[0], index, np.einsum("pf,pfi,pfj->fpij", weight, unit, unit))
                np.add.at(quadrics[1], index, np.einsum("pf,pf,pfi->fpi", weight, offset, unit))
                np.add.at(quadrics[2], index, (weight * offset**2).sum(0))
        return quadrics


def border_edges(faces: np.ndarray) -> np.ndarray:
    """Edges (n, 2) that only one triangle has, in that triangle's direction."""
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    _, first, count = np.unique(np.sort(edges, 1), axis=0, return_index=True, return_counts=True)
    return edges[first[count == 1]]


def mirrored_vertices(points: np.ndarray) -> np.ndarray:
    """Index of the vertex on the other side of the face, for each vertex."""
    from scipy.spatial import cKDTree

    distance, partner = cKDTree(points).query(points * [-1, 1, 1])
    if distance.max() > MIRROR_DISTANCE:
        raise ValueError(f"the mesh is not symmetric: a vertex lies {distance.max()} from its partner")
    return partner


def _edges(face: list[int]) -> list[tuple[int, int]]:
    return [(face[0], face[1]), (face[1], face[2]), (face[2], face[0])]


def _normal(corners: np.ndarray) -> np.ndarray:
    return np.cross(corners[1] - corners[0], corners[2] - corners[0])
