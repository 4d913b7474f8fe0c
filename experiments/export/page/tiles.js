"use strict";

/** Starts of tiles spread evenly over `length`, with an overlap of at least `overlap`, at multiples of `multiple`. */
function tileStarts(length, { tile, overlap, multiple }) {
  if (length <= tile) return [0];
  const last = Math.ceil((length - tile) / multiple);
  const steps = Math.ceil(last / Math.floor((tile - overlap) / multiple));
  return Array.from({ length: steps + 1 }, (_, number) => Math.floor((number * last) / steps) * multiple);
}

/** The smallest side, up to `tile`, with which as many tiles cover `length` with the same overlap. */
function fittingTile(length, tiling) {
  const { tile, overlap, multiple } = tiling;
  const tiles = tileStarts(length, tiling).length;
  return tiles === 1 ? tile : Math.ceil(Math.ceil((length + (tiles - 1) * overlap) / tiles) / multiple) * multiple;
}

/** Tiles along one axis: their starts, and the weight of each of their output pixels. Weights sum to 1. */
function tileAxis(length, tiling) {
  const { scale } = tiling;
  const tile = fittingTile(length, tiling);
  const starts = tileStarts(length, { ...tiling, tile });
  const weights = starts.map((start) => new Float32Array(Math.min(tile, length - start) * scale).fill(1));
  for (let number = 1; number < starts.length; number += 1) {
    const shared = (starts[number - 1] + tile - starts[number]) * scale;
    for (let i = 0; i < shared; i += 1) {
      const rise = Math.min(Math.max((i + 0.5 - (shared * 3) / 8) / (shared / 4), 0), 1);
      weights[number][i] *= rise;
      weights[number - 1][tile * scale - shared + i] *= 1 - rise;
    }
  }
  const total = new Float32Array(length * scale); // 1 except where three tiles overlap
  starts.forEach((start, number) => weights[number].forEach((weight, i) => (total[start * scale + i] += weight)));
  return starts.map((start, number) => ({
    start,
    length: weights[number].length / scale,
    weights: weights[number].map((weight, i) => weight / total[start * scale + i]),
  }));
}

/**
 * Applies a network tile by tile and blends the results, as `models/tiled_inference.py`, and hands over rows of the result
 * as soon as no further tile touches them: a large result is never in memory as floats.
 * @param image {pixels, width, height, channels: 4}
 * @param run maps (x, y, width, height) of a tile to (3, scale * height, scale * width), about [0, 1]
 * @param emit takes rows as RGB bytes
 */
async function tiledInference(image, tiling, run, emit) {
  const { scale } = tiling;
  const rows = tileAxis(image.height, tiling);
  const columns = tileAxis(image.width, tiling);
  const outWidth = image.width * scale;
  const sums = new Float32Array(rows[0].weights.length * outWidth * 3);
  let base = 0; // row of the result at which `sums` begins
  const flush = async (end) => {
    const length = (end - base) * outWidth * 3;
    const bytes = new Uint8ClampedArray(length);
    for (let i = 0; i < length; i += 1) bytes[i] = sums[i] * 255; // rounds, and clamps
    sums.copyWithin(0, length);
    sums.fill(0, sums.length - length);
    base = end;
    await emit(bytes);
  };
  for (const row of rows) {
    if (row.start * scale > base) await flush(row.start * scale);
    for (const column of columns) {
      const result = await run(column.start, row.start, column.length, row.length);
      addTile(result, row, column, { sums, outWidth, scale });
    }
  }
  await flush(image.height * scale);
}

/** Number of tiles of an image. */
function countTiles({ width, height }, tiling) {
  return tileStarts(width, tiling).length * tileStarts(height, tiling).length;
}

function addTile(result, row, column, { sums, outWidth, scale }) {
  const [height, width] = [row.weights.length, column.weights.length];
  for (let c = 0; c < 3; c += 1) {
    for (let y = 0; y < height; y += 1) {
      const from = (c * height + y) * width;
      const to = (y * outWidth + column.start * scale) * 3 + c;
      const rowWeight = row.weights[y];
      for (let x = 0; x < width; x += 1) sums[to + x * 3] += result[from + x] * (rowWeight * column.weights[x]);
    }
  }
}
