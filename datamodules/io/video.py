"""Videos to upright RGB frames, one after the other, so that memory does not grow with the length."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.reformatter import Colorspace
from numpy.typing import NDArray

from datamodules.errors import DataError
from datamodules.io.image_file import open_image

VIDEO_SUFFIXES = frozenset({".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm"})

_UNTAGGED, _HD_HEIGHT = 2, 720
_GIF_END = b"\x3b"
_RATE = Fraction(25)  # of a video that does not say its own


@dataclass(frozen=True, kw_only=True)
class VideoFacts:
    """What a video says of itself before a frame is decoded.

    Args:
        rate: mean number of frames a second.
        tick: step of the video's clock, in seconds.
        seconds: length of the image; ``None`` where it is not said.
        packets: coded frames; ``None`` where they are not counted.
        sounds: number of sound tracks.
    """

    rate: Fraction
    tick: Fraction
    seconds: Fraction | None
    packets: int | None
    sounds: int

    @property
    def frames(self) -> int | None:
        """About how many frames there are."""
        return self.packets or (None if self.seconds is None else round(self.seconds * self.rate))


@dataclass(frozen=True, kw_only=True)
class TimedFrame:
    """One frame.

    Args:
        pixels: (H, W, 3) uint8 RGB as displayed.
        time: when it is shown, in seconds.
    """

    pixels: NDArray[np.uint8]
    time: Fraction


@dataclass
class _Count:
    packets: int = 0
    damaged: int = 0


def is_video(path: Path) -> bool:
    """Whether ``path`` is a video by its suffix, or a GIF of several frames; a GIF that cannot be read is none."""
    if path.suffix.lower() != ".gif":
        return path.suffix.lower() in VIDEO_SUFFIXES
    try:
        with open_image(path) as image:
            return bool(getattr(image, "is_animated", False))
    except DataError:
        return False


class VideoReader:
    """Decodes a video frame by frame; iterating again starts over.

    Colors are converted by the matrix and range that the video names; one that names none is taken for BT.709 from
    720 lines on and for BT.601 below, as players do. HDR is not toned down. Turned videos come upright. Frames that
    cannot be decoded are left out, and ``problems`` then says so: the frame before stands longer, and sound stays in
    time.

    Args:
        path: a video.

    Raises:
        DataError: if it cannot be opened, or holds no image.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.problems: list[str] = []
        with _opened(path) as container:
            self.facts = _facts(container)

    def __iter__(self) -> Iterator[TimedFrame]:
        """Gives the frames, in rising time.

        Raises:
            DataError: if no frame can be decoded.
        """
        self.problems = []
        count, last, end = _Count(), None, Fraction(0)
        with _opened(self.path) as container:
            for frame in _decode(container, count):
                time = self._time(frame, after=last)
                last, end = time, time + _duration(frame, self.facts)
                yield TimedFrame(pixels=_pixels(frame), time=time)
        if last is None:
            raise DataError(f"{self.path}: no frame of it can be decoded; copy or download it again, or leave it out")
        self._judge(count, end)

    def _time(self, frame: VideoFrame, *, after: Fraction | None) -> Fraction:
        """When ``frame`` is shown; clocks that stand still or run backwards are set right."""
        facts = self.facts
        if frame.pts is None:
            return Fraction(0) if after is None else after + 1 / facts.rate
        time = on_the_beat(frame.pts * (frame.time_base or facts.tick), facts)
        return time if after is None or time > after else after + facts.tick

    def _judge(self, count: _Count, end: Fraction) -> None:
        if count.damaged:
            frames = "1 damaged frame was" if count.damaged == 1 else f"{count.damaged} damaged frames were"
            self.problems.append(f"{self.path}: {frames} left out")
        if self._ends_early(count, end):
            there = f"{float(end):.2f} s" + (f" of {float(self.facts.seconds):.2f} s" if self.facts.seconds else "")
            self.problems.append(f"{self.path}: is cut short; the part that is there was done: {there}")

    def _ends_early(self, count: _Count, end: Fraction) -> bool:
        facts = self.facts
        if self.path.suffix.lower() == ".gif":
            return not _ends_with(self.path, _GIF_END)
        if facts.packets is not None:
            return count.packets < facts.packets
        return facts.seconds is not None and facts.seconds - end > max(2 / facts.rate, Fraction(1, 10))


