"use strict";

// Probabilities to masks, cut-outs and overlays, as callbacks/prediction/matting.py. Planes are (height, width).

/** Most likely class of every pixel, or 1 and 0 for a single class. */
function decideClasses(probs, size, count, width, height, threshold) {
  const classes = new Uint8Array(width * height);
  const row = new Float32Array(width);
  const best = count > 1 ? new Float32Array(width * height) : null;
  for (let number = 0; number < count; number += 1) {
    const plane = new ResizedPlane(probs.subarray(number * size * size, (number + 1) * size * size), size, size, width, height, linearMatrix);
    for (let y = 0; y < height; y += 1) {
      plane.row(y, row);
      const start = y * width;
      if (count === 1) {
        for (let x = 0; x < width; x += 1) classes[start + x] = row[x] >= threshold ? 1 : 0;
      } else {
        for (let x = 0; x < width; x += 1) {
          if (number === 0 || row[x] > best[start + x]) {
            best[start + x] = row[x];
            classes[start + x] = number;
          }
        }
      }
    }
  }
  return classes;
}

/** Opacity of the chosen classes: the probability, stretched around the threshold until an edge is `edgeWidth` pixels wide. */
function softAlpha(probs, size, chosen, width, height, threshold, edgeWidth) {
  const sum = new Float32Array(size * size);
  for (const number of chosen) for (let i = 0; i < sum.length; i += 1) sum[i] += probs[number * size * size + i];
  const gain = Math.max(Math.max(width, height) / size / edgeWidth, 1);
  const plane = new ResizedPlane(sum, size, size, width, height, linearMatrix);
  const alpha = new Float32Array(width * height);
  for (let y = 0; y < height; y += 1) {
    const row = alpha.subarray(y * width, (y + 1) * width);
    plane.row(y, row);
    for (let x = 0; x < width; x += 1) row[x] = Math.min(Math.max((row[x] - threshold) * gain + 0.5, 0), 1);
  }
  return alpha;
}

const FOREGROUND_RADIUS = 24;

/**
 * Combines opacity with colors from which the old background was removed (Forte 2021).
 * @returns RGBA
 */
function makeCutout(image, alpha) {
  const { pixels, width, height } = image;
  const cutout = new Uint8Array(width * height * 4);
  for (let i = 0; i < alpha.length; i += 1) cutout[i * 4 + 3] = roundHalfEven(alpha[i] * 255);
  const box = boundingBox(alpha, width, height);
  if (box === null) return cutout;
  const share = cropPlane(alpha, width, box);
  const weight = boxMeans(share, box);
  const covered = new Float32Array(share.length);
  const uncovered = new Float32Array(share.length);
  for (let c = 0; c < 3; c += 1) {
    for (let i = 0; i < share.length; i += 1) {
      const color = pixels[boxIndex(i, box, width) * 4 + c];
      covered[i] = color * share[i];
      uncovered[i] = color * (1 - share[i]);
    }
    const fronts = boxMeans(covered, box);
    const backs = boxMeans(uncovered, box);
    for (let i = 0; i < share.length; i += 1) {
      const at = boxIndex(i, box, width) * 4 + c;
      const color = pixels[at];
      let front = fronts[i] / (weight[i] + 1e-5);
      const back = backs[i] / (1 - weight[i] + 1e-5);
      front += share[i] * (color - share[i] * front - (1 - share[i]) * back);
      if (share[i] === 1) front = color;
      if (weight[i] <= 0) front = 0;
      cutout[at] = Math.min(Math.max(Math.floor(front + 0.5), 0), 255);
    }
  }
  return cutout;
}

function roundHalfEven(value) {
  const rounded = Math.round(value);
  return rounded - value === 0.5 && rounded % 2 !== 0 ? rounded - 1 : rounded;
}

/** The part within the radius of any pixel with opacity; null if there is none. */
function boundingBox(alpha, width, height) {
  let [left, right, top, bottom] = [width, -1, height, -1];
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      if (alpha[y * width + x] > 0) {
        left = Math.min(left, x);
        right = Math.max(right, x);
        top = Math.min(top, y);
        bottom = y;
      }
    }
  }
  if (right < 0) return null;
  const radius = FOREGROUND_RADIUS;
  [left, top] = [Math.max(left - radius, 0), Math.max(top - radius, 0)];
  return { left, top, width: Math.min(right + radius + 1, width) - left, height: Math.min(bottom + radius + 1, height) - top };
}

function boxIndex(i, box, width) {
  const y = Math.floor(i / box.width);
  return (box.top + y) * width + box.left + i - y * box.width;
}

