// Messages of the page: the status line, which screen readers announce, and the banner for problems.

export const find = (id) => document.getElementById(id);

export function report(text, bad = false) {
  find("status").textContent = text;
  if (bad) banner(text);
}

export function banner(text) {
  find("banner").textContent = text ?? "";
  find("banner").hidden = !text;
}
