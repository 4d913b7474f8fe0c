"use strict";

// Resizing by one sparse matrix of weights per axis. A matrix is {size, offsets, indices, weights}: output `i` is the sum
// of weights[k] * input[indices[k]] for k from offsets[i] to offsets[i + 1].

function sparseMatrix(size, rowOf) {
  const offsets = new Int32Array(size + 1);
  const indices = [];
  const weights = [];
  for (let i = 0; i < size; i += 1) {
    rowOf(i, (index, weight) => {
      if (weight !== 0) {
        indices.push(index);
        weights.push(weight);
      }
    });
    offsets[i + 1] = indices.length;
  }
  return { size, offsets, indices: Int32Array.from(indices), weights: Float32Array.from(weights) };
}

/** Averages over the area of each new pixel, as OpenCV's INTER_AREA; the identity where the side does not shrink. */
function areaMatrix(length, size) {
  if (size >= length) return sparseMatrix(length, (i, add) => add(i, 1));
  const step = length / size;
  return sparseMatrix(size, (i, add) => {
    const [start, end] = [i * step, (i + 1) * step];
    for (let j = Math.floor(start); j < Math.min(Math.ceil(end), length); j += 1) {
      add(j, Math.max(0, Math.min(j + 1, end) - Math.max(j, start)) / step);
    }
  });
}

/** Cubic interpolation with a = -0.75, as OpenCV's INTER_CUBIC; the identity where the side keeps its size. */
function cubicMatrix(length, size) {
  if (size === length) return sparseMatrix(length, (i, add) => add(i, 1));
  const a = -0.75;
  const weight = (x) =>
    x <= 1 ? (a + 2) * x ** 3 - (a + 3) * x ** 2 + 1 : a * (x ** 3 - 5 * x ** 2 + 8 * x - 4);
  return sparseMatrix(size, (i, add) => {
    const center = ((i + 0.5) * length) / size - 0.5;
    for (let tap = -1; tap < 3; tap += 1) {
      const place = Math.floor(center) + tap;
      add(Math.min(Math.max(place, 0), length - 1), weight(Math.abs(center - place)));
    }
  });
}

/** Linear interpolation, with a wider filter where the side shrinks, as torch's bilinear with antialias. */
function linearMatrix(length, size) {
  const step = length / size;
  const reach = Math.max(step, 1);
  return sparseMatrix(size, (i, add) => {
    const center = (i + 0.5) * step;
    const first = Math.max(Math.floor(center - reach), 0);
    const last = Math.min(Math.ceil(center + reach), length - 1);
    const weightAt = (j) => Math.max(0, 1 - Math.abs(center - j - 0.5) / reach);
    let total = 0;
    for (let j = first; j <= last; j += 1) total += weightAt(j);
    for (let j = first; j <= last; j += 1) add(j, weightAt(j) / total);
  });
}

/** Applies one matrix down the columns of (height, width * channels) and returns one row. */
function mixRows(pixels, rowLength, matrix, y, out) {
  out.fill(0);
  for (let k = matrix.offsets[y]; k < matrix.offsets[y + 1]; k += 1) {
    const weight = matrix.weights[k];
    const start = matrix.indices[k] * rowLength;
    for (let x = 0; x < rowLength; x += 1) out[x] += weight * pixels[start + x];
  }
}

/** Applies one matrix along a row of (width, channels). */
function mixColumns(row, channels, matrix, out, outStart) {
  for (let x = 0; x < matrix.size; x += 1) {
    for (let c = 0; c < channels; c += 1) {
      let sum = 0;
      for (let k = matrix.offsets[x]; k < matrix.offsets[x + 1]; k += 1) {
        sum += matrix.weights[k] * row[matrix.indices[k] * channels + c];
      }
      out[outStart + x * channels + c] = sum;
    }
  }
}

/**
 * Resizes (height, width, channels).
 * @param makeMatrix one of the functions above
 * @param Type class of the result; Uint8ClampedArray rounds
 */
function resizePixels({ pixels, width, height, channels }, newWidth, newHeight, makeMatrix, Type) {
  const rows = makeMatrix(height, newHeight);
  const columns = makeMatrix(width, newWidth);
  const out = new Type(rows.size * columns.size * channels);
  const row = new Float32Array(width * channels);
  for (let y = 0; y < rows.size; y += 1) {
    mixRows(pixels, width * channels, rows, y, row);
    mixColumns(row, channels, columns, out, y * columns.size * channels);
  }
  return { pixels: out, width: columns.size, height: rows.size, channels };
}

/** Resizes as `predict` does: area averages where a side shrinks, then cubic interpolation where one grows. */
function resizeImage(image, width, height) {
  const shrunk = resizePixels(image, width, height, areaMatrix, Uint8ClampedArray);
  return resizePixels(shrunk, width, height, cubicMatrix, Uint8ClampedArray);
}

/** A plane that is resized row by row, so that the large result is never in memory as a whole. */
class ResizedPlane {
  constructor(plane, width, height, newWidth, newHeight, makeMatrix) {
    this.rows = makeMatrix(height, newHeight);
    const columns = makeMatrix(width, newWidth);
    this.width = newWidth;
    this.wide = new Float32Array(height * newWidth);
    for (let y = 0; y < height; y += 1) {
      mixColumns(plane.subarray(y * width, (y + 1) * width), 1, columns, this.wide, y * newWidth);
    }
  }

  /** Writes row `y` of the result into `out`. */
  row(y, out) {
    mixRows(this.wide, this.width, this.rows, y, out);
  }
}

/** Shrinks an image that arrives row by row, by a whole factor: means of blocks. What does not fill a block is dropped. */
class BlockMeans {
  constructor(width, channels, factor, emit) {
    this.width = Math.floor(width / factor);
    this.channels = channels;
    this.stride = width * channels;
    this.factor = factor;
    this.emit = emit;
    this.sums = new Float32Array(this.width * channels);
    this.count = 0;
  }

  async add(rows) {
    const { channels, factor } = this;
    for (let start = 0; start < rows.length; start += this.stride) {
      for (let x = 0; x < this.width * factor; x += 1) {
        const to = Math.floor(x / factor) * channels;
        for (let c = 0; c < channels; c += 1) this.sums[to + c] += rows[start + x * channels + c];
      }
      this.count += 1;
      if (this.count === factor) {
        await this.emit(Uint8ClampedArray.from(this.sums, (sum) => sum / (factor * factor)));
        this.sums.fill(0);
        this.count = 0;
      }
    }
  }
}
