/** The cards of the guest's log: open ones with what can be done, answered ones as a quiet line of history. */

import { actionBar } from "/parts/actions.js";
import { avatar } from "/parts/avatar.js";
import { countDown } from "/parts/countdown.js";
import { h, newId } from "/parts/dom.js";
import { icon } from "/parts/icons.js";
import { problemLine } from "/parts/problems.js";
import { ratingForm } from "/chat/rating-form.js";
import { serviceForm } from "/chat/service-form.js";
import { formatCount, formatRating, formatTime } from "/parts/time.js";
import { t } from "/parts/words.js";

/**
 * An entry's data: which of the rest is there, its `card` says.
 * @typedef {{card: string} & Record<string, any>} Card
 * @typedef {(frame: HTMLElement, title: HTMLElement, card: Card, does: CardDoes) => void} Body
 */

/**
 * @typedef {object} CardDoes
 * @property {(action: import("/parts/actions.js").Action, fields?: any) => Promise<any>} send rejects with a Refusal
 * @property {(action: import("/parts/actions.js").Action) => Promise<any>} perform the same, and shows a refusal itself
 * @property {(refusal: import("/connection/http.js").Refusal) => void} showRefusal
 * @property {() => void} offerApp shows the offer of the app, however lately it was closed
 * @property {(entry: import("/connection/feeds.js").Entry) => string|null} outcomeOf the state that a card has led to
 * @property {import("/parts/time.js").Clock} clock
 * @property {any} settings of this place
 */

/**
 * @param {any} card an entry's data
 * @param {boolean} isLive whether it can still be answered
 * @param {CardDoes} does
 * @param {string|null} outcome the state that it has led to
 * @returns {HTMLElement}
 */
export function renderCard(card, isLive, does, outcome) {
  if (card.card === "problem") return problemCard(card, isLive, does);
  return isLive ? openCard(card, does) : finishedCard(card, outcome);
}

/** @param {Card} card @param {CardDoes} does */
function openCard(card, does) {
  const title = h("h2", { class: "card-title", id: newId("card") }, card.title);
  const frame = h("section", {
    class: "card",
    testid: `card-${card.card.replaceAll("_", "-")}`,
    tabindex: -1,
    aria: { labelledby: title.id },
  });
  const body = BODIES[card.card] ?? plainBody;
  body(frame, title, card, does);
  return frame;
}

/** @type {Record<string, Body>} */
const BODIES = { service: serviceBody, therapist: therapistBody, rating: ratingBody, app_download: appBody };

/** @param {HTMLElement} frame @param {HTMLElement} title @param {Card} card @param {CardDoes} does */
function plainBody(frame, title, card, does) {
  frame.append(title, ...text(card), actionBar(card.actions ?? [], does.perform));
}

/** @param {HTMLElement} frame @param {HTMLElement} title @param {Card} card @param {CardDoes} does */
function serviceBody(frame, title, card, does) {
  const { service, therapist } = card;
  frame.append(title, ...text(card));
  if (service)
    frame.append(
      h(
        "div",
        { class: "card-service" },
        h("p", { class: "card-service-name" }, service.name),
        h("p", { class: "card-note" }, service.description),
      ),
    );
  if (therapist)
    frame.append(
      h(
        "p",
        { class: "card-person" },
        avatar(therapist.name, therapist.photo, "small"),
        t("With {name}", { name: therapist.name }),
      ),
    );
  frame.append(serviceForm(card, does));
  if (card.expires_at)
    frame.append(
      h("p", { class: "card-foot" }, t("This form stays open until {time}.", { time: formatTime(card.expires_at) })),
    );
}

/** @param {HTMLElement} frame @param {HTMLElement} title @param {Card} card @param {CardDoes} does */
function therapistBody(frame, title, card, does) {
  const { therapist } = card;
  frame.classList.add("card-therapist");
  frame.append(
    h(
      "div",
      { class: "person" },
      avatar(therapist.name, therapist.photo, "large"),
      h("div", { class: "person-words" }, title, h("p", { class: "person-name" }, therapist.name), rating(therapist)),
    ),
    ...text(card),
    h("ul", { class: "facts" }, fact("pin", card.distance_text), fact("clock", card.arrival_text)),
    chips(therapist.specialties),
    therapist.languages?.length
      ? h("p", { class: "card-note" }, t("Speaks {languages}", { languages: languageNames(therapist.languages) }))
      : "",
    actionBar(card.actions ?? [], does.perform),
  );
  if (card.expires_at) frame.append(answerWithin(card.expires_at, does.clock));
}

