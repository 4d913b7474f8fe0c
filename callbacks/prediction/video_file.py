"""A video that is either whole or not there: H.264, with the sound of another video as it is."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TypeAlias

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace
from av.video.stream import VideoStream
from numpy.typing import NDArray

from callbacks.output_file import output_path

_SoundPacket: TypeAlias = "Packet[AudioStream]"  # generic in the stubs only

# Brush strokes are all detail, which H.264 takes for noise: 18 keeps them where 23, x264's own choice, smears.
_QUALITY = {"crf": "18", "preset": "medium"}
_FORMATS = {".mp4": "mp4", ".mov": "mov", ".mkv": "matroska"}
_FINE = 10_000  # ticks a second that a clock has at least
_BT709 = 1
_TOLD = ("title", "artist", "comment", "copyright", "creation_time", "date")


def result_suffix(source: Path) -> str:
    """What the result of a video is called.

    That is the video's own suffix where such files hold H.264, or else ``.mp4``; and ``.mkv``, which holds anything,
    where the sound does not fit in there as it is.

    >>> result_suffix(Path("gone.MOV"))
    '.mov'
    """
    suffix = source.suffix.lower() if source.suffix.lower() in _FORMATS else ".mp4"
    try:
        with av.open(str(source), metadata_errors="replace") as video:
            names = {sound.codec.canonical_name for sound in video.streams.audio}
    except (av.FFmpegError, OSError):  # said where the video is read
        return suffix
    if not names:
        return suffix
    with av.open(os.devnull, "w", format=_FORMATS[suffix]) as video:
        return suffix if names <= video.supported_codecs else ".mkv"


class VideoFile:
    """Writes frames as they come, and beside them the sound of another video.

    Use it in a ``with`` block: at its end the video gets its name; an exception leaves nothing behind. Frames keep the
    times they are given. Odd sizes are kept by storing colors at full resolution (4:4:4), which not every player
    shows.

    Args:
        target: the final file: ``.mp4``, ``.mov`` or ``.mkv``.
        source: the video whose sound, title and shape of pixels are taken over.
        size: height and width of the frames.
        rate: mean number of frames a second.
    """

    def __init__(self, target: Path, *, source: Path, size: tuple[int, int], rate: Fraction) -> None:
        self.target, self.source, self.size = target, source, size
        self.rate = rate.limit_denominator(1001)  # the mean of an unsteady video can be an odd fraction
        self.clock = clock(self.rate)
        self._open = ExitStack()

    def __enter__(self) -> "VideoFile":
        """Opens both files.

        Raises:
            OutputError: if the file cannot be written.
        """
        format_ = _FORMATS[self.target.suffix]
        index_first = {} if format_ == "matroska" else {"movflags": "faststart"}  # plays before it is loaded
        with ExitStack() as stack:
            partial = stack.enter_context(output_path(self.target))
            source = stack.enter_context(av.open(str(self.source), metadata_errors="replace"))
            video = stack.enter_context(av.open(str(partial), "w", format=format_, options=index_first))
            video.metadata.update({key: source.metadata[key] for key in _TOLD if key in source.metadata})
            self._video, self._image = video, self._add_image(video, source)
            self._sound = _Sound(source, video)
            self._open = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Completes the video, or takes it away.

        Raises:
            OutputError: if it could not be written.
        """
        if error is not None:
            self._open.__exit__(kind, error, trace)
            return
        with self._open:
            self._video.mux(self._image.encode())
            self._sound.copy()

    def write(self, pixels: NDArray[np.uint8], time: Fraction) -> None:
        """Writes the next frame.

        Args:
            pixels: (H, W, 3) RGB.
            time: when it is shown, in seconds; later than the frame before.
        """
        frame = VideoFrame.from_ndarray(pixels, format="rgb24")
        frame = frame.reformat(
            format=self._image.pix_fmt, dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG
        )
        frame.pts, frame.time_base = round(time / self.clock), self.clock
        self._video.mux(self._image.encode(frame))
        self._sound.copy(until=time)

    def _add_image(self, video: OutputContainer, source: InputContainer) -> VideoStream:
        image = video.add_stream("libx264", rate=self.rate, options=_QUALITY)
        image.height, image.width = self.size
        image.pix_fmt = "yuv444p" if self.size[0] % 2 or self.size[1] % 2 else "yuv420p"
        context = image.codec_context
        context.time_base = self.clock
        context.colorspace = context.color_primaries = context.color_trc = _BT709
        context.color_range = ColorRange.MPEG
        if shape := source.streams.video[0].sample_aspect_ratio:
            context.sample_aspect_ratio = shape
        return image


def clock(rate: Fraction) -> Fraction:
    """Seconds of one tick: fine, and frames of a steady video fall on whole ticks.

    >>> clock(Fraction(30000, 1001)), clock(Fraction(25))
    (Fraction(1, 30000), Fraction(1, 10000))
    """
    return Fraction(1, rate.numerator * -(-_FINE // rate.numerator))


class _Sound:
    """Copies the sound of ``source`` as it is, never far ahead of the image."""

    def __init__(self, source: InputContainer, video: OutputContainer) -> None:
        self._video = video
        self._streams = {sound.index: video.add_stream_from_template(sound) for sound in source.streams.audio}
        self._packets = self._whole(source.demux(source.streams.audio)) if self._streams else iter(())
        self._waiting: _SoundPacket | None = None

    def copy(self, *, until: Fraction | None = None) -> None:
        """Copies what begins before ``until`` seconds; without it, all that is left."""
        while packet := self._waiting or next(self._packets, None):
            self._waiting = packet
            begin = (packet.dts or 0) * (packet.time_base or 0)
            if until is not None and begin >= until:
                return
            self._waiting = None
            packet.stream = self._streams[packet.stream.index]
            self._video.mux(packet)

    def _whole(self, packets: Iterator[_SoundPacket]) -> Iterator[_SoundPacket]:
        """Leaves out what is damaged, and the empty packet at the end."""
        with suppress(av.FFmpegError):  # nothing behind this place can be found
            for packet in packets:
                if packet.size and packet.dts is not None and not packet.is_corrupt:
                    yield packet
