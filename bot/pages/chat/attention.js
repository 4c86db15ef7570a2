/** Where the guest looks: tells and sounds of what is new, counts what was missed, and moves the focus where it is wanted. */

import { chime } from "/device/chime.js";
import { isTyping } from "/parts/dom.js";
import { showNews } from "/device/tab-title.js";

export class Attention {
  #host;
  #announce;
  #unread = 0;

  /**
   * @param {import("/chat/host.js").Host} host
   * @param {(sentence: string) => void} announce
   */
  constructor(host, announce) {
    this.#host = host;
    this.#announce = announce;
  }

  /**
   * @param {import("/connection/feeds.js").Entry[]} entries
   * @param {string} partner the name of the person on the other side
   */
  notice(entries, partner) {
    for (const entry of entries) {
      const sentence = spoken(entry, partner);
      if (!sentence) continue;
      this.#announce(sentence);
      if (!this.isVisible) this.#unread += 1;
      if (entry.type === "message" && !(this.isVisible && document.hasFocus())) chime();
    }
    this.#show();
  }

  get isVisible() {
    return !document.hidden && this.#host.isOpen;
  }

  /** What was unread already when the page was opened where nobody looks. @param {number} count */
  missed(count) {
    if (this.isVisible) return;
    this.#unread = Math.max(this.#unread, count);
    this.#show();
  }

  seen() {
    this.#unread = 0;
    this.#show();
  }

  /**
   * Moves the focus, unless the guest is writing somewhere or is busy on the website around us.
   * @param {HTMLElement|null} element
   */
  focus(element) {
    if (!element || isTyping() || !this.#host.isOpen) return;
    if (document.hasFocus() || !this.#host.isEmbedded) element.focus({ preventScroll: true });
  }

  #show() {
    showNews(this.#host.isEmbedded ? 0 : this.#unread);
    this.#host.unread(this.#unread);
  }
}

/**
 * What a screen reader says of an entry; what the guest wrote needs no saying.
 * @param {import("/connection/feeds.js").Entry} entry
 * @param {string} partner
 */
function spoken({ type, data }, partner) {
  if (type === "message") return data.from === "guest" ? null : `${partner}: ${data.text}`;
  if (type === "system") return data.text;
  if (data.card === "app_download") return null; // it comes with a reminder, and its prompt takes the focus
  if (type === "card" || type === "notification") return [data.title, data.text ?? data.body].filter(Boolean).join(". ");
  return null;
}
