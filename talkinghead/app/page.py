"""What is shown, and what a click does (gradio)."""

import html
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import gradio as gr

from talkinghead.app import work
from talkinghead.app.jobs import Job, Jobs
from talkinghead.app.library import Library
from talkinghead.errors import UserError
from talkinghead.motion.strength import Strength
from talkinghead.portrait.avatar.avatar import feed_forward, origin
from talkinghead.portrait.data.photos import read_photos
from talkinghead.portrait.networks.head import FewShotHead, default_head_path
from talkinghead.speech.speech_synthesis import can_speak
from talkinghead.weights.shipped import astronaut

EXAMPLE = "Astronaut (example)"
EXAMPLE_CONSENT = "public domain portrait"
SECONDS = 0.6
"""Between two looks at a job."""

DRIVERS: dict[str, work.Driver] = {
    "The example": "example",
    "A video": "video",
    "A voice": "voice",
    "A text": "text",
    "Face curves (ARKit CSV)": "curves",
}
PARTS = tuple(part.name for part in fields(Strength))
"""What moves by itself: head, mouth, eyes, brows."""
MODELS = {"Karras (clear lips)": "karras", "VOCA": "voca", "Pham (fast)": "pham"}
CSS = """
.gradio-container { max-width: 1180px !important; margin: 0 auto !important; }
.job { border: 1px solid var(--border-color-primary); border-radius: 10px; padding: 10px 14px; }
.job .bar { height: 8px; border-radius: 4px; background: var(--border-color-primary); overflow: hidden; margin: 8px 0; }
.job .bar i { display: block; height: 100%; background: var(--color-accent); transition: width .4s; }
.job.failed { border-color: #c0392b; } .job.failed b { color: #c0392b; }
.job small, .hint { color: var(--body-text-color-subdued); }
footer { display: none !important; }
"""
REMEMBER = """(name, number) => {
    const here = new URL(window.location);
    number ? here.searchParams.set(name, number) : here.searchParams.delete(name);
    window.history.replaceState({}, '', here);
}"""


def build(library: Library, jobs: Jobs, *, steps: int | None = None) -> gr.Blocks:
    """The page.

    Args:
        library: where avatars and clips are kept.
        jobs: the queue.
        steps: of tuning; None for the default.
    """
    with gr.Blocks(title="talkinghead", analytics_enabled=False, delete_cache=(3600, 86400)) as page:
        gr.Markdown("# talkinghead\nPhotos in, a living head out. Everything stays on this machine.")
        with gr.Row(equal_height=False):
            with gr.Column(min_width=320):
                made = _photos_side(library, jobs, steps)
            with gr.Column(min_width=320):
                avatar = _motion_side(library, jobs)
        with gr.Accordion("Kept avatars and clips", open=False):
            _library_side(library, avatar)
            _kept_clips(library)
        made.change(
            lambda name: gr.update(choices=_choices(library), value=name or EXAMPLE),
            made,
            avatar,
            api_visibility="private",
        )
        page.load(lambda: gr.update(choices=_choices(library)), None, avatar, api_visibility="private")
    return page


