// Requests to the server. Addresses are relative: the page's own address holds the token.

export const page = crypto.randomUUID();

export async function get(path) {
  return answer(await fetch(path));
}

export async function post(path, content) {
  return answer(
    await fetch(path, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ ...content, page }),
    }),
  );
}

/** Bitmap of an image file of the server, with its numbers unchanged. */
export async function bitmap(path) {
  const response = await fetch(path);
  if (!response.ok) throw new Error((await response.json()).error);
  return decode(await response.blob());
}

export function decode(blob) {
  return createImageBitmap(blob, { colorSpaceConversion: "none", premultiplyAlpha: "none" });
}

export async function decodeBase64(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  return decode(new Blob([bytes], { type: "image/png" }));
}

async function answer(response) {
  const content = await response.json();
  if (!response.ok) throw new Error(content.error);
  return content;
}
