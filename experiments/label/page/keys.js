// Keys of the page.

/**
 * Calls an action of `keys` by name, `undo` and `redo`, `enter`, or `chooseClass(number)`.
 * Keys do nothing while a dialog is open or a list is chosen from.
 */
export function listenToKeys({ keys, undo, redo, enter, chooseClass, classes }) {
  window.addEventListener("keydown", (event) => {
    if (document.querySelector("dialog[open]") || event.target.tagName === "SELECT") return;
    const action = find(event);
    if (!action) return;
    event.preventDefault();
    action();
  });

  function find(event) {
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (event.ctrlKey || event.metaKey) {
      if (key === "y" || (key === "z" && event.shiftKey)) return redo;
      return key === "z" ? undo : null;
    }
    if (event.altKey) return null;
    if (key === "Enter") return event.target.tagName === "BUTTON" ? null : enter;
    if (/^[1-9]$/.test(key) && Number(key) <= classes) return () => chooseClass(Number(key));
    if (event.target.type === "range" && key.startsWith("Arrow")) return null;
    return keys[key];
  }
}
