"""Decodes videos to RGB frames one at a time, in bounded memory."""

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
from datamodules.io.gif import gif_frames
from datamodules.io.image_file import open_image
from datamodules.io.video_info import VideoInfo, gif_info, open_video, read_info

VIDEO_SUFFIXES = frozenset({".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm"})

_UNTAGGED, _HD_HEIGHT = 2, 720
_GIF_END = b"\x3b"


@dataclass(frozen=True, kw_only=True)
class TimedFrame:
    """One frame.

    Args:
        pixels: (H, W, 3) uint8 RGB as displayed.
        time: presentation time in seconds.
    """

    pixels: NDArray[np.uint8]
    time: Fraction


@dataclass
class _PacketCount:
    packets: int = 0
    damaged: int = 0


def is_video(path: Path) -> bool:
    """Whether ``path`` has the suffix of a video, or is a readable GIF with several frames."""
    if path.suffix.lower() != ".gif":
        return path.suffix.lower() in VIDEO_SUFFIXES
    try:
        with open_image(path) as image:
            return bool(getattr(image, "is_animated", False))
    except DataError:
        return False


class VideoReader:
    """Decodes a video frame by frame; each iteration starts from the beginning.

    Colors are converted with the matrix and range of the video; a video without them is read as BT.709 from 720 lines
    on and as BT.601 below, as players do. HDR is not tone-mapped. Rotation is applied. Frames that cannot be decoded
    are skipped and reported in ``problems``; the previous frame is then displayed longer, so audio stays in sync.

    Args:
        path: a video file.

    Raises:
        DataError: if it cannot be opened, or has no video stream.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.problems: list[str] = []
        if self._is_gif:
            self.info = gif_info(path)
            return
        with open_video(path) as container:
            self.info = read_info(container)

    def __iter__(self) -> Iterator[TimedFrame]:
        """Yields the frames in increasing time.

        Raises:
            DataError: if no frame can be decoded, or the size of the frames changes.
        """
        self.problems = []
        if self._is_gif:
            yield from (TimedFrame(pixels=pixels, time=time) for pixels, time in gif_frames(self.path))
            self._report_problems(_PacketCount(), Fraction(0))
            return
        count, last, end = _PacketCount(), None, Fraction(0)
        size: tuple[int, ...] = ()
        with open_video(self.path) as container:
            for frame in _decode(container, count):
                time = self._time(frame, after=last)
                last, end = time, time + _duration(frame, self.info)
                pixels = _pixels(frame)
                size = size or pixels.shape
                if pixels.shape != size:
                    raise DataError(
                        f"{self.path}: its frames are {size[1]} x {size[0]} px and from {float(time):.2f} s on "
                        f"{pixels.shape[1]} x {pixels.shape[0]}: convert it to one size first, for example with ffmpeg "
                        f"-vf scale={size[1]}:{size[0]}"
                    )
                yield TimedFrame(pixels=pixels, time=time)
        if last is None:
            raise DataError(f"{self.path}: no frame of it can be decoded; copy or download it again, or leave it out")
        self._report_problems(count, end)

    @property
    def _is_gif(self) -> bool:
        return self.path.suffix.lower() == ".gif"

    def _time(self, frame: VideoFrame, *, after: Fraction | None) -> Fraction:
        """Presentation time of ``frame``; times that do not increase are corrected."""
        info = self.info
        if frame.pts is None:
            return Fraction(0) if after is None else after + 1 / info.rate
        time = snap_to_frame_rate(frame.pts * (frame.time_base or info.time_base), info)
        return time if after is None or time > after else after + info.time_base

    def _report_problems(self, count: _PacketCount, end: Fraction) -> None:
        if count.damaged:
            frames = "1 damaged frame was" if count.damaged == 1 else f"{count.damaged} damaged frames were"
            self.problems.append(f"{self.path}: {frames} left out")
        if self._ends_early(count, end):
            there = f"{float(end):.2f} s" + (f" of {float(self.info.seconds):.2f} s" if self.info.seconds else "")
            self.problems.append(f"{self.path}: is cut short; the part that exists was processed: {there}")

    def _ends_early(self, count: _PacketCount, end: Fraction) -> bool:
        info = self.info
        if self._is_gif:
            return not _ends_with(self.path, _GIF_END)
        if info.packets is not None:
            return count.packets < info.packets
        return info.seconds is not None and info.seconds - end > max(2 / info.rate, Fraction(1, 10))


def snap_to_frame_rate(time: Fraction, info: VideoInfo) -> Fraction:
    """Removes the rounding of coarse time stamps (milliseconds in Matroska).

    Args:
        time: presentation time in seconds.
        info: properties of the video.

    Returns:
        The multiple of the frame duration that rounds to ``time``; ``time`` itself if there is none.
    """
    nearest = round(time * info.rate) / info.rate
    return nearest if abs(nearest - time) <= info.time_base / 2 else time


def _decode(container: InputContainer, count: _PacketCount) -> Iterator[VideoFrame]:
    stream = container.streams.video[0]
    stream.thread_type = "AUTO"
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except (av.FFmpegError, OSError):  # the rest of the file cannot be read
            count.damaged += 1
            return
        if packet is None:
            return
        count.packets += packet.size > 0
        try:
            # a decoder would turn a truncated packet into a partial image
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


def _duration(frame: VideoFrame, info: VideoInfo) -> Fraction:
    return frame.duration * (frame.time_base or info.time_base) if frame.duration else 1 / info.rate


def _pixels(frame: VideoFrame) -> NDArray[np.uint8]:
    untagged = frame.colorspace == _UNTAGGED and frame.height >= _HD_HEIGHT
    colors = frame.reformat(format="rgb24", src_colorspace=Colorspace.ITU709 if untagged else None)
    pixels = np.rot90(colors.to_ndarray(), round(frame.rotation / 90))
    return np.ascontiguousarray(pixels).astype(np.uint8, copy=False)
