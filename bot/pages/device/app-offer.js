/** Offers Janji as an app: what it is good for, and the one way that works on this device. */

import { h, newId, replaceChildren } from "/parts/dom.js";
import { icon } from "/parts/icons.js";
import { dismiss, install, isDismissed, onInstallable, wayToInstall } from "/device/installation.js";
import { t } from "/parts/words.js";

/** Nearer than that, the visit is what the app is for. */
const SOON_MS = 2 * 3600 * 1000;

/**
 * @param {import("/device/installation.js").Way|null} way
 * @param {() => void} onDone the person has gone to the store, or has answered the browser
 */
function appOffer(way, onDone) {
  return [
    h(
      "ul",
      { class: "benefits" },
      benefit("pin", t("See your therapist on the way")),
      benefit("bell", t("Reminders, even when this page is closed")),
      benefit("clock", t("Book again in two taps")),
    ),
    way ? wayButton(way, onDone) : noWay(),
  ];
}

function noWay() {
  return h("p", { class: "card-note" }, t("You have it already, or this browser cannot install it."));
}

/** @param {Parameters<typeof icon>[0]} picture @param {string} words */
function benefit(picture, words) {
  return h("li", {}, icon(picture), words);
}

/** @param {import("/device/installation.js").Way} way @param {() => void} onDone */
function wayButton(way, onDone) {
  const look = { class: "btn btn-primary", testid: "app-get" };
  if (way.kind === "store") {
    const label = way.store === "app_store" ? t("Get it on the App Store") : t("Get it on Google Play");
    return h("a", { ...look, href: way.url, target: "_blank", rel: "noopener", on: { click: onDone } }, label);
  }
  if (way.kind === "by_hand") {
    const words = t("In Safari, tap Share, then “Add to Home Screen”.");
    return h("p", { class: "by-hand", testid: "app-by-hand" }, icon("share"), words);
  }
  const press = async () => {
    await install();
    onDone();
  };
  return h("button", { ...look, type: "button", on: { click: press } }, t("Install the app"));
}

/** The prompt at the foot of the chat; it does not come again for a day after it was closed. */
export class AppPrompt {
  element = h("div", { class: "app-prompt-place" });
  #settings;
  #clock;
  #focus;
  /** @type {Element|null} */
  #returnTo = null;
  /** The wish that waits for the browser to offer its installation. @type {string|null|undefined} */
  #wanted;

  /**
   * @param {object} options
   * @param {ClientSettings} options.settings
   * @param {import("/parts/time.js").Clock} options.clock
   * @param {(element: HTMLElement) => void} options.focus moves the focus, unless the guest is busy
   */
  constructor({ settings, clock, focus }) {
    this.#settings = settings;
    this.#clock = clock;
    this.#focus = focus;
    document.addEventListener("keydown", (event) => this.#pressed(event), { capture: true });
    onInstallable(() => this.#wanted !== undefined && this.show(this.#wanted));
  }

  /**
   * @param {string|null} startsAt when the visit begins, where that is known
   * @param {{isAsked?: boolean}} [why]
   */
  show(startsAt, { isAsked = false } = {}) {
    if (isDismissed() && !isAsked) return;
    this.#wanted = startsAt;
    const way = wayToInstall(this.#settings);
    if ((!way && !isAsked) || this.element.childElementCount) return;
    const isSoon = startsAt !== null && Date.parse(startsAt) - this.#clock.now() < SOON_MS;
    const prompt = this.#draw(way, isSoon);
    this.#returnTo = document.activeElement;
    replaceChildren(this.element, prompt);
    this.#focus(prompt);
  }

  /** The page has changed its language. */
  speakAgain() {
    if (!this.element.childElementCount) return;
    replaceChildren(this.element);
    this.show(this.#wanted ?? null);
  }

  /** @param {import("/device/installation.js").Way|null} way @param {boolean} isSoon */
  #draw(way, isSoon) {
    const words = isSoon ? wordsOfSoon() : usualWords();
    const title = h("h2", { class: "card-title", id: newId("app") }, words.title);
    const text = h("p", { class: "card-text", id: newId("app") }, words.text);
    const aria = { labelledby: title.id, describedby: text.id };
    const look = isSoon ? "app-prompt app-prompt-soon" : "app-prompt";
    const later = { class: "btn btn-quiet", type: "button", testid: "app-later", on: { click: () => this.#close() } };
    const mark = h("img", { class: "app-mark", src: "/icon.svg", alt: "", width: 48, height: 48 });
    return h(
      "section",
      { class: look, role: "dialog", tabindex: -1, testid: "app-prompt", aria },
      h("div", { class: "app-head" }, mark, h("div", {}, title, text)),
      ...appOffer(way, () => this.#close()),
      h("button", later, t("Not now")),
    );
  }

  /**
   * Escape closes this first, wherever the focus is, and not the chat around it.
   * @param {KeyboardEvent} event
   */
  #pressed(event) {
    if (event.key !== "Escape" || !this.element.childElementCount) return;
    event.preventDefault();
    this.#close();
  }

  #close() {
    dismiss();
    this.#wanted = undefined;
    const hadFocus = this.element.contains(document.activeElement);
    replaceChildren(this.element);
    if (hadFocus && this.#returnTo instanceof HTMLElement && this.#returnTo.isConnected) this.#returnTo.focus();
  }
}

function wordsOfSoon() {
  return {
    title: t("Your visit begins soon"),
    text: t("With the app you see at once when your therapist is at the door."),
  };
}

function usualWords() {
  return { title: t("Take Janji with you"), text: t("The app keeps an eye on your booking for you.") };
}