def _photos_side(library: Library, jobs: Jobs, steps: int | None) -> gr.Textbox:
    """Photos -> an avatar. Gives what holds the name of the last one made."""
    gr.Markdown("## 1 · Photos of one person")
    files = gr.File(
        label="Drop one to 32 photos", file_count="multiple", file_types=["image"], height=150, elem_id="photos"
    )
    with gr.Accordion("or take one with the camera", open=False):
        camera = gr.Image(sources=["webcam"], type="filepath", label="Camera")
    checked = gr.Gallery(label="How they are cut", columns=4, height=220, visible=False, object_fit="contain")
    says = gr.Markdown(elem_id="says")
    name = gr.Textbox(label="Name", placeholder="Anna", max_lines=1, elem_id="name")
    consent = gr.Textbox(
        label="What did the person agree to?",
        placeholder="Anna said yes, 3 May",
        info="It is written into the avatar. Show people only as they want to be shown.",
        elem_id="consent",
    )
    with gr.Row():
        make = gr.Button("Make the avatar", variant="primary", elem_id="make")
        stop = gr.Button("Cancel", visible=False, elem_id="make-cancel")
    status = gr.HTML(elem_id="make-status")
    preview = gr.Video(label="The avatar, moving", visible=False, autoplay=True, loop=True, elem_id="preview")
    made = gr.Textbox(visible="hidden")

    def look(paths: list[str] | None, photo: str | None) -> tuple[Any, str]:
        given = [Path(path) for path in [*(paths or []), *([photo] if photo else [])]]
        looked, together = work.look_at(given)
        pictures = [(one.picture, one.name) for one in looked if one.picture is not None]
        lines = [f"⚠️ {html.escape(one.problem)}" for one in looked if one.problem] + (
            [f"⚠️ {html.escape(together)}"] if together else []
        )
        if given and not lines:
            lines = [f"✓ {len(looked)} photo{'s' if len(looked) > 1 else ''} can be used."]
        return gr.update(value=pictures, visible=bool(pictures)), "\n\n".join(lines)

    def start(paths: list[str] | None, photo: str | None, called: str, agreed: str) -> str:
        given = [Path(path) for path in [*(paths or []), *([photo] if photo else [])]]
        target = _free_avatar(library, called)
        return jobs.submit(
            "waiting", lambda job: work.make_avatar(job, given, target, consent=agreed, steps=steps)
        ).number

    number = gr.Textbox(visible="hidden")
    for given in (files, camera):
        given.change(look, [files, camera], [checked, says], api_visibility="private")
    _follow(
        jobs, "avatar", number, make, stop, status, start, [files, camera, name, consent], _shown_avatar(preview, made)
    )
    return made


def _motion_side(library: Library, jobs: Jobs) -> gr.Dropdown:
    """An avatar and what moves it -> a clip. Gives the choice of avatars."""
    gr.Markdown("## 2 · What moves it")
    avatar = gr.Dropdown(_choices(library), value=_choices(library)[0], label="Avatar", elem_id="avatar")
    kind = gr.Radio(list(DRIVERS), value="The example", label="Driven by", elem_id="driver")
    video = gr.Video(label="A video of anybody", sources=["upload", "webcam"], visible=False, elem_id="video")
    voice = gr.Audio(label="A voice", sources=["upload", "microphone"], type="filepath", visible=False)
    text = gr.Textbox(
        label="What the person says",
        lines=2,
        visible=False,
        interactive=bool(can_speak()),
        elem_id="text",
        info=None if can_speak() else "espeak-ng is not installed, which would speak it.",
    )
    curves = gr.File(label="A .csv of ARKit or Live Link Face", file_types=[".csv"], visible=False)
    model = gr.Dropdown(list(MODELS), value=next(iter(MODELS)), label="From voice to movement", visible=False)
    with gr.Accordion("How it moves", open=False):
        view = gr.Radio(["whole picture", "head"], value="whole picture", label="Show")
        relative = gr.Checkbox(
            False,
            label="Relative",
            info="Start from the photo's own pose and add the driver's movement: for a photo that does not look ahead.",
        )
        smooth = gr.Slider(0, 4, 1, step=0.25, label="Smoothing", info="More is calmer, and later.")
        turn = gr.Slider(
            0,
            60,
            30,
            step=5,
            label="Turn limit, degrees",
            info="How far the head may turn away from the nearest photo.",
        )
        gr.Markdown("How far each part moves: 1 as its driver does, 0 not at all.", elem_classes="hint")
        with gr.Row():
            parts = [
                gr.Slider(0, 2, 1, step=0.1, label=part.capitalize(), min_width=130, elem_id=f"strength-{part}")
                for part in PARTS
            ]
    with gr.Row():
        go = gr.Button("Make the clip", variant="primary", elem_id="go")
        stop = gr.Button("Cancel", visible=False, elem_id="go-cancel")
    status = gr.HTML(elem_id="go-status")
    clip = gr.Video(label="The clip", visible=False, autoplay=True, elem_id="clip")
    files = gr.File(
        label="Download: clip, motion, ARKit curves, head for Blender",
        visible=False,
        file_count="multiple",
        elem_id="files",
    )

    def fields(chosen: str) -> list[Any]:
        driver = DRIVERS[chosen]
        shown = [
            driver == "video",
            driver == "voice",
            driver == "text",
            driver == "curves",
            driver in ("voice", "text"),
        ]
        return [gr.update(visible=one) for one in shown]

    def start(
        who: str,
        chosen: str,
        film: str | None,
        sound: str | None,
        words: str,
        table: str | None,
        by: str,
        shown: str,
        added: bool,
        calm: float,
        most: float,
        *strengths: float,
    ) -> str:
        driver = DRIVERS[chosen]
        file = {"video": film, "voice": sound, "curves": table}.get(driver)
        wishes = work.Wishes(
            driver,
            Path(file) if file else None,
            words or "",
            MODELS[by],
            added,
            calm,
            max(most, 1),
            Strength(**dict(zip(PARTS, strengths, strict=True))),
            "head" if shown == "head" else "whole",
        )
        path = None if who == EXAMPLE else library.existing(who)
        target = library.new_clip("Example" if path is None else who)
        return jobs.submit("waiting", lambda job: work.drive(job, path or example(library, job), target, wishes)).number

    kind.change(fields, kind, [video, voice, text, curves, model], api_visibility="private")
    number = gr.Textbox(visible="hidden")
    inputs = [avatar, kind, video, voice, text, curves, model, view, relative, smooth, turn, *parts]
    _follow(jobs, "clip", number, go, stop, status, start, inputs, _shown_clip(clip, files))
    return avatar


