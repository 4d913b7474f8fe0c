// Wires the page: state, tools, keys and requests.

import { bitmap, decodeBase64, get, page, post } from "./api.js";
import { Layer } from "./layers.js";
import { ImageList, stateText } from "./list.js";
import { listen } from "./pointer.js";
import { Training } from "./training.js";
import { View } from "./view.js";

const POLL = 2000; // milliseconds
const find = (id) => document.getElementById(id);
const settings = await get("api/folder");
const layer = new Layer(settings);
const view = new View(find("canvas"), layer);
const list = new ImageList(find("list"), find("rows"), (number) => open(number));
const training = new Training(report);
const tool = { name: "brush", erase: false, snap: true, number: 1, radius: 20 };
let image = null; // what the server said of the open image
let revision = 0;
let readOnly = false;
let sketch = null; // the stroke or polygon in hand
let queue = Promise.resolve(); // edits are sent one after the other
let opening = 0;
let outdated = null; // number of the open image if a round has predicted it again

function report(text, bad = false) {
  find("status").textContent = text;
  if (bad) banner(text);
}

function banner(text) {
  find("banner").textContent = text ?? "";
  find("banner").hidden = !text;
}

async function open(number) {
  const ticket = ++opening;
  await queue;
  cancelSketch();
  try {
    const facts = await get(`api/open/${number}`);
    const [picture, labels] = await Promise.all([bitmap(`api/image/${number}`), bitmap(`api/labels/${number}`)]);
    if (ticket !== opening) return;
    const first = image === null || image.number !== number;
    image = facts;
    layer.showBackground = facts.state === "partly";
    layer.load(labels);
    if (first) view.show(picture);
    else view.request();
    if (!readOnly) banner(null);
    refresh();
    report(`${facts.name}: ${stateText(list.items[number])}`);
  } catch (error) {
    if (ticket !== opening) return;
    banner(error.message);
  }
  list.select(number);
  find("side").classList.remove("open");
  find("drawer").setAttribute("aria-expanded", "false");
}

function refresh() {
  find("title").textContent = image ? `${image.number + 1} of ${settings.count}: ${image.name}` : "";
  find("undo").disabled = readOnly || !image?.undo;
  find("redo").disabled = readOnly || !image?.redo;
  find("done").disabled = find("holes").disabled = readOnly || !image;
  find("dismiss").hidden = !image || (!image.suggested && !image.dismissed) || image.state === "done";
  find("dismiss").textContent = image?.dismissed ? "Show suggestion" : "Discard suggestion";
  find("erase").setAttribute("aria-pressed", String(tool.erase));
  find("snap").setAttribute("aria-pressed", String(tool.snap));
  find("compare").setAttribute("aria-pressed", String(view.hidden));
  find("size").value = find("size-value").textContent = Math.round(tool.radius);
  for (const button of document.querySelectorAll("[data-tool]")) {
    button.setAttribute("aria-pressed", String(button.dataset.tool === tool.name));
  }
  for (const button of document.querySelectorAll("[data-class]")) {
    button.setAttribute("aria-checked", String(Number(button.dataset.class) === tool.number));
  }
  layer.setShowBackground(image?.state === "partly");
  view.request();
}

/** Sends an edit after those before it, and shows what it changed. */
function send(request, shown = null) {
  if (!image || readOnly) return queue;
  const { number } = image;
  queue = queue.then(async () => {
    try {
      await take(number, await post(`api/edit/${number}`, request));
    } catch (error) {
      report(`not saved: ${error.message}`, true);
    }
    if (shown) view.sketches = view.sketches.filter((other) => other !== shown);
    view.request();
  });
  return queue;
}

async function take(number, facts) {
  const { patch, ...rest } = facts;
  if (patch && image.number === number) layer.patch(patch.x, patch.y, await decodeBase64(patch.png));
  if (image.number === number) image = rest;
  refresh();
  report("saved");
  banner(null);
}

function pixelScale() {
  return image.width / image.view[0];
}

function inImage(points) {
  const scale = pixelScale();
  return points.map(([x, y]) => [Math.round(x * scale * 10) / 10, Math.round(y * scale * 10) / 10]);
}

