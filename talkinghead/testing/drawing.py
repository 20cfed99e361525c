"""A drawn person as a picture, with the exact landmarks of what was drawn."""

from functools import lru_cache

import cv2
import numpy as np
from jaxtyping import Float, Float32, UInt8
from scipy.spatial.transform import Rotation

from talkinghead.face import landmarks as scheme
from talkinghead.testing.drawn_person import Colour, Person, Pose

UNITS_PER_SIDE = 6.2
"""A crop's side in units, so that a neutral face is framed as `face.crop` frames one."""

_CENTRE = np.array([0.0, 0.63])
_PIVOT = np.array([0.0, 0.7, -1.2])
_VIEWER = 14.0
_LEAST_CANVAS = 384
_SHIFT_BITS = 4


def draw_person(
    seed: int, pose: Pose | None = None, *, size: int = 128
) -> tuple[UInt8[np.ndarray, "{size} {size} 3"], Float32[np.ndarray, "68 2"]]:
    """A frame of person number `seed` and the 68 landmarks in it, as fractions of the side.

    The same seed, pose and size give the same picture, bit for bit. dlib's frontal detector finds the face at 128 px
    and more, and its shape predictor puts the landmarks 3.5 % of the interocular distance away (median over 12 people
    in 5 poses; 6.6 % at most).
    """
    easel = _Easel(seed, pose or Pose(), size)
    easel.draw_body()
    easel.draw_head()
    easel.draw_shading()
    for eye in (scheme.RIGHT_EYE, scheme.LEFT_EYE):
        easel.draw_eye(eye)
    for brow in (scheme.RIGHT_BROW, scheme.LEFT_BROW):
        easel.draw_brow(brow)
    easel.draw_nose()
    easel.draw_mouth()
    easel.draw_fringe()
    return easel.frame(size), easel.landmarks()


