// The toolbar and the buttons: what they display, and what they change.

import { find, report } from "./status.js";

const SMALLEST = 1; // radius of the brush in pixels of the page
const LARGEST = 200;

export class Controls {
  constructor(settings, editor, view) {
    this.settings = settings;
    this.editor = editor;
    this.view = view;
    settings.classes.forEach((name, index) => find("classes").append(this.classButton(name, index)));
    for (const button of document.querySelectorAll("[data-tool]")) {
      button.addEventListener("click", () => this.choose(button.dataset.tool));
    }
    find("size").addEventListener("input", (event) => this.setRadius(Number(event.target.value)));
    find("opacity").addEventListener("input", (event) => this.setOpacity(Number(event.target.value)));
  }

  refresh() {
    const { image, tool, readOnly } = this.editor;
    find("title").textContent = image ? `${image.number + 1} of ${this.settings.count}: ${image.name}` : "";
    find("undo").disabled = readOnly || !image?.undo;
    find("redo").disabled = readOnly || !image?.redo;
    find("done").disabled = find("holes").disabled = readOnly || !image;
    find("dismiss").hidden = !image || (!image.suggested && !image.dismissed) || image.state === "done";
    find("dismiss").textContent = image?.dismissed ? "Show suggestion" : "Discard suggestion";
    press("erase", tool.erase);
    press("snap", tool.snap);
    press("compare", this.view.hidden);
    find("size").value = find("size-value").textContent = Math.round(tool.radius);
    for (const button of document.querySelectorAll("[data-tool]")) {
      button.setAttribute("aria-pressed", String(button.dataset.tool === tool.name));
    }
    for (const button of document.querySelectorAll("[data-class]")) {
      button.setAttribute("aria-checked", String(Number(button.dataset.class) === tool.number));
    }
    this.editor.layer.setShowBackground(image?.state === "partly");
    this.view.request();
  }

  choose(name) {
    if (name !== this.editor.tool.name) this.editor.cancel();
    this.editor.tool.name = name;
    if (name !== "brush") this.view.cursor = null;
    this.refresh();
    report(`tool: ${name}`);
  }

  chooseClass(number) {
    this.editor.tool.number = number;
    this.refresh();
    report(`class: ${this.settings.classes[number - 1]}`);
  }

  setRadius(radius) {
    const { tool } = this.editor;
    tool.radius = Math.min(LARGEST, Math.max(SMALLEST, radius));
    if (this.view.cursor) this.view.cursor.radius = tool.radius;
    this.refresh();
  }

  smaller() {
    this.setRadius(this.editor.tool.radius / 1.2);
  }

  larger() {
    const { radius } = this.editor.tool;
    this.setRadius(Math.max(radius + 1, radius * 1.2));
  }

  setOpacity(percent) {
    this.view.opacity = percent / 100;
    find("opacity").value = percent;
    this.view.request();
  }

  nextOpacity() {
    this.setOpacity((Math.round(this.view.opacity * 100) + 25) % 125);
  }

  toggleErase() {
    const { tool } = this.editor;
    tool.erase = !tool.erase;
    this.refresh();
    report(tool.erase ? "taking away" : "adding");
  }

  toggleSnap() {
    const { tool } = this.editor;
    tool.snap = !tool.snap;
    this.refresh();
    report(tool.snap ? "strokes snap to edges" : "raw brush");
  }

  toggleMask() {
    this.view.hidden = !this.view.hidden;
    this.refresh();
    report(this.view.hidden ? "mask hidden" : "mask shown");
  }

  classButton(name, index) {
    const button = document.createElement("button");
    const swatch = document.createElement("span");
    swatch.className = "swatch";
    swatch.style.background = `rgb(${this.settings.colors[index].join(" ")})`;
    button.append(swatch, name);
    button.dataset.class = index + 1;
    button.setAttribute("role", "radio");
    button.title = `Class ${name} (${index + 1})`;
    button.addEventListener("click", () => this.chooseClass(index + 1));
    return button;
  }
}

function press(id, pressed) {
  find(id).setAttribute("aria-pressed", String(pressed));
}