function color(erase) {
  const [red, green, blue] = settings.colors[tool.number - 1];
  return erase ? "#ffffff" : `rgb(${red} ${green} ${blue})`;
}

function cancelSketch() {
  view.sketches = view.sketches.filter((other) => other !== sketch);
  sketch = null;
  view.request();
}

function closePolygon() {
  if (!sketch || sketch.closed === undefined) return false;
  const shown = sketch;
  sketch = null;
  shown.closed = true;
  if (shown.points.length < 3) {
    view.sketches = view.sketches.filter((other) => other !== shown);
  } else {
    send({ tool: "polygon", class: tool.number, erase: shown.erase, points: inImage(shown.points) }, shown);
  }
  view.request();
  return true;
}

listen(find("canvas"), view, {
  start(x, y, right) {
    if (!image || readOnly) return false;
    const point = view.inside(x, y);
    const erase = tool.erase || right;
    if (tool.name === "island") {
      send({ tool: "island", class: tool.number, points: inImage([point]) });
      return false;
    }
    if (tool.name === "polygon") {
      if (sketch) sketch.points.push(point);
      else view.sketches.push((sketch = { points: [point], color: color(erase), closed: false, erase }));
      view.request();
      return false;
    }
    sketch = { points: [point], radius: tool.radius / view.zoom, color: color(erase), erase };
    view.sketches.push(sketch);
    view.request();
    return true;
  },
  move(x, y) {
    sketch?.points.push(view.inside(x, y));
    view.request();
  },
  end() {
    const shown = sketch;
    sketch = null;
    if (!shown) return;
    report("finding the edges");
    const radius = shown.radius * pixelScale();
    const points = inImage(thin(shown.points));
    send({ tool: "brush", class: tool.number, erase: shown.erase, snap: tool.snap, radius, points }, shown);
  },
  cancel: cancelSketch,
  hover(place) {
    view.cursor = place && tool.name === "brush" ? { x: place[0], y: place[1], radius: tool.radius } : null;
    view.request();
  },
  doubleClick() {
    if (closePolygon()) return;
  },
});

/** At most a few thousand points; a stroke has more only if it is drawn for minutes. */
function thin(points) {
  const step = Math.ceil(points.length / 4000);
  return points.filter((_, index) => index % step === 0 || index === points.length - 1);
}

function setRadius(radius) {
  tool.radius = Math.min(200, Math.max(1, radius));
  if (view.cursor) view.cursor.radius = tool.radius;
  refresh();
}

function choose(name) {
  if (name !== tool.name) cancelSketch();
  tool.name = name;
  if (name !== "brush") view.cursor = null;
  refresh();
  report(`tool: ${name}`);
}

async function done() {
  if (!image || readOnly) return;
  const { number } = image;
  await send({ tool: "finish" });
  await poll();
  const next = (await get(`api/next/${number}`)).number;
  if (next === null) report("all images are done: press Finish for the next commands");
  else await open(next);
}

function step(by) {
  const next = (image?.number ?? 0) + by;
  if (next >= 0 && next < settings.count) open(next);
}

async function dismiss() {
  if (!image || readOnly) return;
  try {
    await take(image.number, await post(`api/dismiss/${image.number}`, { dismissed: !image.dismissed }));
  } catch (error) {
    report(error.message, true);
  }
}

async function finish() {
  const { commands } = await get("api/commands");
  find("command-lines").textContent = commands.join("\n");
  find("commands").showModal();
}

const clicks = {
  undo: () => send({ tool: "undo" }),
  redo: () => send({ tool: "redo" }),
  holes: () => send({ tool: "holes", class: tool.number }),
  erase: () => ((tool.erase = !tool.erase), refresh(), report(tool.erase ? "taking away" : "adding")),
  snap: () => ((tool.snap = !tool.snap), refresh(), report(tool.snap ? "strokes snap to edges" : "raw brush")),
  compare: () => ((view.hidden = !view.hidden), refresh(), report(view.hidden ? "mask hidden" : "mask shown")),
  fit: () => view.fit(),
  previous: () => step(-1),
  next: () => step(1),
  done,
  dismiss,
  finish,
  "help-button": () => find("help").showModal(),
  drawer: () => find("drawer").setAttribute("aria-expanded", String(find("side").classList.toggle("open"))),
  quit: async () => {
    await post("api/quit", {});
    find("commands").close();
    banner("The server has ended; everything is saved. The commands are in the terminal too.");
  },
};
for (const [id, action] of Object.entries(clicks)) find(id).addEventListener("click", action);
for (const button of document.querySelectorAll("[data-tool]")) {
  button.addEventListener("click", () => choose(button.dataset.tool));
}
find("size").addEventListener("input", (event) => setRadius(Number(event.target.value)));
find("opacity").addEventListener("input", (event) => setOpacity(Number(event.target.value)));
find("filter").addEventListener("change", (event) => list.show(event.target.value));

