/** Speaks with the website that has embedded the chat by our widget. */

/** @typedef {{onBook: (wish: any) => void, onVisibility: (isOpen: boolean) => void}} HostListener */

const MARK = "janji";

export class Host {
  #origin;
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

  ready() {
    this.#say({ type: "ready" });
  }

  close() {
    this.#say({ type: "close" });
  }

  unread(count) {
    this.#say({ type: "unread", count });
  }

  /** Nothing secret is ever said here; a page without an origin of its own (a local file) can only be reached by "*". */
  #say(message) {
    if (!this.isEmbedded || this.#origin === null) return;
    window.parent.postMessage({ [MARK]: 1, ...message }, this.#origin === "null" ? "*" : this.#origin);
  }

  #heard(event) {
    if (event.source !== window.parent || event.origin !== this.#origin || event.data?.[MARK] !== 1) return;
    if (event.data.type === "visibility") {
      this.isOpen = Boolean(event.data.open);
      this.#listener.onVisibility(this.isOpen);
    } else if (event.data.type === "book") {
      this.#listener.onBook(event.data.wish ?? {});
    }
  }
}
