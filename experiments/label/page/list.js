// The list of images: only the visible rows exist, so that thousands scroll.

const ROW = 40; // height in pixels, as in style.css
const WORDS = { none: "not labeled", suggested: "suggested", partly: "partly labeled", done: "done" };

export class ImageList {
  constructor(box, rows, choose) {
    this.box = box;
    this.rows = rows;
    this.items = [];
    this.order = [];
    this.selected = -1;
    this.filter = "all";
    box.addEventListener("scroll", () => this.draw());
    new ResizeObserver(() => this.draw()).observe(box);
    rows.addEventListener("click", (event) => {
      const row = event.target.closest(".item");
      if (row) choose(Number(row.dataset.number));
    });
    box.addEventListener("keydown", (event) => {
      const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (!step) return;
      event.preventDefault();
      const next = this.order[this.order.indexOf(this.selected) + step];
      if (next !== undefined) choose(next);
    });
  }

  update(changed) {
    for (const [number, name, state, doubt, heldOut] of changed) {
      this.items[number] = { number, name, state, doubt, heldOut };
    }
    this.arrange();
  }

  show(filter) {
    this.filter = filter;
    this.arrange();
    this.box.scrollTop = 0;
  }

  arrange() {
    const fits = {
      all: () => true,
      open: (item) => item.state !== "done",
      suggested: (item) => item.doubt !== null,
      done: (item) => item.state === "done",
    }[this.filter];
    const fitting = this.items.filter(fits);
    if (this.filter === "suggested") fitting.sort((first, second) => second.doubt - first.doubt);
    this.order = fitting.map((item) => item.number);
    this.rows.style.height = `${this.order.length * ROW}px`;
    this.draw();
  }

  select(number) {
    this.selected = number;
    const place = this.order.indexOf(number) * ROW;
    if (place >= 0 && (place < this.box.scrollTop || place + ROW > this.box.scrollTop + this.box.clientHeight)) {
      this.box.scrollTop = place - this.box.clientHeight / 2;
    }
    this.draw();
  }

  /** Counts of images by state. */
  counts() {
    const done = this.items.filter((item) => item.state === "done").length;
    return { done, all: this.items.length };
  }

  draw() {
    const first = Math.max(0, Math.floor(this.box.scrollTop / ROW) - 2);
    const last = Math.min(this.order.length, first + Math.ceil(this.box.clientHeight / ROW) + 5);
    this.rows.replaceChildren(...this.order.slice(first, last).map((number, index) => this.row(number, first + index)));
    const current = this.rows.querySelector('[aria-selected="true"]');
    if (current) this.box.setAttribute("aria-activedescendant", current.id);
  }

  row(number, position) {
    const item = this.items[number];
    const state = item.state === "none" && item.doubt !== null ? "suggested" : item.state;
    const row = element("div", "item");
    row.id = `image-${number}`;
    row.dataset.number = number;
    row.style.top = `${position * ROW}px`;
    row.title = item.name;
    row.setAttribute("role", "option");
    row.setAttribute("aria-selected", String(number === this.selected));
    row.setAttribute("aria-setsize", this.order.length);
    row.setAttribute("aria-posinset", position + 1);
    const doubt = item.doubt === null ? "" : `, doubt ${percent(item.doubt)}`;
    row.setAttribute("aria-label", `${item.name}, ${WORDS[state]}${doubt}`);
    const note = element("span", "note");
    note.textContent = item.doubt === null ? (item.state === "done" && item.heldOut ? "validation" : "") : `? ${percent(item.doubt)}`;
    const name = element("span", "name");
    name.textContent = item.name;
    row.append(element("span", `dot ${state}`), name, note);
    return row;
  }
}

export function stateText(item) {
  return WORDS[item.state === "none" && item.doubt !== null ? "suggested" : item.state];
}

function percent(value) {
  return `${(100 * value).toFixed(1)} %`;
}

function element(tag, name) {
  const made = document.createElement(tag);
  made.className = name;
  return made;
}
