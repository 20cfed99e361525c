import json
import pickle
from collections import OrderedDict
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from talkinghead.errors import UserError
from talkinghead.face.draw import draw_many
from talkinghead.media.image import frame_to_tensor
from talkinghead.portrait.data.augment import AugmentConfig
from talkinghead.portrait.data.episodes import _KNOWN_TRACKS, CountingSampler, EpisodeData, Episodes, unpacked
from talkinghead.portrait.data.episodes_config import EpisodeConfig, EpisodeDataConfig
from talkinghead.portrait.data.shards import Shards, TrackList, write_shards
from talkinghead.portrait.networks.config import CompositingConfig
from talkinghead.testing.synthetic import drawn_track, write_drawn_shards


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("shards") / "drawn"
    write_drawn_shards(path, people=3, frames=10, side=64)
    return path


def test_target_is_never_one_of_the_sources(folder):
    episodes = Episodes(Shards(folder), EpisodeConfig(shots=4, size=64))
    for number in range(200):
        draw, _ = episodes.draw(number)
        assert draw.target not in draw.sources
        assert len(set(draw.sources)) == 4


def test_an_episode_is_a_function_of_seed_and_number(folder):
    settings = {"shots": 3, "size": 64, "augment": AugmentConfig()}
    one, again = (
        Episodes(Shards(folder), EpisodeConfig(seed=5, **settings)),
        Episodes(Shards(folder), EpisodeConfig(seed=5, **settings)),
    )
    again[0]
    for name, value in one[7].items():
        assert torch.equal(value, again[7][name])
    assert not torch.equal(one[7]["frames"], Episodes(Shards(folder), EpisodeConfig(seed=6, **settings))[7]["frames"])


def test_shapes_and_ranges(folder):
    episode = unpacked(Episodes(Shards(folder), EpisodeConfig(shots=3, size=32, augment=AugmentConfig()))[0])
    assert episode["source_frames"].shape == episode["source_landmark_images"].shape == (3, 3, 32, 32)
    assert episode["target_frame"].shape == episode["target_landmark_image"].shape == (3, 32, 32)
    assert episode["target_landmarks"].shape == (68, 2)
    for name in ("source_frames", "target_frame", "target_landmark_image"):
        assert episode[name].min() >= -1
        assert episode[name].max() <= 1


def test_a_source_is_warped_towards_the_target_and_never_the_target_itself(folder):
    episodes = Episodes(
        Shards(folder),
        EpisodeConfig(shots=3, size=64, augment=AugmentConfig(landmark_noise=0.0), compositing=CompositingConfig()),
    )
    plain = Episodes(Shards(folder), EpisodeConfig(shots=3, size=64, augment=AugmentConfig(landmark_noise=0.0)))
    warped, copied = [], []
    for number in range(8):
        episode, bare = unpacked(episodes[number]), unpacked(plain[number])
        assert set(episode) - set(bare) == {"warped_source"}
        assert all(torch.equal(episode[name], bare[name]) for name in bare)
        assert not torch.equal(episode["warped_source"], episode["target_frame"])
        warped.append((episode["warped_source"] - episode["target_frame"]).abs().mean())
        copied.append((episode["source_frames"] - episode["target_frame"]).abs().mean())
    assert torch.stack(warped).mean() < torch.stack(copied).mean()


def test_people_are_drawn_evenly_when_balanced(folder):
    shards = Shards(folder)
    entries = [{**about, "identity": "long" if index < 2 else "short"} for index, about in enumerate(shards.about)]
    shards.about = TrackList(json.dumps(entries))
    balanced, plain = (Episodes(shards, EpisodeConfig(shots=3, size=32, balance=balance)) for balance in (True, False))
    share = [np.mean([episodes.draw(number)[0].track == 2 for number in range(600)]) for episodes in (balanced, plain)]
    assert share[0] == pytest.approx(1 / 2, abs=0.08)
    assert share[1] == pytest.approx(1 / 3, abs=0.08)


def test_unsure_frames_are_left_out(folder):
    episodes = Episodes(Shards(folder), EpisodeConfig(shots=3, size=32, min_confidence=0.5))
    landmarks, confidence = episodes.landmarks(0)
    confidence = np.where(np.arange(len(confidence)) < 5, 1.0, 0.1).astype(np.float32)
    episodes._known = OrderedDict.fromkeys(range(3), (landmarks, confidence))
    for number in range(50):
        draw, _ = episodes.draw(number)
        assert max([*draw.sources, draw.target]) < 5


def test_too_many_shots_are_refused(folder):
    with pytest.raises(UserError, match="more than 10 usable frames"):
        Episodes(Shards(folder), EpisodeConfig(shots=10, size=32))