Shown = tuple[list[Any], Callable[[Job], list[Any]], Callable[[Job], tuple[Any, ...]]]
"""Components, what they show of a job, and what that depends on."""


def _shown_avatar(preview: gr.Video, made: gr.Textbox) -> Shown:
    def show(job: Job) -> list[Any]:
        path, avatar = job.shown.get("preview"), job.shown.get("avatar")
        name = Path(avatar).name.removesuffix(".avatar.safetensors") if avatar and job.state == "done" else gr.skip()
        return [gr.update(value=str(path), visible=True) if path else gr.skip(), name]

    return [preview, made], show, lambda job: (job.shown.get("preview"), job.state)


def _shown_clip(clip: gr.Video, files: gr.File) -> Shown:
    def show(job: Job) -> list[Any]:
        path, others = job.shown.get("clip"), job.shown.get("files")
        return [
            gr.update(value=str(path), visible=True) if path else gr.skip(),
            gr.update(value=[str(one) for one in others], visible=True) if others else gr.skip(),
        ]

    return [clip, files], show, lambda job: (job.shown.get("clip"), bool(job.shown.get("files")))


def _follow(
    jobs: Jobs,
    name: str,
    number: gr.Textbox,
    start_button: gr.Button,
    stop_button: gr.Button,
    status: gr.HTML,
    start: Callable[..., str],
    inputs: list[Any],
    shown: Shown,
) -> None:
    """Let a button start a job, and show how far it is; after a reload it is found by its number in the address."""
    components, show, version = shown
    seen = gr.State(None)
    clock = gr.Timer(SECONDS, active=False)

    def begin(*given: Any) -> list[Any]:
        try:
            made = start(*given)
        except UserError as error:
            return ["", _failed(str(error)), gr.update(visible=False), gr.update(active=False), None]
        return [made, _state(jobs, jobs.get(made)), gr.update(visible=True), gr.update(active=True), None]

    def tick(made: str, before: Any) -> list[Any]:
        job = jobs.get(made)
        if job is None:
            return ["", gr.update(visible=False), gr.update(active=False), None, *[gr.skip() for _ in components]]
        now = version(job)
        what = show(job) if now != before else [gr.skip() for _ in components]
        return [_state(jobs, job), gr.update(visible=not job.ended), gr.update(active=not job.ended), now, *what]

    def again(request: gr.Request) -> list[Any]:
        made = request.query_params.get(name, "")
        return [made if jobs.get(made) else "", gr.update(active=jobs.get(made) is not None)]

    began = start_button.click(begin, inputs, [number, status, stop_button, clock, seen], api_name=name)
    began.then(None, number, None, js=f"(number) => ({REMEMBER})('{name}', number)")
    clock.tick(
        tick,
        [number, seen],
        [status, stop_button, clock, seen, *components],
        show_progress="hidden",
        api_name=f"{name}_state",
    )
    stop_button.click(lambda made: jobs.cancel(made), number, None, api_name=f"{name}_cancel")
    gr.context.Context.root_block.load(again, None, [number, clock], api_visibility="private")  # type: ignore[union-attr]


