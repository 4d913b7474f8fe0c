"use strict";

/**
 * Decodes an image upright and without conversion of its colors, as `predict` does.
 * @param white whether transparent parts become white
 * @returns {pixels, width, height, channels: 4, transparent}
 */
async function readImage(file, white) {
  // Upright is the default; its name in this call has changed over the years.
  const options = { premultiplyAlpha: "none", colorSpaceConversion: "none" };
  let bitmap;
  try {
    bitmap = await createImageBitmap(file, options);
  } catch {
    throw new Failure("unreadable", `${file.name} cannot be read by this browser. Save it as JPEG, PNG or WebP.`);
  }
  const { width, height } = bitmap;
  try {
    const canvas = new OffscreenCanvas(width, height);
    const context = canvas.getContext("2d", { willReadFrequently: true });
    if (white) {
      context.fillStyle = "white";
      context.fillRect(0, 0, width, height);
    }
    context.drawImage(bitmap, 0, 0);
    const pixels = context.getImageData(0, 0, width, height).data;
    return { pixels, width, height, channels: 4, transparent: hasTransparency(pixels) };
  } catch {
    const size = `${width} x ${height} pixels`;
    throw new Failure("memory", `${file.name} has ${size}, more than this browser can decode. Make it smaller first.`);
  } finally {
    bitmap.close();
  }
}

function hasTransparency(pixels) {
  for (let i = 3; i < pixels.length; i += 4) if (pixels[i] !== 255) return true;
  return false;
}

/** What a file has besides its pixels: whether it is gray, and its color profile (ICC), if any. */
async function readExtras(file) {
  const bytes = new Uint8Array(await file.arrayBuffer());
  const view = new DataView(bytes.buffer);
  try {
    if (view.getUint32(0) === 0x89504e47) return await pngExtras(bytes, view);
    if (view.getUint16(0) === 0xffd8) return jpegExtras(bytes, view);
    if (latin(bytes, 0, 4) === "RIFF" && latin(bytes, 8, 12) === "WEBP") return webpExtras(bytes, view);
  } catch (error) {
    if (!(error instanceof RangeError || error instanceof TypeError)) throw error; // a file that ends too early
  }
  return { gray: false, profile: null };
}

const latin = (bytes, start, end) => String.fromCharCode(...bytes.subarray(start, end));

async function pngExtras(bytes, view) {
  const gray = (bytes[25] & 2) === 0; // bit 1 of the color type: colors
  for (let at = 8; at + 8 < bytes.length; at += view.getUint32(at) + 12) {
    const kind = latin(bytes, at + 4, at + 8);
    if (kind === "IDAT") break;
    if (kind === "iCCP") {
      const content = bytes.subarray(at + 8, at + 8 + view.getUint32(at));
      return { gray, profile: await transform(content.subarray(content.indexOf(0) + 2), new DecompressionStream("deflate")) };
    }
  }
  return { gray, profile: null };
}

function jpegExtras(bytes, view) {
  const parts = [];
  for (let at = 2; bytes[at] === 0xff; at += 2 + view.getUint16(at + 2)) {
    const marker = bytes[at + 1];
    const end = at + 2 + view.getUint16(at + 2);
    if (marker === 0xe2 && latin(bytes, at + 4, at + 15) === "ICC_PROFILE") parts[bytes[at + 16]] = bytes.slice(at + 18, end);
    // Frame headers; the three others of these numbers are tables.
    if (marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker)) {
      const components = bytes[at + 9];
      const profile = parts.length && components !== 4 ? joinBytes(parts.filter(Boolean)) : null;
      return { gray: components === 1, profile };
    }
  }
  return { gray: false, profile: null };
}

function webpExtras(bytes, view) {
  for (let at = 12; at + 8 < bytes.length; ) {
    const length = view.getUint32(at + 4, true);
    if (latin(bytes, at, at + 4) === "ICCP") return { gray: false, profile: bytes.slice(at + 8, at + 8 + length) };
    at += 8 + length + (length % 2);
  }
  return { gray: false, profile: null };
}

function joinBytes(parts) {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** Sends bytes through a compression or decompression stream. */
async function transform(bytes, stream) {
  return new Uint8Array(await new Response(new Blob([bytes]).stream().pipeThrough(stream)).arrayBuffer());
}
