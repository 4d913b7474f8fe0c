// Wires the page: opens images, moves between them, and asks the server what has changed.

import { bitmap, get, page, post } from "./api.js";
import { Controls } from "./controls.js";
import { Editor } from "./editor.js";
import { listenToKeys } from "./keys.js";
import { Layer } from "./layers.js";
import { ImageList, stateText } from "./list.js";
import { listen } from "./pointer.js";
import { banner, find, report } from "./status.js";
import { Training } from "./training.js";
import { View } from "./view.js";

const POLL = 2000; // milliseconds
const settings = await get("api/folder");
const layer = new Layer(settings);
const view = new View(find("canvas"), layer);
const editor = new Editor(settings, layer, view, () => controls.refresh());
const controls = new Controls(settings, editor, view);
const list = new ImageList(find("list"), find("rows"), (number) => open(number));
const training = new Training(report);
let revision = 0;
let opening = 0;
let polling = null;
let outdated = null; // number of the open image if a round has predicted it again

async function open(number) {
  const ticket = ++opening;
  await editor.queue;
  editor.cancel();
  try {
    const facts = await get(`api/open/${number}`);
    const [picture, labels] = await Promise.all([bitmap(`api/image/${number}`), bitmap(`api/labels/${number}`)]);
    if (ticket !== opening) return;
    const first = editor.image?.number !== number;
    editor.image = facts;
    layer.showBackground = facts.state === "partly";
    layer.load(labels);
    if (first) view.show(picture);
    if (!editor.readOnly) banner(null);
    controls.refresh();
    report(stateText(list.items[number]));
  } catch (error) {
    if (ticket !== opening) return;
    banner(error.message);
  }
  list.select(number);
  showList(false);
}

/** On small screens the list covers a part of the image while it is open. */
function showList(shown) {
  find("side").classList.toggle("open", shown);
  find("drawer").setAttribute("aria-expanded", String(shown));
  if (shown) list.select(list.selected);
}

function step(by) {
  const next = (editor.image?.number ?? 0) + by;
  if (next >= 0 && next < settings.count) open(next);
}

async function done() {
  if (!editor.editable) return;
  const { number } = editor.image;
  await editor.send({ tool: "finish" });
  await poll();
  const next = (await get(`api/next/${number}`)).number;
  if (next === null) report("all images are done: press Finish for the next commands");
  else await open(next);
}

async function dismiss() {
  if (!editor.editable) return;
  const { number, dismissed } = editor.image;
  try {
    await editor.take(number, await post(`api/dismiss/${number}`, { dismissed: !dismissed }));
  } catch (error) {
    report(error.message, true);
  }
}

async function finish() {
  const { commands } = await get("api/commands");
  find("command-lines").textContent = commands.join("\n");
  find("commands").showModal();
}

async function quit() {
  await post("api/quit", {});
  clearInterval(polling);
  find("commands").close();
  editor.readOnly = true;
  controls.refresh();
  banner("The server has ended; everything is saved. The commands are in the terminal too.");
}

async function poll() {
  try {
    const { holder } = await post("api/hold", {});
    const changed = await get(`api/items/${revision}`);
    revision = changed.revision;
    const { image } = editor;
    const doubt = image && list.items[image.number]?.doubt;
    list.update(changed.items);
    training.show(changed.rounds);
    const counts = list.counts();
    find("counts").textContent = `${counts.done} of ${counts.all} done`;
    if (editor.readOnly !== (holder !== null)) {
      editor.readOnly = holder !== null;
      banner(editor.readOnly ? `Read-only: the folder is in use by ${holder}` : null);
      controls.refresh();
    }
    if (image && (list.items[image.number]?.doubt ?? doubt) !== doubt) outdated = image.number;
    if (outdated !== image?.number) outdated = null;
    if (outdated !== null && !editor.sketch) {
      outdated = null;
      await open(image.number);
    }
  } catch {
    banner("The server does not answer: start the command again. Everything that was saved is in the folder");
  }
}

const clicks = {
  undo: () => editor.send({ tool: "undo" }),
  redo: () => editor.send({ tool: "redo" }),
  holes: () => editor.send({ tool: "holes", class: editor.tool.number }),
  erase: () => controls.toggleErase(),
  snap: () => controls.toggleSnap(),
  compare: () => controls.toggleMask(),
  fit: () => view.fit(),
  previous: () => step(-1),
  next: () => step(1),
  done,
  dismiss,
  finish,
  quit,
  "help-button": () => find("help").showModal(),
  drawer: () => showList(true),
  "close-list": () => showList(false),
};
for (const [id, action] of Object.entries(clicks)) find(id).addEventListener("click", action);
find("filter").addEventListener("change", (event) => list.show(event.target.value));

listenToKeys({
  keys: {
    "[": () => controls.smaller(),
    "]": () => controls.larger(),
    b: () => controls.choose("brush"),
    p: () => controls.choose("polygon"),
    i: () => controls.choose("island"),
    h: clicks.holes,
    e: clicks.erase,
    s: clicks.snap,
    c: clicks.compare,
    f: clicks.fit,
    d: dismiss,
    o: () => controls.nextOpacity(),
    "?": clicks["help-button"],
    ArrowLeft: clicks.previous,
    ArrowRight: clicks.next,
    Escape() {
      showList(false);
      editor.cancel();
    },
  },
  undo: clicks.undo,
  redo: clicks.redo,
  enter: () => editor.closePolygon() || done(),
  chooseClass: (number) => controls.chooseClass(number),
  classes: settings.classes.length,
});

listen(find("canvas"), view, {
  start: (x, y, right) => editor.start(x, y, right),
  move: (x, y) => editor.move(x, y),
  end: () => editor.end(),
  cancel: () => editor.cancel(),
  hover(place) {
    const { name, radius } = editor.tool;
    view.cursor = place && name === "brush" ? { x: place[0], y: place[1], radius } : null;
    view.request();
  },
  doubleClick: () => editor.closePolygon(),
});

const closeList = (event) => {
  if (!find("side").classList.contains("open")) return;
  event.stopPropagation(); // it is no stroke
  showList(false);
};
find("stage").addEventListener("pointerdown", closeList, { capture: true });

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
await open((await get("api/next/-1")).number ?? 0);
polling = setInterval(poll, POLL);
