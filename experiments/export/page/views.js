"use strict";

// What each task does with an image and how it shows the result. A view has
//   process(item, ask)   computes item.data; `ask(type, content)` sends a request to the worker
//   show(item, ask)      returns {over, under, width, height}: addresses of the images to show, and their size
//   paint(item)          applies the options that need no computation
//   download(item, ask)  returns {name, blob}, the file to save

const element = (id) => document.getElementById(id);
const checked = (name) => document.querySelector(`input[name="${name}"]:checked`).value;
const create = (tag, properties = {}) => Object.assign(document.createElement(tag), properties);
const stem = (file) => file.name.replace(/\.[^.]*$/, "") || "image";

class SegmentView {
  constructor(info) {
    this.info = info;
    this.several = info.classes.length > 1;
    this.backgroundFile = null;
    this.backgroundAddress = "";
    if (this.several) document.querySelector('input[name="view"][value="overlay"]').checked = true;
    element("classes-hint").hidden = !this.several;
    this.fillLegend();
  }

  fillLegend() {
    const { classes, palette } = this.info;
    element("legend").replaceChildren(
      ...classes.map((name, number) => {
        const box = create("input", { type: "checkbox", name: "chosen", value: number });
        box.checked = !this.several;
        box.hidden = !this.several;
        const swatch = create("span", { className: "swatch" });
        swatch.style.background = `rgb(${palette[number].join(" ")})`;
        const text = create("span", { className: "class-name", textContent: name });
        const share = create("span", { className: "share", id: `share-${number}` });
        const row = create(this.several ? "label" : "div");
        if (!this.several) row.className = "row";
        row.append(box, swatch, text, share);
        const line = create("li");
        line.append(row);
        return line;
      }),
    );
  }

  get chosen() {
    return [...document.querySelectorAll('input[name="chosen"]:checked')].map((box) => Number(box.value));
  }

  async process(item, ask) {
    item.data = await ask("segment", this.request(item));
    if (this.several && this.chosen.length === 0) this.chooseLargest(item.data.shares);
  }

  chooseLargest(shares) {
    const largest = shares.indexOf(Math.max(...shares));
    document.querySelector(`input[name="chosen"][value="${largest}"]`).checked = true;
  }

  request(item) {
    return { key: item.key, file: item.file, probs: item.data?.probs, chosen: this.chosen };
  }

  /** Makes a cut-out or an overlay, once for every choice of classes; returns {png, address}. */
  async make(item, kind, ask) {
    const key = kind === "cutout" ? `cutout ${this.chosen}` : kind;
    if (!item.made.has(key)) {
      const { png } = await ask(kind, this.request(item));
      item.made.set(key, { png, address: URL.createObjectURL(png) });
    }
    return item.made.get(key);
  }

  async show(item, ask) {
    const { width, height } = item.data;
    const view = checked("view");
    if (view === "original") return { over: item.address, width, height };
    const { address } = await this.make(item, view, ask);
    return { over: address, width, height };
  }

  paint(item) {
    const [frame, kind, cut] = [element("frame"), checked("background"), checked("view") === "cutout"];
    element("backgrounds").hidden = !cut;
    frame.classList.toggle("checker", cut && kind === "none");
    frame.style.backgroundColor = cut && kind === "color" ? element("color").value : "";
    frame.style.backgroundImage = cut && kind === "image" && this.backgroundFile ? `url("${this.backgroundAddress}")` : "";
    item.data.shares.forEach((share, number) => {
      element(`share-${number}`).textContent = `${(share * 100).toFixed(1)} %`;
    });
    const what = { cutout: "Cut-out", overlay: "Mask over image", original: "Original" }[checked("view")];
    element("over").alt = `${what}: ${item.file.name}`;
    element("download").textContent = cut && kind !== "none" ? "Download image" : "Download cut-out";
  }

  async download(item, ask) {
    const kind = checked("background");
    if (kind === "none" || checked("view") !== "cutout" || (kind === "image" && !this.backgroundFile)) {
      return { name: `${stem(item.file)}-cutout.png`, blob: (await this.make(item, "cutout", ask)).png };
    }
    const color = element("color").value;
    const rgb = [1, 3, 5].map((start) => parseInt(color.slice(start, start + 2), 16));
    const background = kind === "image" ? this.backgroundFile : rgb;
    const { png } = await ask("backdrop", { ...this.request(item), background });
    return { name: `${stem(item.file)}-composite.png`, blob: png };
  }

  mask(item) {
    return { name: `${stem(item.file)}-mask.png`, blob: item.data.mask };
  }

  setBackground(file) {
    URL.revokeObjectURL(this.backgroundAddress);
    this.backgroundFile = file;
    this.backgroundAddress = URL.createObjectURL(file);
    element("with-image").checked = true;
  }
}

/** What super-resolution, restoration and style have in common. */
class RestoreView {
  constructor(info) {
    this.info = info;
  }

  async process(item, ask) {
    item.data = await ask("restore", { key: item.key, file: item.file, keepColors: this.info.task === "style" });
    item.previewAddress = URL.createObjectURL(item.data.preview);
  }

  async show(item) {
    const { width, height } = item.data;
    return { over: item.previewAddress, under: item.address, width, height };
  }
}

class EnlargeView extends RestoreView {
  constructor(info) {
    super(info);
    element("stage").classList.add("compare");
    for (const id of ["divider", "before", "after"]) element(id).hidden = false;
    const split = element("split");
    split.addEventListener("input", () => element("stage").style.setProperty("--split", `${split.value}%`));
    const follow = (event) => {
      if (element("actual").checked) return; // dragging scrolls there
      const box = element("frame").getBoundingClientRect();
      split.value = (100 * (event.clientX - box.left)) / box.width;
      split.dispatchEvent(new Event("input"));
    };
    element("stage").addEventListener("pointerdown", (event) => {
      element("stage").setPointerCapture(event.pointerId);
      follow(event);
    });
    element("stage").addEventListener("pointermove", (event) => event.buttons && follow(event));
  }

  paint(item) {
    element("over").alt = `Result: ${item.file.name}`;
    element("under").alt = `Original: ${item.file.name}`;
  }

  download(item) {
    const suffix = this.info.scale > 1 ? `${this.info.scale}x` : "restored";
    return { name: `${stem(item.file)}-${suffix}.png`, blob: item.data.png };
  }
}

class StyleView extends RestoreView {
  get strength() {
    return Number(element("strength").value) / 100;
  }

  paint(item) {
    element("over").alt = `Stylized: ${item.file.name}`;
    element("over").style.opacity = this.strength;
    element("strength-value").textContent = `${Math.round(this.strength * 100)} %`;
  }

  async download(item, ask) {
    const name = `${stem(item.file)}-stylized.png`;
    const { strength } = this;
    if (strength === 1) return { name, blob: item.data.png };
    const content = { key: item.key, file: item.file, colors: item.data.colors, strength };
    return { name, blob: (await ask("blend", content)).png };
  }
}
