/** A person's portrait, with the initial in its place where there is none or it cannot be loaded. */

import { h } from "/parts/dom.js";

/**
 * @param {string} name
 * @param {string|null|undefined} photo its address
 * @param {"small"|"medium"|"large"} [size]
 */
export function avatar(name, photo, size = "medium") {
  const frame = h("span", { class: `avatar avatar-${size}`, aria: { hidden: true } }, initial(name));
  if (photo) {
    const image = h("img", { src: photo, alt: "", width: 96, height: 96, decoding: "async" });
    image.addEventListener("error", () => image.remove());
    frame.append(image);
  }
  return frame;
}

/** @param {string|null} name */
function initial(name) {
  return [...String(name ?? "").trim()][0]?.toLocaleUpperCase() ?? "";
}
