/** The ticks on one's own messages: one when the server has it, two when it has arrived, and a word when it was read. */

import { h, replaceChildren } from "/parts/dom.js";
import { icon } from "/parts/icons.js";
import { t } from "/parts/words.js";

/** @typedef {ReturnType<import("/connection/receipts.js").Receipts["ofOwn"]>} Receipt */

export class Ticks {
  /** One's own messages that may still change. @type {Array<{seq: number, element: HTMLElement}>} */
  #open = [];
  /** @type {HTMLElement|null} */
  #newestRead = null;

  /** @param {number} seq @param {HTMLElement} element the bubble */
  add(seq, element) {
    this.#open.push({ seq, element });
    mark(element, "sent");
  }

  clear() {
    this.#open = [];
    this.#newestRead = null;
  }

  /** @param {import("/connection/receipts.js").Receipts} receipts */
  show(receipts) {
    for (const { seq, element } of this.#open) {
      const state = receipts.ofOwn(seq);
      mark(element, state);
      if (state === "read") this.#moveWord(element);
    }
    this.#open = this.#open.filter(({ element }) => element.dataset.receipt !== "read");
  }

  /**
   * The word stands at the newest that was read only: it would say nothing more at those before.
   * @param {HTMLElement} element
   */
  #moveWord(element) {
    this.#newestRead?.classList.remove("bubble-newest-read");
    this.#newestRead = element;
    element.classList.add("bubble-newest-read");
  }
}

/** @param {HTMLElement} element @param {Receipt} state */
function mark(element, state) {
  if (element.dataset.receipt === state) return;
  element.dataset.receipt = state;
  const foot = /** @type {Element} */ (element.querySelector(".bubble-foot"));
  const ticks = foot.querySelector(".ticks") ?? foot.appendChild(h("span", { class: "ticks" }));
  const word = h("span", { class: "ticks-word" }, wordOf(state));
  replaceChildren(ticks, icon(state === "sent" ? "check" : "checks"), word);
}

/** @param {Receipt} state */
function wordOf(state) {
  const words = { sent: t("Sent"), delivered: t("Delivered"), read: t("Read") };
  return words[state];
}
