"""An avatar: one person's generator with its AdaIN parameters, saved, loaded, and animated by whatever moves.

References:
    Zakharov et al. 2019, section 3.3: a fine-tuned person needs neither the embedder nor the projection.
"""

import copy
import json
from collections.abc import Iterator, Sequence
from dataclasses import astuple
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from safetensors.torch import save_file
from torch import Tensor

from talkinghead.errors import UserError
from talkinghead.face.crop import CropWindow, crop_frame
from talkinghead.face.draw import draw_landmarks, draw_many
from talkinghead.media.files import atomic_path
from talkinghead.media.image import decode_photo, encode_jpeg, frame_to_tensor
from talkinghead.motion.motion import Motion
from talkinghead.motion.turn_limit import TurnLimit
from talkinghead.portrait.avatar.animation import Animation, Animator
from talkinghead.portrait.avatar.layered_rendering import (
    PAINTED_WHERE_MOVED,
    Network,
    Painter,
    TorchNetwork,
    render_layers,
)
from talkinghead.portrait.avatar.retargeting import DEFAULTS, ReenactmentConfig, retarget_motion
from talkinghead.portrait.data.photos import Photos, own_side, sha256
from talkinghead.portrait.data.whole_picture import WholePicture
from talkinghead.portrait.networks.compositing import generate, make_generator
from talkinghead.portrait.networks.config import PortraitConfig
from talkinghead.portrait.networks.generator import Generator
from talkinghead.portrait.networks.head import FewShotHead, filled, folded, read_safetensors
from talkinghead.portrait.networks.layers import Conv
from talkinghead.portrait.warping.head_mesh import Person
from talkinghead.portrait.warping.layered_photo import Composite
from talkinghead.portrait.warping.layered_sources import LayeredSources
from talkinghead.portrait.warping.source_photos import SourcePhotos
from talkinghead.provenance.origin import Origin
from talkinghead.rig.fitting.person import PersonFit
from talkinghead.rig.fitting.solver import State
from talkinghead.training.precision import fast_dtype
from talkinghead.version import __version__

FORMAT, LAYERED_FORMAT = "talkinghead.avatar.1", "talkinghead.avatar.2"
"""The second keeps photos at their own size, compressed, and whose head they show."""
JPEG_QUALITY = 95
LONGEST_WINDOW = 200
"""Letters of a header that say where the head is in the picture."""

_IN_FULL = ("adain_params", "source_landmarks")
"""Small tensors that are kept in single precision; the generator's are kept in half."""


