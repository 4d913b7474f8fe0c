"use strict";

/** The page: takes files, processes them one after the other, and shows the one that is selected. */
class Page {
  constructor(info) {
    this.engine = new Engine(info);
    this.view = new { segment: SegmentView, sr: EnlargeView, style: StyleView }[info.task](info);
    this.ask = (type, content) => this.engine.request(type, content, showProgress);
    this.items = []; // processed images: {key, file, address, data, made}
    this.queue = []; // work that waits: {name, task}
    this.current = null;
    this.busy = false;
    this.lastKey = 0;
    this.connectButtons();
    this.connectOptions();
    connectFiles((files) => this.add(files));
    connectCamera((file) => this.add([file]), showError);
  }

  connectButtons() {
    element("cancel").addEventListener("click", () => {
      this.queue.length = 0;
      this.engine.stop();
    });
    element("download").addEventListener("click", () => {
      const item = this.current;
      this.enqueue(item.file.name, async () => save(await this.view.download(item, this.ask)));
    });
    element("download-mask")?.addEventListener("click", () => save(this.view.mask(this.current)));
    element("strip").addEventListener("click", ({ target }) => {
      const button = target.closest("button");
      if (button) this.show(this.items[Number(button.dataset.number)]);
    });
  }

  connectOptions() {
    const paint = () => this.view.paint(this.current);
    element("controls").addEventListener("submit", (event) => event.preventDefault());
    element("controls").addEventListener("input", ({ target }) => {
      if (target.id === "actual") element("stage").classList.toggle("actual", target.checked);
      else if (["view", "chosen"].includes(target.name)) this.show(this.current);
      else if (target.type !== "file") paint();
    });
    element("color")?.addEventListener("input", () => {
      element("with-color").checked = true;
      paint();
    });
    element("background-file")?.addEventListener("change", ({ target }) => {
      if (target.files.length) this.view.setBackground(target.files[0]);
      target.value = "";
      paint();
    });
  }

  add(files) {
    showError("");
    for (const file of files) this.enqueue(file.name, () => this.process(file));
  }

  show(item) {
    this.enqueue(item.file.name, () => this.draw(item));
  }

  /** Does a piece of work when those before it are done. */
  enqueue(name, task) {
    this.queue.push({ name, task });
    if (!this.busy) this.work();
  }

  async work() {
    this.busy = true;
    while (this.queue.length) {
      const { name, task } = this.queue.shift();
      element("work-name").textContent = this.queue.length ? `${name} (${this.queue.length} more)` : name;
      const timer = setTimeout(() => (element("work").hidden = false), 150); // no flash where it is quick
      try {
        await task();
      } catch (error) {
        if (error instanceof Cancelled) say("Cancelled");
        else showError(error.message, true);
      }
      clearTimeout(timer);
    }
    element("work").hidden = true;
    this.busy = false;
  }

  async process(file) {
    this.lastKey += 1;
    const item = { key: this.lastKey, file, address: URL.createObjectURL(file), data: null, made: new Map() };
    await this.view.process(item, this.ask);
    this.items.push(item);
    await this.draw(item);
    say(`${file.name} is ready`);
  }

  async draw(item) {
    const { over, under, width, height } = await this.view.show(item, this.ask);
    this.current = item;
    element("over").src = over;
    element("under").hidden = !under;
    if (under) element("under").src = under;
    element("stage").style.setProperty("--ratio", width / height);
    element("stage").style.setProperty("--width", `${width / window.devicePixelRatio}px`);
    element("facts").textContent = `${item.file.name}: ${width} x ${height} pixels`;
    this.view.paint(item);
    this.drawStrip();
    element("result").hidden = false;
  }

  /** Lists the processed images as buttons if there are several. */
  drawStrip() {
    element("strip").hidden = this.items.length < 2;
    element("strip").replaceChildren(
      ...this.items.map((item, number) => {
        const button = create("button", { type: "button" });
        button.dataset.number = number;
        if (item === this.current) button.setAttribute("aria-current", "true");
        button.append(create("img", { src: item.address, alt: item.file.name }));
        const line = create("li");
        line.append(button);
        return line;
      }),
    );
  }
}

/** Takes files from the file field, from drag and drop, and from the clipboard. */
function connectFiles(add) {
  const zone = element("open");
  element("files").addEventListener("change", ({ target }) => {
    add([...target.files]);
    target.value = ""; // the same file can be chosen again
  });
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    zone.classList.add("over");
  });
  document.addEventListener("dragleave", (event) => event.relatedTarget || zone.classList.remove("over"));
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    zone.classList.remove("over");
    if (event.dataTransfer.files.length) add([...event.dataTransfer.files]);
    else showError("What was dropped is not a file. Save the image first, then drop the file.");
  });
  document.addEventListener("paste", (event) => {
    const files = [...event.clipboardData.files];
    if (files.length) add(files);
    else showError("The clipboard holds no image.");
  });
}

function showProgress({ text, done, total }) {
  const bar = element("progress");
  if (total > 1) Object.assign(bar, { max: total, value: done });
  else bar.removeAttribute("value");
  element("work-text").textContent = text;
}

/** Shows a message, below the ones before if `more` is set; an empty one clears them. */
function showError(message, more = false) {
  const box = element("error");
  box.textContent = more && box.textContent ? `${box.textContent}\n${message}` : message;
  box.hidden = !message;
}

/** Tells screen readers. */
function say(message) {
  element("status").textContent = message;
}

function save({ name, blob }) {
  const link = create("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

function fillAbout(info) {
  const tasks = { segment: "segmentation", sr: info.scale > 1 ? "super-resolution" : "restoration", style: "style transfer" };
  const lines = {
    Task: tasks[info.task],
    Network: `${info.name} (${info.network})`,
    ...(info.classes.length ? { [info.classes.length > 1 ? "Classes" : "Class"]: info.classes.join(", ") } : {}),
    Trained: `${info.epochs} ${info.epochs === 1 ? "epoch" : "epochs"}; checkpoint of ${info.saved.replaceAll("-", "\u2011")}`,
    Software: `Darkroom ${info.darkroom}, onnxruntime-web ${info.ort} (MIT License)`,
  };
  element("about").replaceChildren(
    ...Object.entries(lines).flatMap(([name, text]) => [
      create("dt", { textContent: name }),
      create("dd", { textContent: text }),
    ]),
  );
}

/** Starts the page, unless the browser lacks something. Returns null then. */
function start() {
  const info = JSON.parse(textOf("info"));
  for (const part of document.querySelectorAll("[data-task]")) if (part.dataset.task !== info.task) part.remove();
  fillAbout(info);
  const missing = findMissing();
  if (!missing) return new Page(info);
  showError(missing);
  element("open").hidden = true;
  return null;
}

const page = start();
