/** Says things to screen readers, politely, without anything appearing on the page. */

import { h } from "/parts/dom.js";

const CLEAR_AFTER_MS = 8000;

/** @returns {(sentence: string) => void} */
export function createAnnouncer() {
  const region = h("div", { class: "visually-hidden", role: "status", aria: { live: "polite" } });
  document.body.append(region);
  return (sentence) => {
    const line = h("p", {}, sentence);
    region.append(line);
    setTimeout(() => line.remove(), CLEAR_AFTER_MS);
  };
}