function setOpacity(percent) {
  view.opacity = percent / 100;
  find("opacity").value = percent;
  view.request();
}

const keys = {
  "[": () => setRadius(tool.radius / 1.2),
  "]": () => setRadius(Math.max(tool.radius + 1, tool.radius * 1.2)),
  b: () => choose("brush"),
  p: () => choose("polygon"),
  i: () => choose("island"),
  h: clicks.holes,
  e: clicks.erase,
  s: clicks.snap,
  c: clicks.compare,
  f: clicks.fit,
  d: dismiss,
  o: () => setOpacity((Math.round(view.opacity * 100) + 25) % 125),
  "?": clicks["help-button"],
  ArrowLeft: clicks.previous,
  ArrowRight: clicks.next,
  Escape: cancelSketch,
};

window.addEventListener("keydown", (event) => {
  if (document.querySelector("dialog[open]") || event.target.tagName === "SELECT") return;
  if ((event.ctrlKey || event.metaKey) && "zy".includes(event.key.toLowerCase())) {
    event.preventDefault();
    if (event.key.toLowerCase() === "y" || event.shiftKey) clicks.redo();
    else clicks.undo();
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Enter" && !["BUTTON"].includes(event.target.tagName)) {
    event.preventDefault();
    if (!closePolygon()) done();
    return;
  }
  if (/^[1-9]$/.test(event.key) && Number(event.key) <= settings.classes.length) {
    tool.number = Number(event.key);
    refresh();
    report(`class: ${settings.classes[tool.number - 1]}`);
    return;
  }
  if (event.target.type === "range" && event.key.startsWith("Arrow")) return;
  const action = keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (action) {
    event.preventDefault();
    action();
  }
});

settings.classes.forEach((name, index) => {
  const button = document.createElement("button");
  const swatch = document.createElement("span");
  swatch.className = "swatch";
  swatch.style.background = `rgb(${settings.colors[index].join(" ")})`;
  button.append(swatch, name);
  button.dataset.class = index + 1;
  button.setAttribute("role", "radio");
  button.title = `Class ${name} (${index + 1})`;
  button.addEventListener("click", () => {
    tool.number = index + 1;
    refresh();
  });
  find("classes").append(button);
});

async function poll() {
  try {
    const { holder } = await post("api/hold", {});
    const changed = await get(`api/items/${revision}`);
    revision = changed.revision;
    const doubt = image && list.items[image.number]?.doubt;
    list.update(changed.items);
    training.show(changed.rounds);
    const counts = list.counts();
    find("counts").textContent = `${counts.done} of ${counts.all} done`;
    if (readOnly !== (holder !== null)) {
      readOnly = holder !== null;
      banner(readOnly ? `Read-only: the folder is in use by ${holder}` : null);
      refresh();
    }
    if (image && (list.items[image.number]?.doubt ?? doubt) !== doubt) outdated = image.number;
    if (outdated !== image?.number) outdated = null;
    if (outdated !== null && !sketch) {
      outdated = null;
      await open(image.number);
    }
  } catch {
    banner("The server does not answer: start the command again. Everything that was saved is in the folder");
  }
}

window.addEventListener("pagehide", () => {
  fetch("api/leave", {
    method: "POST",
    keepalive: true,
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ page }),
  });
});

find("folder").textContent = settings.name;
find("masks").textContent = settings.masks;
await poll();
const first = (await get("api/next/-1")).number ?? 0;
await open(first);
setInterval(poll, POLL);
