"use strict";

// What the page asks for. A request is {id, type, ...}; the answer is {id, result} or {id, failure}, after any number of
// {id, done, total, text}. To cancel, the page ends this worker.

let info = null; // description of the network, by the page
const kept = { key: null, image: null, extras: null, cutoutKey: null, cutout: null }; // of the image that was used last

const HANDLERS = { load, segment, cutout, overlay, backdrop, restore, blend };

self.onmessage = async ({ data }) => {
  const { id, type } = data;
  const report = (text, done = 0, total = 0) => self.postMessage({ id, text, done, total });
  try {
    self.postMessage({ id, result: await HANDLERS[type](data, report) });
  } catch (error) {
    self.postMessage({ id, failure: describeFailure(error) });
  }
};

async function load(request) {
  info = request.info;
  await loadNetwork(request);
  return {};
}

/** Decodes the image of a request, unless it is the last one. */
async function open({ key, file }) {
  if (kept.key !== key) {
    Object.assign(kept, { key: null, image: null, cutoutKey: null, cutout: null });
    const extras = await readExtras(file);
    Object.assign(kept, { image: await readImage(file, info.task === "segment"), extras, key });
  }
  return kept;
}

/** Runs the network, and decides the classes at the size of the image. */
async function segment(request, report) {
  report("Reading the image");
  const { image } = await open(request);
  const { width, height } = image;
  const { size, classes, threshold, palette } = info;
  report("Segmenting");
  const small = resizeImage(image, size, size);
  const [probs] = await runNetwork(toInput(small, 0, 0, size, size), size, size);
  report("Drawing the mask");
  const decided = decideClasses(probs, size, classes.length, width, height, threshold);
  const counts = new Array(Math.max(classes.length, 2)).fill(0);
  for (const number of decided) counts[number] += 1;
  const several = classes.length > 1;
  const values = several ? decided : decided.map((value) => value * 255);
  const mask = await encodePng(values, { width, height, channels: 1, palette: several ? palette : null });
  const shares = (several ? counts : counts.slice(1)).map((count) => count / decided.length);
  return { width, height, probs, mask, shares };
}

/** Cuts the chosen classes out. */
async function cutout(request, report) {
  report("Cutting out");
  const { image, extras } = await open(request);
  const pixels = cutoutPixels(request, image);
  return { png: await encodePng(pixels, { width: image.width, height: image.height, channels: 4, profile: extras.profile }) };
}

function cutoutPixels({ key, probs, chosen }, image) {
  const cutoutKey = `${key} ${chosen}`;
  if (kept.cutoutKey !== cutoutKey) {
    const { size, classes, threshold, edgeWidth } = info;
    const middle = classes.length === 1 ? threshold : 0.5;
    const alpha = softAlpha(probs, size, chosen, image.width, image.height, middle, edgeWidth);
    kept.cutout = makeCutout(image, alpha);
    kept.cutoutKey = cutoutKey;
  }
  return kept.cutout;
}

/** Tints the image by class. */
async function overlay(request, report) {
  report("Drawing the classes");
  const { image, extras } = await open(request);
  const { width, height } = image;
  const { size, classes, threshold, palette, tint } = info;
  const decided = decideClasses(request.probs, size, classes.length, width, height, threshold);
  const several = classes.length > 1;
  const colorOf = several ? (number) => palette[number] : () => palette[0];
  const pixels = drawOverlay(image, decided, colorOf, several ? -1 : 0, tint);
  return { png: await encodePng(pixels, { width, height, channels: 3, profile: extras.profile }) };
}

/** Places the cut-out over a color, [r, g, b], or an image file. */
async function backdrop(request, report) {
  report("Placing the background");
  const behind = request.background instanceof Blob ? await readImage(request.background, true) : null;
  const { image, extras } = await open(request);
  const { width, height } = image;
  const pixels = cutoutPixels(request, image);
  const channels = behind ? 4 : 3;
  const background = behind ? resizeToCover(behind, width, height) : plainPixels(request.background, width * height);
  const mixed = composite(pixels, background, channels);
  return { png: await encodePng(mixed, { width, height, channels: 3, profile: extras.profile }) };
}

function plainPixels(color, count) {
  const pixels = new Uint8Array(count * 3);
  for (let i = 0; i < pixels.length; i += 1) pixels[i] = color[i % 3];
  return pixels;
}

const PREVIEW_PIXELS = 24e6;

