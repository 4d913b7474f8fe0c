"use strict";

let ort = null; // the interface of ONNX Runtime
let session = null;

/** Decodes what export_html packed: base64 of gzip. */
async function unpack(text) {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < bytes.length; i += 1) bytes[i] = binary.charCodeAt(i);
  return transform(bytes, new DecompressionStream("gzip"));
}

/** Starts ONNX Runtime with the network. */
async function loadNetwork({ script, wasm, model }) {
  const address = URL.createObjectURL(new Blob([await unpack(script)], { type: "text/javascript" }));
  ort = await import(address);
  URL.revokeObjectURL(address);
  ort.env.wasm.wasmBinary = (await unpack(wasm)).buffer;
  ort.env.wasm.numThreads = 1; // threads need headers of a server, and this page is a file
  ort.env.wasm.proxy = false; // this is a worker already
  ort.env.logLevel = "error";
  session = await ort.InferenceSession.create(await unpack(model), { executionProviders: ["wasm"] });
}

/**
 * Runs the network.
 * @param input (3, height, width) float32 in [0, 1]
 * @param others further inputs by name, each a Float32Array of one axis
 * @returns outputs in the order of the model, as Float32Arrays
 */
async function runNetwork(input, width, height, others = {}) {
  const feeds = { images: new ort.Tensor("float32", input, [1, 3, height, width]) };
  for (const [name, values] of Object.entries(others)) feeds[name] = new ort.Tensor("float32", values, [values.length]);
  const results = await session.run(feeds);
  return session.outputNames.map((name) => {
    const values = results[name].data;
    results[name].dispose?.();
    return values;
  });
}

/** Copies a part of an image (channels 3 or 4) to (3, height, width) floats in [0, 1]. */
function toInput({ pixels, width: stride, channels }, left, top, width, height) {
  const input = new Float32Array(3 * width * height);
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      const from = ((top + y) * stride + left + x) * channels;
      for (let c = 0; c < 3; c += 1) input[(c * height + y) * width + x] = pixels[from + c] / 255;
    }
  }
  return input;
}
