"use strict";

/** An error whose message is shown to the user as it is. `kind` tells the page whether the worker is still of use. */
class Failure extends Error {
  constructor(kind, message) {
    super(message);
    this.kind = kind;
  }
}

const MEMORY_WORDS = /memory|allocation|bad_alloc|array buffer|array length|out of bounds|unreachable|aborted/i;

/** Turns any error into plain values that can be posted to the page. */
function describeFailure(error) {
  if (error instanceof Failure) return { kind: error.kind, message: error.message };
  const text = error instanceof Error ? error.message : String(error);
  // ONNX Runtime throws the address of a C++ exception, a number, where it could not allocate.
  if (error instanceof RangeError || typeof error === "number" || MEMORY_WORDS.test(text)) {
    return {
      kind: "memory",
      message: "The browser ran out of memory. Close other tabs, or make the image smaller, and try again.",
    };
  }
  return { kind: "other", message: `The image could not be processed: ${text}` };
}
