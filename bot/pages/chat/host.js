/** Speaks with the website that has embedded the chat by our widget. */

import { isForgetful, leanOn } from "/device/storage.js";

/** @typedef {{onBook: (wish: any) => void, onVisibility: (isOpen: boolean) => void}} HostListener */

const MARK = "janji";
/** A widget of before does not know what it is asked. */
const RECALLED_WITHIN_MS = 1500;

export class Host {
  #origin;
  /** @type {(values: unknown) => void} */
  #recalled = () => {};
  #listener;
  isEmbedded;
  /** Whether the person can see the chat. */
  isOpen;

  /** @param {HostListener} listener */
  constructor(listener) {
    this.#listener = listener;
    this.#origin = new URLSearchParams(window.location.hash.slice(1)).get("host");
    this.isEmbedded = window.parent !== window && this.#origin !== null;
    this.isOpen = !this.isEmbedded;
    if (this.isEmbedded) window.addEventListener("message", (event) => this.#heard(event));
  }

  /**
   * Where the browser keeps nothing for a frame on another website, the website does: see decision 0014. Nothing else of
   * the guest's is ever said to it.
   * @returns {Promise<void>} when what was kept is there
   */
  async remember() {
    if (!this.isEmbedded || this.#origin === "null" || !isForgetful()) return;
    const kept = await new Promise((resolve) => {
      this.#recalled = resolve;
      setTimeout(resolve, RECALLED_WITHIN_MS, null);
      this.#say({ type: "recall" });
    });
    leanOn(kept, (values) => this.#say({ type: "keep", values }));
  }

  ready() {
    this.#say({ type: "ready" });
  }

  close() {
    this.#say({ type: "close" });
  }

  /** @param {number} count */
  unread(count) {
    this.#say({ type: "unread", count });
  }

  /**
   * A page without an origin of its own (a local file) can only be reached by "*", and is told nothing secret.
   * @param {object} message
   */
  #say(message) {
    if (!this.isEmbedded || this.#origin === null) return;
    window.parent.postMessage({ [MARK]: 1, ...message }, this.#origin === "null" ? "*" : this.#origin);
  }

  /** @param {MessageEvent} event */
  #heard(event) {
    if (event.source !== window.parent || event.origin !== this.#origin || event.data?.[MARK] !== 1) return;
    if (event.data.type === "visibility") {
      this.isOpen = Boolean(event.data.open);
      this.#listener.onVisibility(this.isOpen);
    } else if (event.data.type === "book") {
      this.#listener.onBook(event.data.wish ?? {});
    } else if (event.data.type === "recalled") {
      this.#recalled(event.data.values);
    }
  }
}
