"""Packets -> frames, past damage."""

from collections.abc import Iterator
from typing import Any

import av
from av.container import InputContainer


def decodable(container: InputContainer, stream: Any) -> Iterator[Any]:
    """The frames of a stream that can be decoded: damaged packets are skipped, a file that breaks off ends there."""
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except (av.error.FFmpegError, OSError):
            return  # the file breaks off here
        if packet is None:
            return
        try:
            yield from packet.decode()
        except av.error.EOFError:
            return
        except av.error.FFmpegError:
            continue
