// The label map as a colored layer over the image.

const FILL = 150; // opacity of labels, of 255
const SUGGESTED_FILL = 85; // opacity of what only the network has said
const BACKGROUND = [0, 0, 0, 70]; // pixels labeled as background in an image that is not finished

export class Layer {
  constructor(settings) {
    this.settings = settings;
    this.canvas = document.createElement("canvas");
    this.context = this.canvas.getContext("2d");
    this.labels = new Uint8Array(0);
    this.width = this.height = 0;
    this.showBackground = false;
  }

  load(bitmap) {
    this.width = this.canvas.width = bitmap.width;
    this.height = this.canvas.height = bitmap.height;
    this.labels = numbers(bitmap);
    this.draw(0, 0, this.width, this.height);
  }

  patch(x, y, bitmap) {
    const values = numbers(bitmap);
    for (let row = 0; row < bitmap.height; row++) {
      const part = values.subarray(row * bitmap.width, (row + 1) * bitmap.width);
      this.labels.set(part, (y + row) * this.width + x);
    }
    this.draw(x - 1, y - 1, bitmap.width + 2, bitmap.height + 2); // outlines of neighboring pixels change too
  }

  setShowBackground(show) {
    if (show === this.showBackground) return;
    this.showBackground = show;
    this.draw(0, 0, this.width, this.height);
  }

  draw(left, top, width, height) {
    const right = Math.min(this.width, left + width);
    const bottom = Math.min(this.height, top + height);
    left = Math.max(0, left);
    top = Math.max(0, top);
    if (right <= left || bottom <= top) return;
    const image = this.context.createImageData(right - left, bottom - top);
    let position = 0;
    for (let y = top; y < bottom; y++) {
      for (let x = left; x < right; x++, position += 4) this.color(x, y, image.data, position);
    }
    this.context.putImageData(image, left, top);
  }

  color(x, y, data, position) {
    const { colors, unknown, suggested } = this.settings;
    const index = y * this.width + x;
    const label = this.labels[index];
    if (label === unknown) return;
    if (label === 0) {
      if (this.showBackground && (x + y) % 12 < 3) data.set(BACKGROUND, position);
      return;
    }
    const number = label > suggested ? label - suggested : label;
    const inside =
      (x === 0 || same(this.labels[index - 1], number, suggested)) &&
      (y === 0 || same(this.labels[index - this.width], number, suggested)) &&
      (x === this.width - 1 || same(this.labels[index + 1], number, suggested)) &&
      (y === this.height - 1 || same(this.labels[index + this.width], number, suggested));
    const dashed = label > suggested && (x + y) % 10 > 5;
    const [red, green, blue] = colors[number - 1] ?? [255, 255, 255];
    data[position] = red;
    data[position + 1] = green;
    data[position + 2] = blue;
    data[position + 3] = inside || dashed ? (label > suggested ? SUGGESTED_FILL : FILL) : 255;
  }
}

function same(label, number, suggested) {
  return label === number || label === number + suggested;
}

function numbers(bitmap) {
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  const pixels = context.getImageData(0, 0, bitmap.width, bitmap.height).data;
  const values = new Uint8Array(bitmap.width * bitmap.height);
  for (let index = 0; index < values.length; index++) values[index] = pixels[4 * index];
  return values;
}