class Avatar:
    """One person who can be moved.

    Args:
        config: sizes.
        generator: the person's, folded, without projection.
        adain_params: psi', the scales and shifts of its normalisations.
        source_landmarks: of the photos, fractions of the crop's side.
        source_frames: the photos, if the generator composites over them; at their own size, if it does so in layers.
        person: whose head the photos show, if they are moved in layers; None fits it.
        whole: the picture that one of the photos was cut from.
        provenance: what it was made of and how.
    """

    def __init__(
        self,
        config: PortraitConfig,
        generator: Generator,
        *,
        adain_params: Float[Tensor, "1 n"],
        source_landmarks: Float[np.ndarray, "t 68 2"],
        source_frames: UInt8[np.ndarray, "t s s 3"] | None = None,
        person: Person | None = None,
        whole: WholePicture | None = None,
        provenance: dict[str, Any],
    ):
        if (source_frames is None) != (config.compositing is None):
            raise ValueError(f"compositing is {config.compositing}: give source frames with it, and only with it")
        self.config = config
        self.generator = generator.eval().requires_grad_(False)
        self.adain_params = adain_params.detach()
        self.source_landmarks, self.source_frames = source_landmarks, source_frames
        self.source_photos = _sources(config, source_frames, source_landmarks, person)
        self.whole, self.provenance = whole, provenance
        self.sha256: str | None = None
        """Of the file that it was read from, or last written to."""
        self.network: Network | None = None
        """What paints in place of PyTorch, for an avatar in layers; see `talkinghead.portrait.deployment`."""
        self._renderer: tuple[torch.device, torch.dtype, Generator] | None = None

    @property
    def in_layers(self) -> bool:
        """Whether photos are moved in layers, at their own size."""
        return isinstance(self.source_photos, LayeredSources)

    @property
    def side(self) -> int:
        """Side of its frames, pixels."""
        return self.config.size if self.source_frames is None else int(self.source_frames.shape[1])

    def save(self, path: str | Path, *, overwrite: bool = False) -> None:
        """Write the avatar: the generator in half precision, with sizes and provenance in the file's header.

        Raises:
            UserError: if the file exists and ``overwrite`` is off.
        """
        tensors = {f"generator.{name}": value.half() for name, value in self.generator.state_dict().items()}
        tensors["adain_params"] = self.adain_params.float()
        tensors["source_landmarks"] = torch.from_numpy(self.source_landmarks).float()
        if isinstance(self.source_photos, LayeredSources):
            tensors |= layered_tensors(self.source_photos, self.whole)
        elif self.source_frames is not None:
            tensors["source_frames"] = torch.from_numpy(self.source_frames)
        header = {
            "format": LAYERED_FORMAT if self.in_layers else FORMAT,
            "portrait": json.dumps(self.config.to_dict()),
            "provenance": json.dumps(self.provenance),
        }
        if self.whole is not None:
            header["window"] = json.dumps([*astuple(self.whole.window), self.whole.photo])
        with atomic_path(Path(path), overwrite=overwrite) as temporary:
            save_file({name: value.cpu().contiguous() for name, value in tensors.items()}, temporary, metadata=header)
            self.sha256 = sha256(temporary)

    def origin(self, driver: Path | None = None) -> Origin:
        """What its clips say of how they were made.

        Args:
            driver: the file that moves it.
        """
        return Origin(self.sha256, str(self.provenance.get("consent", "none stated")), driver)

    @classmethod
    def load(cls, path: str | Path) -> "Avatar":
        """The avatar in a file. No code in the file can run.

        Raises:
            UserError: if the file is missing, is not an avatar, does not fit its own sizes, or holds no landmarks or
                values that are no numbers.
        """
        path = Path(path)
        what = "an avatar made by `talkinghead fine-tune`"
        tensors, header = read_safetensors(path, (FORMAT, LAYERED_FORMAT), what)
        config = PortraitConfig.from_dict(json.loads(header["portrait"]))
        try:
            adain_params, landmarks = (tensors.pop(name).float() for name in _IN_FULL)
            frames, person, whole = None, None, None
            if config.photo_side is None:
                whole = read_picture(tensors, header)
                frames, person = read_layers(tensors, len(landmarks), whole)
            elif config.compositing is not None:
                frames = tensors.pop("source_frames").numpy()
            make = partial(make_generator, config, spectral=False, projection=False)
            generator = filled(make, {name.removeprefix("generator."): part for name, part in tensors.items()})
        except (LookupError, ValueError, TypeError, RuntimeError) as error:
            raise UserError(f"{path} does not hold the tensors its sizes ask for; make the avatar again") from error
        fits = adain_params.shape == (1, generator.num_adain_params) and landmarks.shape[1:] == (68, 2)
        side = config.photo_side
        if not fits or (frames is not None and side and frames.shape != (len(landmarks), side, side, 3)):
            raise UserError(f"{path} does not hold the tensors its sizes ask for; make the avatar again")
        if not len(landmarks):
            raise UserError(f"{path} holds the landmarks of 0 photos; make the avatar again from at least one")
        avatar = cls(
            config,
            generator,
            adain_params=adain_params,
            source_landmarks=landmarks.numpy(),
            source_frames=frames,
            person=person,
            whole=whole,
            provenance=json.loads(header["provenance"]),
        )
        avatar.sha256 = sha256(path)
        return avatar

    def animate(
        self,
        moving: Motion | Float[np.ndarray, "t 68 2"],
        config: ReenactmentConfig = DEFAULTS,
        *,
        device: str | torch.device = "cpu",
        dtype: torch.dtype | None = None,
    ) -> Animation:
        """The person, moving: retargeted, before one background, turned no farther than its photos allow.

        Args:
            moving: a motion of anybody, or landmarks that are the person's already, fractions of the crop's side.
            config: how; the defaults are those of `talkinghead reenact`. Landmarks are not retargeted.
            device: where.
            dtype: of the arithmetic; None takes bfloat16 where the device computes with it, else single precision.

        Raises:
            UserError: if a face is missing and may not be, or the reference is not in the motion.
        """
        landmarks = retarget_motion(moving, self.source_landmarks, config) if isinstance(moving, Motion) else moving
        return self.animator(landmarks, config, device=device, dtype=dtype).animate(landmarks)

    def animator(
        self,
        expected: Float[np.ndarray, "t 68 2"] | None = None,
        config: ReenactmentConfig = DEFAULTS,
        *,
        device: str | torch.device = "cpu",
        dtype: torch.dtype | None = None,
    ) -> Animator:
        """`animate` for landmarks that come a few at a time: the background stays the same for all of them.

        Args:
            expected: landmarks that the background is chosen by; None takes the photos' own.
            config: how far the head turns, and how many frames are rendered at once.
            device, dtype: as for `animate`.
        """
        background, limit = None, None
        if self.source_photos is not None and (expected is None or len(expected)):
            background = self.source_photos.background(self.source_landmarks if expected is None else expected)
            if config.view == "whole" and self.whole is not None:
                background = self.whole.photo
            scene = self.source_landmarks[self.source_photos.scenes[background]]
            limit = TurnLimit(scene, most=config.turn_limit)
        kind = self.render_whole if config.view == "whole" and self.whole is not None else self.render_batch
        render = partial(kind, background=background, device=device, dtype=dtype)
        fit = self.source_photos.person.states if isinstance(self.source_photos, LayeredSources) else None
        return Animator(background, limit, config.batch_size, render, fit)

    def render_batch(
        self,
        landmarks: Float[np.ndarray, "t 68 2"],
        states: State | None = None,
        *,
        background: int | None = None,
        among: Sequence[Int[np.ndarray, " n"]] | None = None,
        device: str | torch.device = "cpu",
        dtype: torch.dtype | None = None,
    ) -> UInt8[np.ndarray, "t s s 3"]:
        """The frames of these landmarks, all at once, each for itself.

        Args:
            landmarks: fractions of the crop's side.
            states: pose and expression of each frame, for an avatar in layers; None fits them.
            background, among: photos to composite over, as for `SourcePhotos.moved`; None takes the nearest to each.
            device, dtype: as for `animate`.
        """
        if isinstance(self.source_photos, LayeredSources):
            layered = self._layered(landmarks, states, background=background, among=among, device=device, dtype=dtype)
            return np.stack([one.frame for one in layered])
        network, adain_params, kind = self.ready(device, dtype)
        pictures = torch.from_numpy(np.stack([draw_landmarks(one, self.config.size) for one in landmarks]))
        with torch.inference_mode():
            drawn = pictures.to(adain_params.device).permute(0, 3, 1, 2).to(kind) / 127.5 - 1
            warped = None
            if self.source_photos is not None:
                moved = self.source_photos.moved(landmarks, background=background, among=among)
                warped = frame_to_tensor(moved).to(drawn)
            frames = generate(network, drawn, adain_params.expand(len(drawn), -1), warped)
            pixels = (frames.float() + 1).mul_(127.5).round_().to(torch.uint8)
        return pixels.permute(0, 2, 3, 1).cpu().numpy()

    def render_whole(
        self,
        landmarks: Float[np.ndarray, "t 68 2"],
        states: State | None = None,
        *,
        background: int | None = None,
        device: str | torch.device = "cpu",
        dtype: torch.dtype | None = None,
    ) -> UInt8[np.ndarray, "t h w 3"]:
        """The same in the whole picture, which stays as it is, bit for bit, but for the head.

        Raises:
            ValueError: if the avatar holds no picture.
        """
        if self.whole is None:
            raise ValueError("the avatar holds no whole picture")
        layered = self._layered(landmarks, states, background=self.whole.photo, device=device, dtype=dtype)
        touched = ((one, cv2.convertScaleAbs(one.moved, alpha=PAINTED_WHERE_MOVED)) for one in layered)
        return np.stack([self.whole.with_head(one.frame, part.astype(np.float32) / 255) for one, part in touched])

    def _layered(
        self,
        landmarks: Float[np.ndarray, "t 68 2"],
        states: State | None,
        *,
        background: int | None,
        device: str | torch.device,
        dtype: torch.dtype | None,
        among: Sequence[Int[np.ndarray, " n"]] | None = None,
    ) -> Iterator[Composite]:
        """Frames at the photos' own size, with what of them moved."""
        assert isinstance(self.source_photos, LayeredSources)
        network = self.network or TorchNetwork(*self.ready(device, dtype))  # type: ignore[arg-type]
        painter = Painter(network, self.config.size)
        states = self.source_photos.person.states(landmarks) if states is None else states
        return render_layers(painter, self.source_photos, landmarks, states, background=background, among=among)

    def ready(
        self, device: str | torch.device = "cpu", dtype: torch.dtype | None = None
    ) -> tuple[Generator, Float[Tensor, "1 n"], torch.dtype]:
        """The generator with its kernels ready, the AdaIN parameters on the device, and the type of the arithmetic.

        The generator is kept until another device or type is asked for; `device` and `dtype` are those of `animate`.
        """
        place = torch.device(device)
        kind = fast_dtype(place) if dtype is None else dtype
        if self._renderer is None or self._renderer[:2] != (place, kind):
            network = copy.deepcopy(self.generator).to(place)
            for module in network.modules():
                if isinstance(module, Conv):
                    module.freeze(kind)
            self._renderer = place, kind, network
        return self._renderer[2], self.adain_params.to(place), kind


