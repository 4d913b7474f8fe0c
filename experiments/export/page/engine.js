"use strict";

/** The user stopped the work. */
class Cancelled extends Error {}

/** Runs requests in a worker, so that the page stays usable. A worker that was stopped or ran out of memory is replaced. */
class Engine {
  constructor(info) {
    this.info = info;
    this.waiting = new Map(); // id -> {resolve, reject, report}
    this.lastId = 0;
    this.start();
  }

  start() {
    this.worker = new Worker(URL.createObjectURL(new Blob([textOf("worker-source")], { type: "text/javascript" })));
    this.worker.onmessage = ({ data }) => this.answer(data);
    this.worker.onerror = (event) => {
      event.preventDefault();
      this.fail({ kind: "other", message: `The worker of this page stopped: ${event.message || "no reason given"}` });
    };
    this.ready = this.post("load", { info: this.info, script: textOf("ort"), wasm: textOf("wasm"), model: textOf("model") });
    this.ready.catch(() => {}); // reported by the first request
  }

  /** Sends a request and returns its result. `report` is called with {text, done, total}. */
  async request(type, content, report) {
    report({ text: "Loading the network", done: 0, total: 0 });
    await this.ready;
    return this.post(type, content, report);
  }

  /** Ends all requests. */
  stop() {
    this.worker.terminate();
    const { waiting } = this;
    this.waiting = new Map();
    for (const { reject } of waiting.values()) reject(new Cancelled());
    this.start();
  }

  post(type, content, report = () => {}) {
    this.lastId += 1;
    const id = this.lastId;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject, report });
      this.worker.postMessage({ ...content, id, type });
    });
  }

  answer({ id, result, failure, ...progress }) {
    const request = this.waiting.get(id);
    if (!request) return;
    if (!result && !failure) {
      request.report(progress);
      return;
    }
    this.waiting.delete(id);
    if (result) request.resolve(result);
    else {
      request.reject(Object.assign(new Error(failure.message), { kind: failure.kind }));
      if (failure.kind === "memory") this.stop(); // its memory stays as large as it has become
    }
  }

  fail(failure) {
    const { waiting } = this;
    this.waiting = new Map();
    for (const { reject } of waiting.values()) reject(Object.assign(new Error(failure.message), failure));
  }
}

function textOf(id) {
  return document.getElementById(id).textContent;
}

/** A module that adds two vectors: valid only where WebAssembly has SIMD. */
const SIMD_MODULE = [0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11];

/** Returns what this browser lacks, or an empty text. */
function findMissing() {
  if (typeof WebAssembly !== "object") return "This browser has no WebAssembly, or it is switched off. This page needs it.";
  if (!WebAssembly.validate(Uint8Array.from(SIMD_MODULE))) {
    return "The WebAssembly of this browser has no SIMD instructions. This page needs them: use a newer browser.";
  }
  const needed = ["Worker", "OffscreenCanvas", "createImageBitmap", "CompressionStream", "DecompressionStream"];
  const missing = needed.filter((name) => typeof globalThis[name] === "undefined");
  return missing.length ? `This browser lacks ${missing.join(", ")}. This page needs a newer one.` : "";
}
