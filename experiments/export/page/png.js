"use strict";

// PNG is written here and not by a canvas: a canvas changes the colors of transparent pixels, has a limit on its size, and
// keeps neither class numbers nor a color profile.

const COLOR_TYPES = { 1: 0, 2: 4, 3: 2, 4: 6 };
const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, number) => {
  let crc = number;
  for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? 0xedb88320 ^ (crc >>> 1) : crc >>> 1;
  return crc;
});

function pngChunk(kind, content) {
  const chunk = new Uint8Array(12 + content.length);
  const view = new DataView(chunk.buffer);
  view.setUint32(0, content.length);
  for (let i = 0; i < 4; i += 1) chunk[4 + i] = kind.charCodeAt(i);
  chunk.set(content, 8);
  let crc = 0xffffffff;
  for (let i = 4; i < 8 + content.length; i += 1) crc = CRC_TABLE[(crc ^ chunk[i]) & 255] ^ (crc >>> 8);
  view.setUint32(8 + content.length, (crc ^ 0xffffffff) >>> 0);
  return chunk;
}

/** Encodes an image that arrives in rows. */
class PngWriter {
  /**
   * @param channels 1 (gray, or class numbers), 2 (gray and alpha), 3 (RGB) or 4 (RGBA)
   * @param palette colors of the class numbers, [[r, g, b], ...]
   * @param profile a color profile (ICC)
   */
  constructor({ width, height, channels, palette = null, profile = null }) {
    Object.assign(this, { width, height, channels, palette, profile });
    this.stride = width * channels;
    this.above = new Uint8Array(this.stride);
    const stream = new CompressionStream("deflate");
    this.writer = stream.writable.getWriter();
    this.writer.closed.catch(() => {}); // reported by the call that failed
    this.chunks = this.collect(stream.readable.getReader());
    this.chunks.catch(() => {});
  }

  async collect(reader) {
    const chunks = [];
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return chunks;
      chunks.push(pngChunk("IDAT", value));
    }
  }

  /** Adds one or more rows. */
  async add(rows) {
    const count = rows.length / this.stride;
    const out = new Uint8Array(count * (this.stride + 1));
    // Classes compress best as they are, images as differences to the Paeth predictor.
    const paeth = this.palette === null;
    for (let y = 0; y < count; y += 1) {
      const row = rows.subarray(y * this.stride, (y + 1) * this.stride);
      const start = y * (this.stride + 1);
      out[start] = paeth ? 4 : 0;
      if (paeth) this.filter(row, out, start + 1);
      else out.set(row, start + 1);
      this.above.set(row);
    }
    await this.writer.write(out);
  }

  filter(row, out, start) {
    const { above, channels } = this;
    for (let x = 0; x < row.length; x += 1) {
      const left = x < channels ? 0 : row[x - channels];
      const corner = x < channels ? 0 : above[x - channels];
      const up = above[x];
      const toLeft = Math.abs(up - corner);
      const toUp = Math.abs(left - corner);
      const toCorner = Math.abs(left + up - 2 * corner);
      const nearest = toLeft <= toUp && toLeft <= toCorner ? left : toUp <= toCorner ? up : corner;
      out[start + x] = row[x] - nearest;
    }
  }

  /** Returns the file. */
  async finish() {
    await this.writer.close();
    const header = new Uint8Array(13);
    const view = new DataView(header.buffer);
    view.setUint32(0, this.width);
    view.setUint32(4, this.height);
    header[8] = 8;
    header[9] = this.palette ? 3 : COLOR_TYPES[this.channels];
    const parts = [Uint8Array.of(137, 80, 78, 71, 13, 10, 26, 10), pngChunk("IHDR", header)];
    if (this.profile) {
      const name = new TextEncoder().encode("profile\0\0");
      parts.push(pngChunk("iCCP", joinBytes([name, await transform(this.profile, new CompressionStream("deflate"))])));
    }
    if (this.palette) parts.push(pngChunk("PLTE", Uint8Array.from(this.palette.flat())));
    parts.push(...(await this.chunks), pngChunk("IEND", new Uint8Array(0)));
    return new Blob(parts, { type: "image/png" });
  }
}

const ROWS_AT_ONCE = 64;

/** Encodes a whole image. */
async function encodePng(pixels, options) {
  const writer = new PngWriter(options);
  const step = writer.stride * ROWS_AT_ONCE;
  for (let start = 0; start < pixels.length; start += step) await writer.add(pixels.subarray(start, start + step));
  return writer.finish();
}
