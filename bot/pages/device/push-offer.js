/** Offers to be told while the page is closed: one press, an honest answer, and no second question. */

import { h, replaceChildren } from "/parts/dom.js";
import { refusalOf } from "/connection/http.js";
import { read, write } from "/device/storage.js";
import { nudge } from "/parts/nudge.js";
import { isPushOffered, pushState, turnPushOn } from "/device/push.js";
import { t } from "/parts/words.js";

const THANKS_SHOWN_MS = 6000;

export class PushOffer {
  element = h("div", { class: "nudge-place" });
  #token;
  #dismissedKey;
  #reason;
  #isShown = false;

  /**
   * @param {object} options
   * @param {() => string|undefined} options.token the newest token of whom it is for
   * @param {"guest"|"therapist"} options.audience
   * @param {() => string} options.reason what they would be told
   */
  constructor({ token, audience, reason }) {
    this.#token = token;
    this.#dismissedKey = `janji.push.dismissed.${audience}`;
    this.#reason = reason;
  }

  /** Asks only where it can be had, is not had yet, and was not declined before. */
  async show() {
    if (this.#isShown || read(this.#dismissedKey)) return;
    this.#isShown = true;
    const state = await pushState();
    if (state === "off" && (await isPushOffered())) this.#ask();
    else this.#isShown = false;
  }

  hide() {
    this.#isShown = false;
    replaceChildren(this.element);
  }

  #ask() {
    const action = { label: t("Turn on notifications"), testid: "push-on", onPress: () => this.#turnOn() };
    this.#say({ text: this.#reason(), action });
  }

  async #turnOn() {
    this.#say({ text: t("Asking your browser…") });
    try {
      const state = await turnPushOn(this.#token);
      if (state === "on") this.#thank();
      else if (state === "refused") this.#explainRefusal();
      else this.#ask();
    } catch (error) {
      this.#explainFailure(error);
    }
  }

  #thank() {
    this.#say({ text: t("Notifications are on. We tell you here even while this page is closed.") });
    setTimeout(() => this.hide(), THANKS_SHOWN_MS);
  }

  #explainRefusal() {
    this.#say({
      picture: "bell_off",
      text: t("Your browser keeps our notifications off. You can allow them in its settings for this website."),
    });
  }

  /**
   * A browser's own error says nothing that helps a person.
   * @param {unknown} error
   */
  #explainFailure(error) {
    const isBrowsers = error instanceof DOMException;
    const text = isBrowsers ? t("Your browser could not turn notifications on.") : refusalOf(error).message;
    const action = { label: t("Try again"), testid: "push-on", onPress: () => this.#turnOn() };
    this.#say({ picture: "alert", text, action });
  }

  /** @param {Partial<Parameters<typeof nudge>[0]> & {text: string}} options */
  #say(options) {
    const onDismiss = () => {
      write(this.#dismissedKey, true);
      this.hide();
    };
    replaceChildren(this.element, nudge({ testid: "push-offer", picture: "bell", onDismiss, ...options }));
  }
}