/** Enlarges, restores or stylizes an image, in tiles. */
async function restore(request, report) {
  report("Reading the image");
  const { image, extras } = await open(request);
  const { scale } = info;
  const [width, height] = [image.width * scale, image.height * scale];
  const rows = new RowFormat(image, extras, scale);
  const options = { width, channels: rows.channels, profile: extras.profile };
  const png = new PngWriter({ ...options, height });
  const factor = Math.ceil(Math.sqrt((width * height) / PREVIEW_PIXELS));
  const small = { width: Math.floor(width / factor), height: Math.floor(height / factor) };
  const preview = factor > 1 ? new PngWriter({ ...options, ...small }) : null;
  const means = preview && new BlockMeans(width, rows.channels, factor, (row) => preview.add(row));
  const colors = []; // what `blend` needs: RGB rows
  await processTiles(image, report, async (rgb) => {
    if (request.keepColors) colors.push(rgb);
    const formatted = rows.format(rgb);
    await png.add(formatted);
    if (means) await means.add(formatted);
  });
  const file = await png.finish();
  return { width, height, png: file, preview: preview ? await preview.finish() : file, colors: new Blob(colors) };
}

async function processTiles(image, report, emit) {
  const { whole, measure, tile, overlap, multiple, scale, statistics } = info;
  const longest = Math.max(image.width, image.height);
  const divided = whole > 0 && longest > whole;
  const tiling = divided ? { tile, overlap, multiple, scale } : { tile: longest, overlap: 0, multiple: 1, scale };
  const measures = divided && statistics > 0 ? 1 : 0;
  const total = countTiles(image, tiling) + measures;
  let done = 0;
  const step = () => report(total > 1 ? `Part ${Math.min(done + 1, total)} of ${total}` : "Running the network", done, total);
  step();
  let others = statistics > 0 ? { statistics: new Float32Array(statistics), given: Float32Array.of(0) } : {};
  if (measures) {
    others = { statistics: await measureStatistics(image, measure, others), given: Float32Array.of(1) };
    done += 1;
    step();
  }
  const run = async (x, y, width, height) => {
    const [result] = await runNetwork(toInput(image, x, y, width, height), width, height, others);
    done += 1;
    step();
    return result;
  };
  await tiledInference(image, tiling, run, emit);
}

/** Statistics of the instance norms for the whole image, downscaled to one tile, as `shared_statistics`. */
async function measureStatistics(image, side, others) {
  const shrink = side / Math.max(image.width, image.height);
  const [width, height] = [image.width, image.height].map((length) => Math.max(1, roundHalfEven(length * shrink)));
  const small = resizePixels(image, width, height, linearMatrix, Float32Array);
  const [, statistics] = await runNetwork(toInput(small, 0, 0, width, height), width, height, others);
  return statistics;
}

/** Blends the stylized image with the original. */
async function blend(request, report) {
  report("Blending");
  const { image, extras } = await open(request);
  const { width, height, pixels } = image;
  const stylized = new Uint8Array(await request.colors.arrayBuffer());
  const rows = new RowFormat(image, extras, 1);
  const png = new PngWriter({ width, height, channels: rows.channels, profile: extras.profile });
  for (let start = 0; start < height; start += ROWS_AT_ONCE) {
    const end = Math.min(start + ROWS_AT_ONCE, height);
    const rgb = new Uint8ClampedArray((end - start) * width * 3);
    for (let i = 0; i < rgb.length; i += 1) {
      const at = start * width * 3 + i;
      const old = pixels[Math.floor(at / 3) * 4 + (at % 3)];
      rgb[i] = old + request.strength * (stylized[at] - old);
    }
    await png.add(rows.format(rgb));
  }
  return { png: await png.finish() };
}

/** Gives rows of a result the channels of the original: gray if it is, with its alpha resized. */
class RowFormat {
  constructor(image, { gray }, scale) {
    this.gray = gray;
    this.width = image.width * scale;
    this.channels = (gray ? 1 : 3) + (image.transparent ? 1 : 0);
    this.y = 0;
    this.alpha = null;
    if (image.transparent) {
      const plane = Float32Array.from({ length: image.width * image.height }, (_, i) => image.pixels[i * 4 + 3]);
      this.alpha = new ResizedPlane(plane, image.width, image.height, this.width, image.height * scale, cubicMatrix);
    }
  }

  format(rgb) {
    const { width, channels, gray, alpha } = this;
    if (!gray && !alpha) {
      this.y += rgb.length / 3 / width;
      return rgb;
    }
    const out = new Uint8ClampedArray((rgb.length / 3) * channels);
    const opacity = new Float32Array(width);
    for (let start = 0; start < rgb.length / 3; start += width, this.y += 1) {
      if (alpha) alpha.row(this.y, opacity);
      for (let x = 0; x < width; x += 1) {
        const [from, to] = [(start + x) * 3, (start + x) * channels];
        if (gray) out[to] = (rgb[from] + rgb[from + 1] + rgb[from + 2]) / 3;
        else for (let c = 0; c < 3; c += 1) out[to + c] = rgb[from + c];
        if (alpha) out[to + channels - 1] = opacity[x];
      }
    }
    return out;
  }
}