def test_processes_share_out_the_batches_of_one_process():
    alone = list(CountingSampler(0, 16, batch_size=4))
    shared = [list(CountingSampler(0, 16, batch_size=2, rank=rank, world=2)) for rank in (0, 1)]
    assert alone == list(range(16))
    assert [number for step in range(4) for rank in (0, 1) for number in shared[rank][2 * step : 2 * step + 2]] == alone


def test_a_run_goes_on_with_the_next_episode(folder):
    data = EpisodeData(EpisodeDataConfig(shards=folder, shots=2, batch_size=2, size=32, seed=3))
    data.steps = 4
    whole = [batch["frames"] for batch in data.train_dataloader()]
    data.first_step = 3
    rest = [batch["frames"] for batch in data.train_dataloader()]
    assert len(whole) == 4
    assert torch.equal(whole[3], rest[0])


def test_workers_give_the_same_episodes(folder):
    episodes = Episodes(Shards(folder), EpisodeConfig(shots=2, size=32, augment=AugmentConfig()))
    batches = [
        list(DataLoader(episodes, batch_size=2, sampler=CountingSampler(0, 6, batch_size=2), num_workers=workers))
        for workers in (0, 2)
    ]
    for alone, parallel in zip(*batches, strict=True):
        assert torch.equal(alone["frames"], parallel["frames"])


def test_a_batch_is_unpacked_to_what_the_frames_and_landmarks_are(folder):
    episodes = Episodes(Shards(folder), EpisodeConfig(shots=3, size=64))
    packed = [episodes[number] for number in range(2)]
    batch = unpacked(torch.utils.data.default_collate(packed))
    for index, one in enumerate(packed):
        frames, pictures = frame_to_tensor(one["frames"].numpy()), draw_many(one["drawn"].numpy(), 64)
        assert torch.equal(batch["source_frames"][index], frames[:-1])
        assert torch.equal(batch["target_frame"][index], frames[-1])
        assert torch.equal(batch["source_landmark_images"][index], pictures[:-1])
        assert torch.equal(batch["target_landmark_image"][index], pictures[-1])


def test_an_episode_of_the_papers_size_takes_at_most_two_mebibytes(folder):
    episode = Episodes(Shards(folder), EpisodeConfig(shots=8, size=256))[0]
    assert len(pickle.dumps({name: value.numpy() for name, value in episode.items()})) <= 2 * 2**20


def test_landmarks_of_the_last_tracks_are_kept_and_no_more(folder, monkeypatch):
    monkeypatch.setattr("talkinghead.portrait.data.episodes._KNOWN_TRACKS", 2)
    episodes = Episodes(Shards(folder), EpisodeConfig(shots=3, size=32))
    for track in (0, 1, 0, 2):
        landmarks, _ = episodes.landmarks(track)
        assert landmarks.base is None  # a view would keep the whole track
    assert list(episodes._known) == [0, 2]
    assert _KNOWN_TRACKS * 100 * 69 * 4 * 2 < 2**28


def test_tracks_of_one_video_share_a_column(tmp_path):
    """VoxCeleb's utterances of a video, and a second track of one; another person in it has a column of her own."""
    where = [
        ("id00012", "id00012/21Uxsk56VDQ/00001.mp4", 0),
        ("id00012", "id00012/21Uxsk56VDQ/00002.mp4", 0),
        ("id00012", "id00012/21Uxsk56VDQ/00002.mp4", 1),
        ("id00012#2", "id00012/21Uxsk56VDQ/00002.mp4", 2),
        ("id00012", "id00012/7LJbqdU_4K4/00001.mp4", 0),
        ("anna", "anna/holiday.mp4", 0),
        ("anna", "anna/party.mp4", 0),
    ]
    track = drawn_track(0, frames=6, side=32)
    write_shards(
        (replace(track, identity=identity, video=video, track=number) for identity, video, number in where),
        tmp_path / "shards",
    )
    episodes = Episodes(Shards(tmp_path / "shards"), EpisodeConfig(shots=2, size=32, balance=False))
    assert episodes.videos == [
        "anna: anna/holiday.mp4", "anna: anna/party.mp4", "id00012#2: id00012/21Uxsk56VDQ",
        "id00012: id00012/21Uxsk56VDQ", "id00012: id00012/7LJbqdU_4K4",
    ]  # fmt: skip
    assert episodes.column.tolist() == [3, 3, 3, 2, 4, 0, 1]
    for number in range(20):
        assert int(episodes[number]["video_index"]) == episodes.column[episodes.draw(number)[0].track]