def _state(jobs: Jobs, job: Job | None) -> str:
    """A job as HTML."""
    if job is None:
        return ""
    if job.state == "failed":
        return _failed(job.error)
    words = {"done": "Done.", "cancelled": "Cancelled; nothing was kept."}.get(job.state)
    if words:
        return f'<div class="job {job.state}" role="status"><b>{words}</b></div>'
    if job.state == "waiting":
        ahead = jobs.ahead(job)
        return f'<div class="job" role="status"><b>Waiting</b> <small>{ahead} before it</small></div>'
    share = job.done / job.total if job.total else 0
    left = job.seconds_left
    small = ", ".join(
        filter(None, [f"{job.done} of {job.total}" if job.total else "", "" if left is None else f"{left:.0f} s left"])
    )
    return (
        f'<div class="job" role="status"><b>{html.escape(job.title.capitalize())}</b> <small>{small}</small>'
        f'<div class="bar"><i style="width:{100 * share:.0f}%"></i></div></div>'
    )


def _failed(sentence: str) -> str:
    return f'<div class="job failed" role="alert"><b>That did not work.</b> {html.escape(sentence)}</div>'


def _library_side(library: Library, avatar: gr.Dropdown) -> None:
    """Rename and delete."""
    with gr.Row():
        name = gr.Dropdown(library.avatars(), label="Avatar", elem_id="kept")
        to = gr.Textbox(label="New name", max_lines=1)
        rename = gr.Button("Rename")
        remove = gr.Button("Delete", variant="stop")
    gr.Markdown(f"Kept in `{library.folder}`.", elem_classes="hint")

    def changed(act: Callable[..., None]) -> Callable[..., Any]:
        def do(*given: str) -> list[Any]:
            try:
                act(*given)
            except UserError as error:
                raise gr.Error(str(error), print_exception=False) from error
            return [gr.update(choices=library.avatars(), value=None), gr.update(choices=_choices(library))]

        return do

    rename.click(changed(library.rename_avatar), [name, to], [name, avatar], api_name="rename")
    remove.click(changed(library.remove_avatar), name, [name, avatar], api_name="delete")
    page = gr.context.Context.root_block
    page.load(lambda: gr.update(choices=library.avatars()), None, name, api_visibility="private")  # type: ignore[union-attr]


def _kept_clips(library: Library) -> None:
    """Look at a clip again, or delete it."""
    with gr.Row():
        name = gr.Dropdown(library.clips(), value=None, label="Clip", elem_id="kept-clip")
        again = gr.Button("Look for new ones")
        remove = gr.Button("Delete", variant="stop", elem_id="remove-clip")
    shown = gr.Video(visible=False, autoplay=True, elem_id="kept-shown")

    def look(chosen: str | None) -> Any:
        path = library.clip(chosen) if chosen else None
        return gr.update(value=str(path), visible=True) if path and path.is_file() else gr.update(visible=False)

    def gone(chosen: str) -> Any:
        try:
            library.remove_clip(chosen)
        except UserError as error:
            raise gr.Error(str(error), print_exception=False) from error
        return gr.update(choices=library.clips(), value=None)

    name.change(look, name, shown, api_visibility="private")
    remove.click(gone, name, name, api_name="delete_clip")
    again.click(lambda: gr.update(choices=library.clips()), None, name, api_name="clips")
    gr.context.Context.root_block.load(lambda: gr.update(choices=library.clips()), None, name, api_visibility="private")  # type: ignore[union-attr]


def example(library: Library, job: Job) -> Path:
    """The avatar of the example, made when it is first needed: not tuned, so that it is there at once."""
    path = library.folder / ".example.avatar.safetensors"
    if not path.is_file():
        job.stage("making the example's avatar")
        head, _ = FewShotHead.load(default_head_path())
        photos = read_photos([astronaut()], size=head.config.photo_side)
        feed_forward(head, photos, provenance=origin(default_head_path(), consent=EXAMPLE_CONSENT)).save(path)
    return path


def _choices(library: Library) -> list[str]:
    return [*library.avatars(), EXAMPLE]


def _free_avatar(library: Library, name: str) -> Path:
    path = library.avatar(name or "Unnamed")
    if path.exists():
        raise UserError(
            f"There is an avatar {path.name.removesuffix('.avatar.safetensors')!r} already; give another name."
        )
    return path
