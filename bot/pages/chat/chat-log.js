/** The scrolling middle of the guest's chat: entries in order, each drawn once, cards drawn anew when they close. */

import { renderCard } from "/chat/chat-cards.js";
import { h } from "/parts/dom.js";
import { icon } from "/parts/icons.js";
import { bubble, noticeLine, systemLine } from "/parts/messages.js";
import { Ticks } from "/parts/ticks.js";
import { t } from "/parts/words.js";

const NEAR_END_PX = 80;

export class ChatLog {
  element;
  /** Bubbles of what is not yet in the log. */
  pending = h("ol", { class: "log-list log-pending" });
  #list = h("ol", { class: "log-list" });
  #place = h("div", { class: "log-now" });
  #down;
  #does;
  /** @type {Array<{entry: any, item: HTMLElement, isLive: boolean}>} */
  #cards = [];
  /** @type {HTMLElement|null} */
  #now = null;
  isAtEnd = true;
  #ticks = new Ticks();

  /** @param {import("/chat/chat-cards.js").CardDoes & {look: () => void}} does look: the guest may see more than before */
  constructor(does) {
    this.#does = does;
    this.#down = h(
      "button",
      { class: "log-down", type: "button", hidden: true, on: { click: () => this.scrollToEnd() } },
      icon("arrow_down"),
      t("New messages"),
    );
    const scroll = h(
      "div",
      { class: "log-scroll", tabindex: 0, role: "log", aria: { live: "off", label: t("Conversation") } },
      this.#list,
      this.pending,
      this.#place,
    );
    scroll.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    new ResizeObserver(() => this.isAtEnd && this.scrollToEnd()).observe(scroll);
    this.element = h("div", { class: "log" }, scroll, this.#down);
  }

  get #scroll() {
    return /** @type {HTMLElement} */ (this.element.firstElementChild);
  }

  get isEmpty() {
    return this.#list.childElementCount === 0;
  }

  clear() {
    this.#list.replaceChildren();
    this.#cards = [];
    this.#ticks.clear();
  }

  /** @param {import("/connection/feeds.js").Entry} entry @param {boolean} isLive */
  add(entry, isLive) {
    const item = this.#draw(entry, isLive);
    if (!item) return;
    this.#list.append(item);
    if (entry.type === "message" && entry.data.from === "guest") this.#ticks.add(entry.seq, item);
    if (entry.type === "card") this.#cards.push({ entry, item, isLive });
  }

  /** @param {import("/connection/feeds.js").Entry} entry @param {boolean} isLive */
  #draw(entry, isLive) {
    if (entry.type === "message") return bubble({ ...entry.data, at: entry.at, reader: "guest" });
    if (entry.type === "system") return systemLine(entry.data.text);
    if (entry.type === "notification") return noticeLine(entry.data);
    if (entry.type === "card") return h("li", { class: "log-card" }, this.#drawCard(entry, isLive));
    return null;
  }

  /** @param {import("/connection/feeds.js").Entry} entry @param {boolean} isLive */
  #drawCard(entry, isLive) {
    return renderCard(entry.data, isLive, this.#does, this.#does.outcomeOf(entry));
  }

  /** @param {import("/connection/receipts.js").Receipts} receipts what became of the guest's own messages */
  showReceipts(receipts) {
    this.#ticks.show(receipts);
  }

  /**
   * Draws anew the cards that have opened or closed since. @returns {HTMLElement|null} the newest that has opened
   * @param {(entry: import("/connection/feeds.js").Entry) => boolean} isLive
   */
  refreshCards(isLive) {
    let opened = null;
    for (const card of this.#cards) {
      const now = isLive(card.entry);
      if (now === card.isLive) continue;
      card.isLive = now;
      card.item.replaceChildren(this.#drawCard(card.entry, now));
      if (now) opened = card.item;
    }
    return opened;
  }

  /** The live card in the log that waits for an answer, if any: the offer of the app has a place of its own. */
  openCard() {
    const item = this.#cards.findLast(({ entry, isLive }) => isLive && entry.data.card !== "app_download")?.item;
    return /** @type {HTMLElement|null} */ (item?.firstElementChild ?? null);
  }

  /** Something of this page's own, not of the conversation's: a refusal. @param {HTMLElement} element */
  addLocal(element) {
    this.#list.append(h("li", { class: "log-card log-local" }, element));
    this.scrollToEnd();
  }

  /** What was refused before no longer matters once something has gone well. */
  clearLocal() {
    for (const item of this.#list.querySelectorAll(".log-local")) item.remove();
  }

  /**
   * What is going on now, below everything: the countdown, the welcome, somebody typing.
   * @param {HTMLElement|null} element
   */
  showNow(element) {
    if (this.#now === element) return;
    this.#now = element;
    this.#place.replaceChildren(...(element ? [element] : []));
  }

  /** Follows the conversation down, unless the guest is reading further up. */
  follow() {
    if (this.isAtEnd) this.scrollToEnd();
    else this.#down.hidden = false;
  }

  scrollToEnd() {
    this.#scroll.scrollTop = this.#scroll.scrollHeight;
    this.isAtEnd = true;
    this.#down.hidden = true;
  }

  /** Brings a card into sight from its beginning, since its first field comes first. @param {HTMLElement} card */
  reveal(card) {
    this.scrollToEnd();
    const above = card.getBoundingClientRect().top - this.#scroll.getBoundingClientRect().top;
    if (above < 0) this.#scroll.scrollTop += above - 16;
    this.#scrolled();
  }

  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.#scroll;
    this.isAtEnd = scrollHeight - scrollTop - clientHeight < NEAR_END_PX;
    if (!this.isAtEnd) return;
    this.#down.hidden = true;
    this.#does.look();
  }
}
