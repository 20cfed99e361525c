"""Who a drawn person is and how the head is held: proportions and colours from a seed, 68 points in 3-D from a pose.

One unit is half the distance of the outer eye corners; x right, y down, z to the viewer, the origin between the eyes.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from talkinghead.face import landmarks as scheme

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Pose:
    """How a drawn person holds the head and the face in one frame; all zero is a neutral face to the front."""

    yaw: float = 0.0
    """Radians, positive turns to the picture's right; drawings hold up to 0.5."""
    pitch: float = 0.0
    """Radians, positive looks down."""
    roll: float = 0.0
    """Radians, positive leans to the picture's right."""
    shift: tuple[float, float] = (0.0, 0.0)
    """Move of the head, fractions of the side (x right, y down)."""
    scale: float = 1.0
    """Size of the head against the crop's framing."""
    mouth_open: float = 0.0
    """0 closed .. 1 wide open."""
    smile: float = 0.0
    """-1 corners down .. 1 corners up and apart."""
    blink: float = 0.0
    """0 open .. 1 closed."""
    brow_raise: float = 0.0
    """-1 frown .. 1 raised."""


@dataclass(frozen=True)
class Person:
    """What sets one drawn person apart: proportions in units, colours in RGB."""

    jaw_width: float
    chin: float
    eye_height: float
    eye_spacing: float
    brow_height: float
    brow_thickness: float
    nose_length: float
    nose_width: float
    mouth_width: float
    lip_height: float
    forehead: float
    long_hair: bool
    parting: float
    light: float
    skin: Colour
    hair: Colour
    iris: Colour
    lips: Colour
    clothes: Colour
    backdrop: Colour

    @classmethod
    def from_seed(cls, seed: int) -> "Person":
        """The person of that number, always the same."""
        random = np.random.default_rng(seed)

        def around(middle: float, spread: float) -> float:
            return float(middle + spread * random.uniform(-1, 1))

        def colour(middle: tuple[float, float, float], spread: float) -> Colour:
            r, g, b = np.clip(np.array(middle) + random.uniform(-spread, spread, 3), 0, 255).astype(int).tolist()
            return r, g, b

        tone = random.uniform(0.45, 1.0)
        skin = colour((232 * tone, 186 * tone**1.15, 156 * tone**1.3), 8)
        hairs = [(40, 28, 20), (92, 60, 34), (168, 124, 66), (120, 52, 26), (150, 148, 146), (22, 20, 24)]
        irises = [(84, 52, 28), (70, 110, 150), (80, 120, 70), (110, 100, 90)]
        return cls(
            jaw_width=around(1.52, 0.13),
            chin=around(2.5, 0.16),
            eye_height=around(0.17, 0.035),
            eye_spacing=around(0.42, 0.04),
            brow_height=around(-0.42, 0.07),
            brow_thickness=around(0.13, 0.05),
            nose_length=around(1.0, 0.09),
            nose_width=around(0.34, 0.06),
            mouth_width=around(0.66, 0.09),
            lip_height=around(0.17, 0.05),
            forehead=around(1.72, 0.15),
            long_hair=bool(random.random() < 0.5),
            parting=around(0, 0.8),
            light=around(0, 0.12),
            skin=skin,
            hair=colour(hairs[random.integers(len(hairs))], 10),
            iris=colour(irises[random.integers(len(irises))], 12),
            lips=colour((0.86 * skin[0], 0.58 * skin[1], 0.6 * skin[2]), 10),
            clothes=colour((128, 128, 128), 100),
            backdrop=colour((140, 140, 140), 80),
        )

    def face_points(self, pose: Pose) -> Float[np.ndarray, "68 3"]:
        """The 68 landmarks before the head turns, in units."""
        points = np.zeros((68, 3))
        drop = 0.42 * pose.mouth_open
        angle = np.linspace(0, np.pi, 17)
        width = self.jaw_width * np.sign(np.cos(angle)) * np.abs(np.cos(angle)) ** 0.75
        points[scheme.JAW, 0] = -width
        points[scheme.JAW, 1] = -0.05 + (self.chin + 0.05) * np.sin(angle) ** 1.1 + drop * np.sin(angle) ** 3
        points[scheme.JAW, 2] = -1.05 + 1.1 * np.sin(angle)

        along = np.linspace(0, 1, 5)
        arch = self.brow_height - 0.16 * np.sin(np.pi * along**0.8) - 0.16 * pose.brow_raise
        outer_to_inner = -(1.32 - (1.32 - 0.6 * self.eye_spacing) * along)
        points[scheme.RIGHT_BROW] = np.stack([outer_to_inner, arch, 0.25 * along - 0.2], -1)

        open_eye = self.eye_height * (1 - 0.92 * pose.blink)
        corner, middle = self.eye_spacing, (1 + self.eye_spacing) / 2
        step = (1 - self.eye_spacing) / 6
        eye_x = np.array([-1, -middle - step, -middle + step, -corner, -middle + step, -middle - step])
        eye_y = np.array([0, -open_eye, -open_eye, 0.03, 0.6 * open_eye, 0.6 * open_eye])
        eye_y += 0.4 * self.eye_height * pose.blink * (np.abs(eye_y) > 0)
        points[scheme.RIGHT_EYE] = np.stack([eye_x, eye_y, np.array([-0.3, -0.08, -0.05, -0.1, -0.08, -0.15])], -1)

        points[scheme.NOSE_BRIDGE, 1] = np.linspace(-0.02, 0.8 * self.nose_length, 4)
        points[scheme.NOSE_BRIDGE, 2] = [0.12, 0.3, 0.5, 0.68]
        points[scheme.NOSE_BASE, 0] = self.nose_width * np.array([-1, -0.5, 0, 0.5, 1])
        points[scheme.NOSE_BASE, 1] = self.nose_length + np.array([-0.02, 0.05, 0.09, 0.05, -0.02])
        points[scheme.NOSE_BASE, 2] = [0.2, 0.36, 0.44, 0.36, 0.2]

        self._mouth(points, pose, drop)
        for left in (scheme.LEFT_BROW, scheme.LEFT_EYE):
            points[left] = points[scheme.MIRROR[left]] * [-1, 1, 1]
        return points

    def _mouth(self, points: Float[np.ndarray, "68 3"], pose: Pose, drop: float) -> None:
        line = 0.62 * self.nose_length + 0.38 * self.chin - 0.04
        half = self.mouth_width * (1 + 0.16 * pose.smile - 0.12 * pose.mouth_open)
        corner = line - 0.16 * pose.smile + 0.2 * drop
        upper = line - self.lip_height * np.array([0.55, 1, 0.85, 1, 0.55]) * (1 - 0.2 * pose.smile)
        lower = line + drop + self.lip_height * np.array([0.75, 1.3, 1.4, 1.3, 0.75])
        share = np.array([-0.62, -0.22, 0, 0.22, 0.62])
        depth = np.array([0.12, 0.24, 0.26, 0.24, 0.12])
        points[48], points[54] = [-half, corner, 0.0], [half, corner, 0.0]
        points[49:54] = np.stack([half * share, upper, depth], -1)
        points[55:60] = np.stack([-half * share, lower, depth - 0.04], -1)
        points[60], points[64] = [-0.88 * half, corner, 0.01], [0.88 * half, corner, 0.01]
        inner = half * share[1:4] * 1.2
        points[61:64] = np.stack([inner, np.full(3, line - 0.005), depth[1:4] - 0.05], -1)
        points[65:68] = np.stack([-inner, np.full(3, line + drop + 0.005), depth[1:4] - 0.06], -1)