/**
 * The offer itself stands below the log, and comes back from here after it was closed.
 * @param {HTMLElement} frame
 * @param {HTMLElement} title
 * @param {Card} card
 * @param {CardDoes} does
 */
function appBody(frame, title, card, does) {
  const look = { class: "btn btn-quiet", type: "button", testid: "app-see", on: { click: does.offerApp } };
  frame.append(title, ...text(card), h("button", look, t("See what the app can do")));
}

/** @param {HTMLElement} frame @param {HTMLElement} title @param {Card} card @param {CardDoes} does */
function ratingBody(frame, title, card, does) {
  const { therapist } = card;
  frame.append(
    h(
      "div",
      { class: "person" },
      avatar(therapist.name, therapist.photo, "small"),
      h("div", { class: "person-words" }, title, h("p", { class: "person-name" }, therapist.name)),
    ),
    ...text(card),
    ratingForm(card, does),
  );
}

/** @param {{rating: number, rating_count?: number}} person */
export function rating({ rating: value, rating_count: count }) {
  if (!value) return h("p", { class: "rating" }, t("New at Janji"));
  const spoken = t("Rated {rating} of 5", { rating: formatRating(value) });
  return h(
    "p",
    { class: "rating" },
    icon("star"),
    h("span", { class: "visually-hidden" }, spoken),
    h("b", { aria: { hidden: true } }, formatRating(value)),
    count ? h("span", {}, `(${formatCount(count)})`) : null,
  );
}

/** @param {string[]|undefined} words */
export function chips(words) {
  return words?.length
    ? h(
        "ul",
        { class: "chips" },
        words.map((word) => h("li", { class: "chip" }, word)),
      )
    : "";
}

/** Language codes by their names; what is a name already stays as it is. @param {string[]} codes */
export function languageNames(codes) {
  const names = new Intl.DisplayNames([document.documentElement.lang || "en"], { type: "language" });
  return codes.map((code) => (/^[a-z]{2,3}$/.test(code) ? names.of(code) : code)).join(", ");
}

/** @param {Parameters<typeof icon>[0]} name @param {string|null|undefined} words */
function fact(name, words) {
  return words ? h("li", {}, icon(name), words) : null;
}

/** @param {string} expiresAt @param {import("/parts/time.js").Clock} clock */
function answerWithin(expiresAt, clock) {
  const line = h("p", { class: "card-foot", role: "timer", aria: { live: "off" } });
  countDown(line, clock, expiresAt, (seconds) => {
    line.textContent = keptText(seconds);
  });
  return line;
}

/** @param {number} seconds */
function keptText(seconds) {
  if (seconds === 0) return t("One moment…");
  if (seconds === 1) return t("Kept for you for 1 second");
  return t("Kept for you for {seconds} seconds", { seconds });
}

/** @param {Card} card */
function text(card) {
  return card.text ? [h("p", { class: "card-text" }, card.text)] : [];
}

/** @param {Card} card @param {boolean} isLive @param {CardDoes} does */
function problemCard(card, isLive, does) {
  const actions = isLive && card.actions?.length ? [actionBar(card.actions, does.perform)] : [];
  const message = [card.title, card.text].filter(Boolean).join(" – ");
  return problemLine(
    { message, code: card.code, retry_after_s: isLive ? card.retry_after_s : null, dismissible: false },
    ...actions,
  );
}

/** @param {Card} card @param {string|null} outcome */
function finishedCard(card, outcome) {
  const person = card.therapist ? avatar(card.therapist.name, card.therapist.photo, "small") : null;
  const name = card.card === "therapist" ? card.therapist?.name : null;
  return h(
    "section",
    { class: "card card-finished", data: { card: card.card } },
    person,
    h("p", {}, h("span", { class: "card-finished-title" }, [card.title, name].filter(Boolean).join(" · "))),
    h("span", { class: "chip chip-quiet" }, outcomeText(card.card, outcome)),
  );
}

/** What became of a card, as its reader remembers it. @param {string} card @param {string|null} outcome */
function outcomeText(card, outcome) {
  if (outcome === "cancelled") return t("Cancelled");
  if (outcome === "expired") return t("Expired");
  if (card === "service" && outcome === "searching") return t("Sent");
  if (card === "therapist" && outcome === "active") return t("Accepted");
  if (card === "therapist" && outcome === "searching") return t("Not chosen");
  return t("Closed");
}