def on_the_beat(time: Fraction, facts: VideoFacts) -> Fraction:
    """Takes the rounding of a coarse clock (Matroska's milliseconds) out of a time.

    Args:
        time: as the video's clock has it, in seconds.
        facts: whose rate says where frames of a steady video lie.

    Returns:
        The multiple of the frame's length that rounds to ``time``; ``time`` itself where there is none.
    """
    beat = round(time * facts.rate) / facts.rate
    return beat if abs(beat - time) <= facts.tick / 2 else time


def _opened(path: Path) -> InputContainer:
    if not path.is_file():
        raise DataError(f"{path}: cannot be read: there is no such file")
    if path.stat().st_size == 0:
        raise DataError(f"{path}: is empty (0 bytes); copy or download it again, or remove it")
    try:
        container = av.open(str(path), metadata_errors="replace")
    except (av.FFmpegError, OSError) as error:
        reason = error.strerror or str(error)
        raise DataError(f"{path}: is not a video that can be read, or it is cut short ({reason})") from error
    if not container.streams.video:
        container.close()
        raise DataError(f"{path}: holds no image, only sound")
    return container


def _facts(container: InputContainer) -> VideoFacts:
    stream = container.streams.video[0]
    tick = stream.time_base or Fraction(1, 1000)
    rate = stream.average_rate or stream.guessed_rate or _RATE
    lengths = [stream.duration * tick] if stream.duration else []
    if stated := _stated_length(stream.metadata.get("DURATION", "")):
        lengths.append(stated)
    if stream.frames:  # AVI shortens its duration to what is there
        lengths.append(stream.frames / rate)
    if not lengths and container.duration and not container.streams.audio:
        lengths.append(Fraction(container.duration, av.time_base))
    exact = stream.frames if "mp4" in container.format.name else 0  # others count frames that hold nothing
    return VideoFacts(
        rate=rate,
        tick=tick,
        seconds=max(lengths, default=None),
        packets=exact or None,
        sounds=len(container.streams.audio),
    )


def _stated_length(text: str) -> Fraction | None:
    """Seconds of ``01:02:03.004000000``, as Matroska writes a track's length."""
    parts = text.split(":")
    try:
        hours, minutes, seconds = (Fraction(part) for part in parts)
    except ValueError:
        return None
    return (hours * 60 + minutes) * 60 + seconds


def _decode(container: InputContainer, count: _Count) -> Iterator[VideoFrame]:
    stream = container.streams.video[0]
    stream.thread_type = "AUTO"
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except (av.FFmpegError, OSError):  # nothing behind this place can be found
            count.damaged += 1
            return
        if packet is None:
            return
        count.packets += packet.size > 0
        try:
            # of a packet that is cut short a decoder would make half an image
            frames = [] if packet.is_corrupt else packet.decode()
            count.damaged += packet.is_corrupt
        except av.FFmpegError:
            count.damaged += 1
            continue
        yield from (frame for frame in frames if isinstance(frame, VideoFrame) and not frame.is_corrupt)


def _ends_with(path: Path, end: bytes) -> bool:
    with path.open("rb") as file:
        file.seek(-min(16, path.stat().st_size), os.SEEK_END)
        return file.read().rstrip(b"\0").endswith(end)


def _duration(frame: VideoFrame, facts: VideoFacts) -> Fraction:
    return frame.duration * (frame.time_base or facts.tick) if frame.duration else 1 / facts.rate


def _pixels(frame: VideoFrame) -> NDArray[np.uint8]:
    untagged = frame.colorspace == _UNTAGGED and frame.height >= _HD_HEIGHT
    colors = frame.reformat(format="rgb24", src_colorspace=Colorspace.ITU709 if untagged else None)
    pixels = np.rot90(colors.to_ndarray(), round(frame.rotation / 90))
    return np.ascontiguousarray(pixels).astype(np.uint8, copy=False)
