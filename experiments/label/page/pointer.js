// Mouse, pen and touch: draws, pans and zooms.

/**
 * Calls `actions` for what the pointers do.
 * start(x, y, erase) returns whether drawing begins; move(x, y), end() and cancel() follow. hover(x, y) moves the cursor.
 */
export function listen(canvas, view, actions) {
  const pointers = new Map();
  let drawing = null;
  let panning = null;
  let space = false;

  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };

  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    canvas.focus({ preventScroll: true });
    pointers.set(event.pointerId, place(event));
    if (pointers.size === 2) {
      if (drawing !== null) actions.cancel(); // the first finger of a pinch is no stroke
      drawing = panning = null;
      return;
    }
    if (pointers.size > 2) return;
    const [x, y] = place(event);
    if (event.button === 1 || space) panning = event.pointerId;
    else if (event.button === 0 || event.button === 2 || event.button === 5) {
      const erase = event.button === 2 || event.button === 5 || (event.buttons & 32) !== 0; // 5, 32: eraser of a pen
      if (actions.start(x, y, erase)) drawing = event.pointerId;
    }
    event.preventDefault();
  });

  canvas.addEventListener("pointermove", (event) => {
    const before = pointers.get(event.pointerId);
    const now = place(event);
    if (!before) {
      actions.hover(event.pointerType === "touch" ? null : now);
      return;
    }
    if (pointers.size === 2) pinch(event.pointerId, now);
    else if (panning === event.pointerId) view.pan(now[0] - before[0], now[1] - before[1]);
    else if (drawing === event.pointerId) {
      const steps = event.getCoalescedEvents?.() ?? [];
      for (const step of steps.length ? steps : [event]) actions.move(...place(step));
    }
    pointers.set(event.pointerId, now);
    if (event.pointerType !== "touch") actions.hover(now);
  });

  function pinch(id, now) {
    const [other] = [...pointers].filter(([key]) => key !== id).map(([, point]) => point);
    const before = pointers.get(id);
    const distance = (a, b) => Math.hypot(a[0] - b[0], a[1] - b[1]);
    const middle = (a, b) => [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2];
    const [from, to] = [middle(before, other), middle(now, other)];
    view.pan(to[0] - from[0], to[1] - from[1]);
    view.zoomAt(to[0], to[1], distance(now, other) / Math.max(1, distance(before, other)));
  }

  const up = (event) => {
    pointers.delete(event.pointerId);
    if (drawing === event.pointerId) {
      drawing = null;
      if (event.type === "pointercancel") actions.cancel();
      else actions.end();
    }
    if (panning === event.pointerId) panning = null;
  };
  canvas.addEventListener("pointerup", up);
  canvas.addEventListener("pointercancel", up);
  canvas.addEventListener("pointerleave", () => actions.hover(null));
  canvas.addEventListener("contextmenu", (event) => event.preventDefault());
  canvas.addEventListener("dblclick", () => actions.doubleClick());
  canvas.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      const lines = event.deltaMode === 1 ? 30 : 1;
      const [x, y] = place(event);
      view.zoomAt(x, y, Math.exp(-event.deltaY * lines * (event.ctrlKey ? 0.01 : 0.0015)));
    },
    { passive: false },
  );
  window.addEventListener("keydown", (event) => {
    if (event.code === "Space" && event.target === canvas) {
      space = true;
      event.preventDefault();
    }
  });
  window.addEventListener("keyup", (event) => {
    if (event.code === "Space") space = false;
  });
}
