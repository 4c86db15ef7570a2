/** The offers a therapist is asked to answer, each with its own countdown; a closed one leaves a line that says why. */

import { actionButton, pressOne } from "/parts/actions.js";
import { countDown, countdownRing } from "/parts/countdown.js";
import { h } from "/parts/dom.js";
import { refusalOf } from "/connection/http.js";
import { icon } from "/parts/icons.js";
import { problemLine } from "/parts/problems.js";
import { t } from "/parts/words.js";

const REASON_SHOWN_MS = 20000;

/** @typedef {"accept_offer"|"decline_offer"} Answer */
/** @typedef {"taken"|"cancelled"|"expired"|"declined"|"accepted"|"not_chosen"|"unanswered"} Why an offer was closed */

export class OfferList {
  element;
  #list = h("ul", { class: "offers" });
  #reasons = h("div", { class: "offer-reasons", role: "status" });
  /** @type {Map<string, HTMLElement>} */
  #cards = new Map();
  #does;

  /**
   * @param {object} does
   * @param {(command: Answer, offerId: string) => Promise<any>} does.answer
   * @param {import("/parts/time.js").Clock} does.clock
   * @param {(sentence: string) => void} does.announce
   * @param {(offerId: string) => string|undefined} does.askedAt the moment from which the time to answer runs
   */
  constructor(does) {
    this.#does = does;
    this.element = h("section", { class: "offer-place", aria: { label: t("Offers") } }, this.#reasons, this.#list);
  }

  get count() {
    return this.#cards.size;
  }

  /** @param {OpenOffer[]} offers all that stand */
  show(offers) {
    const ids = new Set(offers.map((offer) => offer.offer_id));
    for (const id of [...this.#cards.keys()]) if (!ids.has(id)) this.#drop(id);
    for (const offer of offers) this.add(offer);
  }

  /** @param {OpenOffer} offer */
  add(offer) {
    if (this.#cards.has(offer.offer_id)) return;
    const card = this.#card(offer);
    this.#cards.set(offer.offer_id, card);
    this.#list.append(card);
    if (offer.waiting_until) {
      this.wait(offer.offer_id, offer.waiting_until);
      return;
    }
    this.#does.announce(
      t("New offer: {service}, {minutes} minutes, {earnings}", {
        service: offer.booking.service_name,
        minutes: offer.booking.duration,
        earnings: offer.earnings_text,
      }),
    );
  }

  /**
   * The therapist has said yes: now it is the guest's turn, and for how long.
   * @param {string} offerId
   * @param {string} until
   */
  wait(offerId, until) {
    const card = this.#cards.get(offerId);
    if (!card || card.dataset.waiting === until) return;
    card.dataset.waiting = until;
    card.querySelector(".ring")?.remove();
    const eyebrow = card.querySelector(".eyebrow");
    if (eyebrow) eyebrow.textContent = t("You said yes");
    const line = h("p", { class: "offer-waiting", testid: "offer-waiting" }, icon("clock"));
    const words = h("span", { role: "timer", aria: { live: "off" } });
    line.append(words);
    countDown(words, this.#does.clock, until, (seconds) => {
      words.textContent = waitingText(seconds);
    });
    card.querySelector(".offer-foot")?.replaceChildren(line);
  }

  /** @param {string} offerId @param {Why} why */
  close(offerId, why) {
    if (!this.#drop(offerId)) return;
    const line = h(
      "p",
      { class: "offer-reason", testid: "offer-closed", data: { why } },
      icon(why === "accepted" ? "check" : "close"),
      reasonText(why),
    );
    this.#reasons.replaceChildren(line);
    setTimeout(() => line.remove(), REASON_SHOWN_MS);
  }

  /** @param {string} offerId */
  #drop(offerId) {
    const card = this.#cards.get(offerId);
    card?.remove();
    return this.#cards.delete(offerId);
  }

  /** @param {OpenOffer} offer */
  #card(offer) {
    const { clock, announce } = this.#does;
    const { booking } = offer;
    const foot = h("div", { class: "offer-foot" });
    foot.append(this.#buttons(offer.offer_id, foot));
    return h(
      "li",
      { class: "card offer", testid: "offer", data: { offerId: offer.offer_id } },
      h(
        "div",
        { class: "offer-top" },
        h(
          "div",
          { class: "offer-words" },
          h("p", { class: "eyebrow" }, t("New offer")),
          h("h3", {}, `${booking.service_name} · ${t("{minutes} min", { minutes: booking.duration })}`),
          h("p", { class: "offer-earnings" }, t("You earn {amount}", { amount: offer.earnings_text })),
        ),
        countdownRing({
          clock,
          announce,
          deadlineAt: offer.respond_by,
          whole_s: this.#length_s(offer),
          testid: "offer-seconds",
          small: true,
        }),
      ),
      h(
        "ul",
        { class: "facts" },
        h("li", {}, icon("pin"), [offer.distance_text, booking.address].filter(Boolean).join(" · ")),
        h("li", {}, icon("person"), t("For {name}", { name: /** @type {string} */ (offer.guest.name) })),
      ),
      foot,
    );
  }

  /**
   * Of an offer that stood before the page was opened only the rest is known: its ring begins full.
   * @param {OpenOffer} offer
   */
  #length_s({ offer_id, respond_by }) {
    const askedAt = this.#does.askedAt(offer_id);
    return askedAt ? (Date.parse(respond_by) - Date.parse(askedAt)) / 1000 : 0;
  }

  /** @param {string} offerId @param {HTMLElement} foot */
  #buttons(offerId, foot) {
    const bar = h("div", { class: "actions" });
    /** @type {(command: Answer) => (button: HTMLButtonElement) => Promise<void>} */
    const answer = (command) => (button) => pressOne(bar, button, () => this.#answer(command, offerId, bar, foot));
    bar.append(
      actionButton({ command: "accept_offer", label: t("Accept"), style: "primary" }, answer("accept_offer")),
      actionButton({ command: "decline_offer", label: t("Decline"), style: "quiet" }, answer("decline_offer")),
    );
    return bar;
  }

  /** @param {Answer} command @param {string} offerId @param {HTMLElement} bar @param {HTMLElement} foot */
  async #answer(command, offerId, bar, foot) {
    try {
      await this.#does.answer(command, offerId);
      // Until the next word comes, by the feed: whether we were in time, and how long the guest has.
      if (command === "accept_offer" && !foot.closest("[data-waiting]"))
        foot.replaceChildren(h("p", { class: "offer-waiting" }, icon("check"), t("You said yes. One moment…")));
    } catch (error) {
      const refusal = refusalOf(error);
      foot.replaceChildren(problemLine({ ...refusal, message: refusal.message }), bar);
      throw refusal;
    }
  }
}

/** @param {number} seconds */
function waitingText(seconds) {
  const time = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
  return seconds > 0 ? t("Waiting for the guest, {time}", { time }) : t("One moment…");
}

/** @param {Why} why */
function reasonText(why) {
  if (why === "taken") return t("Another therapist was quicker or was chosen.");
  if (why === "cancelled") return t("The guest has cancelled the request.");
  if (why === "expired") return t("The time to answer has run out.");
  if (why === "declined") return t("You declined. The next offer will come.");
  if (why === "accepted") return t("The guest has chosen you.");
  if (why === "not_chosen") return t("The guest is looking for somebody else.");
  if (why === "unanswered") return t("The guest did not answer in time.");
  return t("This offer is closed.");
}