function cropPlane(plane, width, box) {
  const out = new Float32Array(box.width * box.height);
  for (let i = 0; i < out.length; i += 1) out[i] = plane[boxIndex(i, box, width)];
  return out;
}

/** Means over the square window of each pixel; beyond the border the plane is reflected, the last row only once. */
function boxMeans(plane, { width, height }) {
  const wide = new Float32Array(plane.length);
  for (let y = 0; y < height; y += 1) slidingMeans(plane, y * width, 1, width, wide);
  const out = new Float32Array(plane.length);
  for (let x = 0; x < width; x += 1) slidingMeans(wide, x, width, height, out);
  return out;
}

function slidingMeans(from, start, step, length, to) {
  const radius = FOREGROUND_RADIUS;
  const value = (position) => from[start + reflected(position, length) * step];
  let sum = 0;
  for (let position = -radius; position <= radius; position += 1) sum += value(position);
  for (let i = 0; i < length; i += 1) {
    to[start + i * step] = sum / (2 * radius + 1);
    sum += value(i + radius + 1) - value(i - radius);
  }
}

function reflected(position, length) {
  if (position >= 0 && position < length) return position;
  if (length === 1) return 0;
  const period = 2 * (length - 1);
  const inside = ((position % period) + period) % period;
  return inside < length ? inside : period - inside;
}

/** Places a cut-out (RGBA) over a background (channels 3 or 4, its opacity ignored) and returns RGB. */
function composite(cutout, background, channels) {
  const count = cutout.length / 4;
  const out = new Uint8Array(count * 3);
  for (let i = 0; i < count; i += 1) {
    const alpha = cutout[i * 4 + 3];
    for (let c = 0; c < 3; c += 1) {
      const mixed = cutout[i * 4 + c] * alpha + background[i * channels + c] * (255 - alpha);
      out[i * 3 + c] = Math.floor((mixed + 127) / 255);
    }
  }
  return out;
}

/** Resizes an image until it covers a size, and crops its center. */
function resizeToCover(image, width, height) {
  const factor = Math.max(height / image.height, width / image.width);
  const scaledWidth = Math.max(roundHalfEven(image.width * factor), width);
  const scaledHeight = Math.max(roundHalfEven(image.height * factor), height);
  const matrix = factor < 1 ? areaMatrix : cubicMatrix;
  const scaled = resizePixels(image, scaledWidth, scaledHeight, matrix, Uint8ClampedArray);
  const [top, left] = [(scaled.height - height) >> 1, (scaled.width - width) >> 1];
  const out = new Uint8ClampedArray(width * height * 4);
  for (let y = 0; y < height; y += 1) {
    const start = ((top + y) * scaled.width + left) * 4;
    out.set(scaled.pixels.subarray(start, start + width * 4), y * width * 4);
  }
  return out;
}

/**
 * Tints an image by class and draws the borders between classes; returns RGB.
 * @param plain a class that is not tinted, or -1
 */
function drawOverlay(image, classes, colorOf, plain, tint) {
  const { pixels, width, height } = image;
  const radius = Math.max(roundHalfEven(Math.max(width, height) / 900), 1);
  const line = classBorders(classes, width, height, radius);
  const out = new Uint8ClampedArray(width * height * 3);
  for (let i = 0; i < classes.length; i += 1) {
    const color = colorOf(classes[i]);
    for (let c = 0; c < 3; c += 1) {
      const old = pixels[i * 4 + c];
      if (classes[i] === plain) out[i * 3 + c] = old;
      else out[i * 3 + c] = line[i] ? color[c] : old * (1 - tint) + color[c] * tint;
    }
  }
  return out;
}

/** 1 where the square window of a pixel holds more than one class. */
function classBorders(classes, width, height, radius) {
  // Two passes: along a row the lowest and highest class of the window, then down a column those of these.
  const low = new Uint8Array(classes.length);
  const high = new Uint8Array(classes.length);
  const scan = (start, step, length, lows, highs, toLow, toHigh) => {
    for (let i = 0; i < length; i += 1) {
      let [least, most] = [255, 0];
      for (let j = Math.max(i - radius, 0); j <= Math.min(i + radius, length - 1); j += 1) {
        least = Math.min(least, lows[start + j * step]);
        most = Math.max(most, highs[start + j * step]);
      }
      toLow[start + i * step] = least;
      toHigh[start + i * step] = most;
    }
  };
  for (let y = 0; y < height; y += 1) scan(y * width, 1, width, classes, classes, low, high);
  const [lowest, highest] = [new Uint8Array(classes.length), new Uint8Array(classes.length)];
  for (let x = 0; x < width; x += 1) scan(x, width, height, low, high, lowest, highest);
  return lowest.map((least, i) => (least === highest[i] ? 0 : 1));
}
