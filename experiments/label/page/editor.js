// Edits of the open image: strokes and polygons in hand, and the requests that save them.

import { decodeBase64, post } from "./api.js";
import { banner, report } from "./status.js";

const MOST_POINTS = 4000; // of a stroke; one has more only if it is drawn for minutes

export class Editor {
  constructor(settings, layer, view, changed) {
    this.settings = settings;
    this.layer = layer;
    this.view = view;
    this.changed = changed; // called when what the controls display has changed
    this.tool = { name: "brush", erase: false, snap: true, number: 1, radius: 30 };
    this.image = null; // what the server said of the open image
    this.readOnly = false;
    this.sketch = null; // the stroke or polygon in hand
    this.queue = Promise.resolve(); // edits are sent one after the other
  }

  get editable() {
    return this.image !== null && !this.readOnly;
  }

  /** Sends an edit after those before it, and shows what it changed. */
  send(request, shown = null) {
    if (!this.editable) return this.queue;
    const { number } = this.image;
    this.queue = this.queue.then(async () => {
      try {
        await this.take(number, await post(`api/edit/${number}`, request));
      } catch (error) {
        report(`not saved: ${error.message}`, true);
      }
      this.forget(shown);
    });
    return this.queue;
  }

  async take(number, facts) {
    const { patch, ...rest } = facts;
    if (patch && this.image.number === number) this.layer.patch(patch.x, patch.y, await decodeBase64(patch.png));
    if (this.image.number === number) this.image = rest;
    this.changed();
    report("saved");
    banner(null);
  }

  forget(sketch) {
    this.view.sketches = this.view.sketches.filter((other) => other !== sketch);
    this.view.request();
  }

  cancel() {
    this.forget(this.sketch);
    this.sketch = null;
  }

  /** Begins a stroke, or adds a corner to the polygon; returns whether movements belong to it. */
  start(x, y, right) {
    if (!this.editable) return false;
    const point = this.view.inside(x, y);
    const { name, number, radius } = this.tool;
    const erase = this.tool.erase || right;
    if (name === "island") {
      this.send({ tool: "island", class: number, points: this.inImage([point]) });
      return false;
    }
    if (name === "polygon" && this.sketch) {
      this.sketch.points.push(point);
    } else {
      const kind = name === "polygon" ? { closed: false } : { radius: radius / this.view.zoom };
      this.sketch = { points: [point], color: this.color(erase), erase, ...kind };
      this.view.sketches.push(this.sketch);
    }
    this.view.request();
    return name === "brush";
  }

  move(x, y) {
    this.sketch?.points.push(this.view.inside(x, y));
    this.view.request();
  }

  end() {
    const shown = this.sketch;
    this.sketch = null;
    if (!shown) return;
    const { number, snap } = this.tool;
    report(snap ? "finding the edges" : "saving");
    const points = this.inImage(thin(shown.points));
    const radius = shown.radius * this.pixelScale();
    this.send({ tool: "brush", class: number, erase: shown.erase, snap, radius, points }, shown);
  }

  /** Sends the polygon in hand; returns whether there was one. */
  closePolygon() {
    const shown = this.sketch;
    if (!shown || shown.closed === undefined) return false;
    this.sketch = null;
    shown.closed = true;
    if (shown.points.length < 3) this.forget(shown);
    else this.send({ tool: "polygon", class: this.tool.number, erase: shown.erase, points: this.inImage(shown.points) }, shown);
    this.view.request();
    return true;
  }

  pixelScale() {
    return this.image.width / this.image.view[0];
  }

  inImage(points) {
    const scale = this.pixelScale();
    return points.map(([x, y]) => [Math.round(x * scale * 10) / 10, Math.round(y * scale * 10) / 10]);
  }

  color(erase) {
    const [red, green, blue] = this.settings.colors[this.tool.number - 1];
    return erase ? "#ffffff" : `rgb(${red} ${green} ${blue})`;
  }
}

function thin(points) {
  const step = Math.ceil(points.length / MOST_POINTS);
  return points.filter((_, index) => index % step === 0 || index === points.length - 1);
}