def _sources(
    config: PortraitConfig,
    frames: UInt8[np.ndarray, "t s s 3"] | None,
    landmarks: Float[np.ndarray, "t 68 2"],
    person: Person | None,
) -> SourcePhotos | LayeredSources | None:
    """The photos, ready to be moved as the generator takes them."""
    if frames is None or config.compositing is None:
        return None
    if config.compositing.layers:
        return LayeredSources(list(frames), landmarks, person=person)
    return SourcePhotos(frames, landmarks)


def layered_tensors(sources: LayeredSources, whole: WholePicture | None = None) -> dict[str, Tensor]:
    """Photos as JPEGs, the picture that one of them is from, and the head that they show."""
    pictures = {f"photo.{index}": photo for index, photo in enumerate(sources.photos)}
    if whole is not None:
        pictures["picture"] = whole.pixels
        del pictures[f"photo.{whole.photo}"]  # it is cut from the picture again, so that the two agree to the bit
    photos = {
        name: torch.frombuffer(bytearray(encode_jpeg(picture, JPEG_QUALITY)), dtype=torch.uint8)
        for name, picture in pictures.items()
    }
    fit = sources.person.fit
    return photos | {f"person.{name}": torch.from_numpy(getattr(fit, name)) for name in ("identity", "own_shape")}


