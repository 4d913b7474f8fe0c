// The canvas: image, labels and the stroke being drawn, at any zoom.

const FARTHEST = 0.05;
const NEAREST = 40;

export class View {
  constructor(canvas, layer) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.layer = layer;
    this.image = null;
    this.zoom = 1; // pixels of the page for one of the view
    this.x = this.y = 0; // of the image's corner, in pixels of the page
    this.opacity = 0.6;
    this.hidden = false;
    this.sketches = []; // strokes that are drawn or on their way to the server
    this.cursor = null; // {x, y, radius} in pixels of the page
    new ResizeObserver(() => this.resize()).observe(canvas);
  }

  show(image) {
    this.image = image;
    this.fit();
  }

  resize() {
    const ratio = window.devicePixelRatio || 1;
    this.canvas.width = Math.max(1, Math.round(this.canvas.clientWidth * ratio));
    this.canvas.height = Math.max(1, Math.round(this.canvas.clientHeight * ratio));
    if (!this.moved) this.fit();
    this.request();
  }

  fit() {
    if (!this.image) return;
    const { clientWidth, clientHeight } = this.canvas;
    this.zoom = 0.96 * Math.min(clientWidth / this.image.width, clientHeight / this.image.height);
    this.x = (clientWidth - this.zoom * this.image.width) / 2;
    this.y = (clientHeight - this.zoom * this.image.height) / 2;
    this.moved = false;
    this.request();
  }

  zoomAt(x, y, factor) {
    const zoom = Math.min(NEAREST, Math.max(FARTHEST, this.zoom * factor));
    this.x = x - ((x - this.x) * zoom) / this.zoom;
    this.y = y - ((y - this.y) * zoom) / this.zoom;
    this.zoom = zoom;
    this.moved = true;
    this.request();
  }

  pan(x, y) {
    this.x += x;
    this.y += y;
    this.moved = true;
    this.request();
  }

  /** Converts pixels of the page to pixels of the view. */
  inside(x, y) {
    return [(x - this.x) / this.zoom, (y - this.y) / this.zoom];
  }

  request() {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => {
      this.waiting = false;
      this.draw();
    });
  }

  draw() {
    const { context, canvas } = this;
    const ratio = window.devicePixelRatio || 1;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, canvas.width, canvas.height);
    if (!this.image) return;
    const scale = ratio * this.zoom;
    context.setTransform(scale, 0, 0, scale, ratio * this.x, ratio * this.y);
    context.imageSmoothingEnabled = this.zoom < 3;
    context.imageSmoothingQuality = "high";
    context.drawImage(this.image, 0, 0);
    if (!this.hidden) {
      context.globalAlpha = Math.min(1, this.opacity * 1.4);
      context.drawImage(this.layer.canvas, 0, 0);
      context.globalAlpha = 1;
      for (const sketch of this.sketches) this.drawSketch(sketch);
    }
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    if (this.cursor) this.drawCursor();
  }

  drawSketch({ points, radius, color, closed }) {
    const { context } = this;
    context.strokeStyle = context.fillStyle = color;
    context.lineCap = context.lineJoin = "round";
    context.globalAlpha = closed === undefined ? 0.55 : 1;
    context.beginPath();
    points.forEach(([x, y]) => context.lineTo(x, y));
    if (closed === undefined) {
      context.lineWidth = 2 * radius;
      if (points.length === 1) context.lineTo(points[0][0] + 0.01, points[0][1]);
      context.stroke();
    } else {
      context.lineWidth = 2 / this.zoom;
      if (closed) context.closePath();
      context.stroke();
      for (const [x, y] of points) context.fillRect(x - 3 / this.zoom, y - 3 / this.zoom, 6 / this.zoom, 6 / this.zoom);
    }
    context.globalAlpha = 1;
  }

  drawCursor() {
    const { context } = this;
    const { x, y, radius } = this.cursor;
    for (const [color, width] of [["#000", 3], ["#fff", 1.25]]) {
      context.strokeStyle = color;
      context.lineWidth = width;
      context.beginPath();
      context.arc(x, y, Math.max(1.5, radius), 0, 2 * Math.PI);
      context.stroke();
    }
  }
}