class _Easel:
    """One picture in the making: a canvas larger than the frame and the person's points on it."""

    def __init__(self, seed: int, pose: Pose, size: int) -> None:
        self.person = Person.from_seed(seed)
        self.pose = pose
        self.side = size * max(1, -(-_LEAST_CANVAS // size))
        self.unit = self.side / UNITS_PER_SIDE * pose.scale
        self.canvas = _backdrop(seed, self.person.backdrop, self.side).copy()
        self.points = self.project(self.person.face_points(pose))

    def project(self, points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 2"]:
        """Canvas pixels of points on the head, turned as the pose says and seen by a viewer 14 units away."""
        turned = (points - _PIVOT) @ _rotation(self.pose).T + _PIVOT
        flat = turned[:, :2] * (_VIEWER / (_VIEWER - turned[:, 2:]))
        return self.place(flat)

    def place(self, flat: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n 2"]:
        """Canvas pixels of points in units that do not turn with the head."""
        return self.side * (0.5 + np.array(self.pose.shift)) + (flat - _CENTRE) * self.unit - 0.5

    def landmarks(self) -> Float32[np.ndarray, "68 2"]:
        return ((self.points + 0.5) / self.side).astype(np.float32)

    def frame(self, size: int) -> UInt8[np.ndarray, "{size} {size} 3"]:
        if size == self.side:
            return self.canvas
        return cv2.resize(self.canvas, (size, size), interpolation=cv2.INTER_AREA)

    def fill(self, points: Float[np.ndarray, "n 2"], colour: Colour) -> None:
        cv2.fillPoly(self.canvas, [_fixed(points)], colour, cv2.LINE_AA, _SHIFT_BITS)

    def line(self, points: Float[np.ndarray, "n 2"], colour: Colour, *, width: float) -> None:
        thickness = max(1, round(width * self.unit))
        cv2.polylines(self.canvas, [_fixed(points)], False, colour, thickness, cv2.LINE_AA, _SHIFT_BITS)

    def draw_body(self) -> None:
        person = self.person
        if person.long_hair:
            self.fill(self.place(_oval(0, 1.3, 2.05, 2.9)), _tint(person.hair, 0.75))
        neck = np.array([[-0.85, 1.2], [0.85, 1.2], [0.95, 3.2], [1.5, 4.2], [-1.5, 4.2], [-0.95, 3.2]])
        self.fill(self.place(neck), _tint(person.skin, 0.72))
        self.fill(self.place(_oval(0, 5.3, 3.6, 2.1)), person.clothes)
        self.fill(self.place(_oval(0, 3.15, 0.8, 0.55)), _tint(person.skin, 0.72))

    def draw_head(self) -> None:
        person = self.person
        self.fill(self.project(_dome(person, 1.12, depth=-1.0)), person.hair)
        for side in (-1, 1):
            ear = _oval(side * (person.jaw_width + 0.02), 0.5, 0.2, 0.5)
            self.fill(self.project(_with_depth(ear, -1.1)), _tint(person.skin, 0.82))
        skull = self.project(_dome(person, 1.0, depth=-0.6))
        self.outline = cv2.convexHull(np.concatenate([self.points[scheme.JAW], skull]).astype(np.float32))[:, 0]
        self.fill(self.outline, person.skin)

    def draw_shading(self) -> None:
        """Light from the front and one side: darker to the outline, round the eyes, under nose and lip."""
        small = 96
        ratio = small / self.side
        inside = np.zeros((small, small), np.float32)
        cv2.fillPoly(inside, [_fixed(self.outline * ratio)], 1.0, cv2.LINE_AA, _SHIFT_BITS)
        sigma = 0.22 * self.unit * ratio
        shade = 0.62 + 0.38 * cv2.GaussianBlur(inside, (0, 0), 1.4 * sigma)
        dark = np.zeros_like(inside)
        sockets = [np.array([[x * self.person.eye_spacing, 0.18], [x * 0.8, 0.27], [x * 1.05, 0.05]]) for x in (-1, 1)]
        for socket, brow in zip(sockets, (scheme.RIGHT_BROW, scheme.LEFT_BROW), strict=True):
            hollow = np.concatenate([self.points[brow], self.project(_with_depth(socket, -0.05))])
            cv2.fillConvexPoly(dark, cv2.convexHull(hollow.astype(np.float32) * ratio).astype(np.int32), 1.0)
        under_nose = self.project(_with_depth(_oval(0, self.person.nose_length + 0.16, 0.34, 0.1), 0.2))
        under_lip = self.points[55:60] + [0, 0.18 * self.unit]
        for hollow in (under_nose, under_lip):
            cv2.fillPoly(dark, [_fixed(hollow * ratio)], 0.8, cv2.LINE_AA, _SHIFT_BITS)
        shade *= 1 - 0.3 * cv2.GaussianBlur(dark, (0, 0), 0.5 * sigma)
        shade *= 1 + self.person.light * np.linspace(-1, 1, small, dtype=np.float32)
        lit = cv2.resize(shade, (self.side, self.side), interpolation=cv2.INTER_LINEAR)
        mask = np.zeros((self.side, self.side), np.float32)
        cv2.fillPoly(mask, [_fixed(self.outline)], 1.0, cv2.LINE_AA, _SHIFT_BITS)
        self.canvas = cv2.multiply(self.canvas, cv2.merge([1 - mask * (1 - lit)] * 3), dtype=cv2.CV_8U)

    def draw_eye(self, eye: list[int]) -> None:
        person = self.person
        outline = _smooth(self.points[eye], closed=True)
        iris = 0.2 * self.unit
        low = np.maximum(np.floor(outline.min(0) - iris).astype(int) - 2, 0)
        high = np.maximum(np.ceil(outline.max(0) + iris).astype(int) + 3, low)
        window = (slice(low[1], high[1]), slice(low[0], high[0]))
        skin = self.canvas[window].astype(np.float32)
        if skin.size:
            self.fill(outline, (236, 232, 228))
            gaze = self.points[eye].mean(0) - [0, 0.1 * person.eye_height * self.unit]
            for radius, colour in ((0.19, _tint(person.iris, 0.6)), (0.165, person.iris), (0.08, (12, 10, 10))):
                self.fill(gaze + _oval(0, 0, radius, radius) * self.unit, colour)
            self.fill(gaze + np.array([0.05, -0.06]) * self.unit + _oval(0, 0, 0.03, 0.03) * self.unit, (250, 250, 250))
            mask = np.zeros(skin.shape[:2], np.float32)
            cv2.fillPoly(mask, [_fixed(outline - low)], 1.0, cv2.LINE_AA, _SHIFT_BITS)
            drawn = self.canvas[window].astype(np.float32)
            self.canvas[window] = np.rint(skin + (drawn - skin) * mask[..., None]).astype(np.uint8)
        upper = outline[: len(outline) // 2 + 1]
        self.line(upper, (38, 24, 20), width=0.055)
        self.line(outline[len(outline) // 2 :], _tint(person.skin, 0.6), width=0.025)
        self.line(upper - [0, 0.1 * self.unit], _tint(person.skin, 0.68), width=0.03)

    def draw_brow(self, brow: list[int]) -> None:
        path = _smooth(self.points[brow], closed=False)
        thickness = self.person.brow_thickness * self.unit
        taper = thickness * np.sin(np.pi * np.linspace(0.12, 0.88, len(path)))[:, None] * [0, 0.5]
        self.fill(np.concatenate([path - taper, (path + taper)[::-1]]), _tint(self.person.hair, 0.7))

    def draw_nose(self) -> None:
        person, base = self.person, self.points[scheme.NOSE_BASE]
        bridge = self.points[scheme.NOSE_BRIDGE]
        away = 0.13 * self.unit * (1 if person.light < 0 else -1)
        self.line(_smooth(bridge[:3] + [away, 0], closed=False), _tint(person.skin, 0.84), width=0.06)
        self.fill(bridge[3] + _oval(0, -0.02, 0.11, 0.09) * self.unit, _tint(person.skin, 1.1))
        self.line(_smooth(base, closed=False), _tint(person.skin, 0.6), width=0.045)
        for index, towards in ((1, -1), (3, 1)):
            nostril = base[index] + _oval(towards * 0.03, -0.05, 0.1, 0.055) * self.unit
            self.fill(nostril, _tint(person.skin, 0.32))
        for index, towards in ((0, -1), (4, 1)):
            wing = base[index] + np.array([[0.0, 0.0], [0.05 * towards, -0.12], [0.0, -0.22]]) * self.unit
            self.line(_smooth(wing, closed=False), _tint(person.skin, 0.7), width=0.035)

    def draw_mouth(self) -> None:
        person = self.person
        outer = _smooth(self.points[scheme.OUTER_LIPS], closed=True)
        inner = _smooth(self.points[scheme.INNER_LIPS], closed=True)
        self.fill(outer, person.lips)
        upper = np.concatenate([self.points[48:55], self.points[scheme.INNER_LIPS][4::-1]])
        self.fill(upper, _tint(person.lips, 0.88))
        self.fill(inner, (52, 18, 18))
        gap = float(np.linalg.norm(self.points[66] - self.points[62]))
        if gap > 0.06 * self.unit:
            edge = inner[3 : -len(inner) // 2 - 2]
            down = (self.points[66] - self.points[62]) / gap * min(0.14 * self.unit, 0.5 * gap)
            self.fill(np.concatenate([edge, edge[::-1] + down * 0.95]), (230, 226, 214))
        self.line(inner, _tint(person.lips, 0.5), width=0.03)

    def draw_fringe(self) -> None:
        person = self.person
        top = _dome(person, 1.14, depth=-0.9)
        hairline = _dome(person, 0.9, depth=-0.2)
        hairline[:, 1] += 0.28 * np.exp(-(((hairline[:, 0] - person.parting) / 0.45) ** 2)) - 0.08
        temples = np.array([[1.02, 0.35, -0.9], [-1.02, 0.35, -0.9]]) * [person.jaw_width, 1, 1]
        ring = np.concatenate([temples[1:], top[::-1], temples[:1], hairline])
        self.fill(self.project(ring), person.hair)
        for part in (0.25, 0.5, 0.75):
            strand = (1 - part) * top + part * hairline
            self.line(self.project(strand[4:-4]), _tint(person.hair, 0.75 + 0.6 * part), width=0.03)


@lru_cache(maxsize=64)
def _backdrop(seed: int, colour: Colour, side: int) -> UInt8[np.ndarray, "{side} {side} 3"]:
    blotches = np.random.default_rng(seed + 1_000_003).uniform(-45, 45, (5, 5, 3)) + np.array(colour)
    return np.clip(cv2.resize(blotches, (side, side), interpolation=cv2.INTER_CUBIC), 0, 255).astype(np.uint8)


def _rotation(pose: Pose) -> Float[np.ndarray, "3 3"]:
    return np.asarray(Rotation.from_euler("xyz", [-pose.pitch, pose.yaw, pose.roll]).as_matrix())


def _dome(person: Person, stretch: float, *, depth: float) -> Float[np.ndarray, "25 3"]:
    """The head's outline above the ears, from the picture's right to its left, in units."""
    angle = np.linspace(0, np.pi, 25)
    x = stretch * person.jaw_width * np.cos(angle)
    y = -0.05 - stretch * person.forehead * np.sin(angle) ** 0.9
    return np.stack([x, y, depth + 0.5 * np.sin(angle)], -1)


def _oval(x: float, y: float, half_width: float, half_height: float) -> Float[np.ndarray, "32 2"]:
    angle = np.linspace(0, 2 * np.pi, 32, endpoint=False)
    return np.stack([x + half_width * np.cos(angle), y + half_height * np.sin(angle)], -1)


def _with_depth(points: Float[np.ndarray, "n 2"], depth: float) -> Float[np.ndarray, "n 3"]:
    return np.concatenate([points, np.full((len(points), 1), depth)], 1)


def _smooth(points: Float[np.ndarray, "n 2"], *, closed: bool, steps: int = 6) -> Float[np.ndarray, "m 2"]:
    """A Catmull-Rom curve through the points."""
    ends = (points[-1:], points[:2]) if closed else (2 * points[:1] - points[1:2], 2 * points[-1:] - points[-2:-1])
    path = np.concatenate([ends[0], points, ends[1]])
    a, b, c, d = path[:-3, None], path[1:-2, None], path[2:-1, None], path[3:, None]
    t = np.linspace(0, 1, steps, endpoint=False)[None, :, None]
    curve = 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
    return np.concatenate([curve.reshape(-1, 2), points[:1] if closed else points[-1:]])


def _tint(colour: Colour, factor: float) -> Colour:
    r, g, b = (int(min(255, part * factor)) for part in colour)
    return r, g, b


def _fixed(points: Float[np.ndarray, "n 2"]) -> np.ndarray:
    """Points as cv2 draws them with a fraction of 1/16 pixel."""
    return np.round(points * 2**_SHIFT_BITS).astype(np.int32)