def read_layers(
    tensors: dict[str, Tensor], count: int, whole: WholePicture | None
) -> tuple[UInt8[np.ndarray, "t s s 3"], Person]:
    """What `layered_tensors` wrote, taken out of a file's tensors.

    Raises:
        KeyError: if a tensor is missing.
        ValueError: if a photo cannot be decoded, or they differ in size.
    """
    frames: list[np.ndarray] = []
    for index in range(count):
        if whole is not None and index == whole.photo:
            frames.append(crop_frame(whole.pixels, whole.window, own_side(whole.window)))
        else:
            frames.append(decode_photo(tensors.pop(f"photo.{index}").numpy().tobytes()))
    if {frame.shape for frame in frames} != {(len(frames[0]),) * 2 + (3,)}:
        raise ValueError("photos differ in size")
    fit = PersonFit(tensors.pop("person.identity").numpy(), tensors.pop("person.own_shape").numpy())
    return np.stack(frames), Person.of(fit)


def read_picture(tensors: dict[str, Tensor], header: dict[str, str]) -> WholePicture | None:
    """The picture that `layered_tensors` wrote, taken out of a file's tensors; None if there is none.

    Raises:
        KeyError: if the header does not say where the head is.
        ValueError: if it cannot be decoded, or the window lies out of reason.
    """
    if "picture" not in tensors:
        return None
    pixels = decode_photo(tensors.pop("picture").numpy().tobytes())
    x, y, side, photo = map(float, json.loads(header["window"][:LONGEST_WINDOW]))
    reach = 2 * max(pixels.shape)
    if not (abs(x) <= reach and abs(y) <= reach and 0 < side <= reach):
        raise ValueError(f"the window at {x:g}, {y:g} with the side {side:g} lies outside the picture")
    return WholePicture(pixels, CropWindow(x, y, side), int(photo))


def origin(head: Path, *, consent: str | None = None) -> dict[str, Any]:
    """What an avatar says about where it comes from: the head's fingerprint, the date and what the person agreed to."""
    return {
        "head": {"name": head.name, "sha256": sha256(head)},
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "consent": consent or "none stated",
        "talkinghead": __version__,
    }


def feed_forward(head: FewShotHead, photos: Photos, *, provenance: dict[str, Any] | None = None) -> Avatar:
    """The avatar that a head gives without fine-tuning: psi' = P e for the mean embedding e of the photos."""
    with torch.no_grad():
        adain_params = head.generator.project(mean_embedding(head, photos))
    return Avatar(
        head.config,
        person_generator(head.generator),
        adain_params=adain_params,
        source_landmarks=photos.landmarks,
        source_frames=None if head.config.compositing is None else photos.frames,
        whole=photos.whole,
        provenance=provenance or {},
    )


@torch.no_grad()
def mean_embedding(head: FewShotHead, photos: Photos) -> Float[Tensor, "1 e"]:
    """e: the mean embedding of the photos."""
    frames = frame_to_tensor(photos.at(head.config.size).frames)
    return head.embedder.average(frames[None], draw_many(photos.landmarks, head.config.size)[None])[0]


def person_generator(generator: Generator) -> Generator:
    """A folded copy without the projection."""
    twin = folded(generator)
    twin.projection = None
    return twin
