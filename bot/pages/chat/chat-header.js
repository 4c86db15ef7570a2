/** The top of the guest's chat: who is there, how the connection is, the language, and the booking that stands. */

import { actionBar } from "/parts/actions.js";
import { avatar } from "/parts/avatar.js";
import { h, replaceChildren } from "/parts/dom.js";
import { icon } from "/parts/icons.js";
import { muteSwitch } from "/device/mute-switch.js";
import { connectionBadge, localeSwitch } from "/parts/page.js";
import { presenceText } from "/parts/presence.js";
import { t } from "/parts/words.js";

export class ChatHeader {
  element;
  /** The booking that stands, below the header. */
  bar = h("div", { class: "bar-place" });
  #title = h("div", { class: "header-place" });
  #badge = connectionBadge();
  #perform;
  #shown = "";

  /**
   * @param {object} does
   * @param {(action: import("/parts/actions.js").Action) => Promise<any>} does.perform
   * @param {import("/chat/host.js").Host} does.host
   * @param {string[]} does.locales
   * @param {(locale: string) => void} does.switchLocale
   */
  constructor({ perform, host, locales, switchLocale }) {
    this.#perform = perform;
    const language = localeSwitch(locales, switchLocale);
    const close = host.isEmbedded ? closeButton(host) : null;
    const tools = h("div", { class: "header-tools" }, this.#badge.element, muteSwitch(), language, close);
    this.element = h("header", { class: "chat-header" }, this.#title, tools);
  }

  /**
   * @param {import("/chat/conversation.js").Conversation} conversation
   * @param {import("/connection/correspondence.js").Presence|null} presence what is known of the therapist's being there
   */
  show(conversation, presence) {
    const { booking, actions, isWritable } = conversation;
    replaceChildren(this.#title, headerTitle(conversation, isWritable ? presence : null));
    const shown = JSON.stringify([isWritable, booking, actions]);
    if (shown === this.#shown) return;
    this.#shown = shown;
    replaceChildren(this.bar, isWritable && booking ? bookingBar(booking, actions, this.#perform) : null);
  }

  /** @param {import("/connection/connection.js").Status} status @param {string|null} rung */
  showStatus(status, rung) {
    this.#badge.show(status, rung);
  }
}

/** @param {import("/chat/host.js").Host} host */
function closeButton(host) {
  const label = { label: t("Close chat") };
  const close = () => host.close();
  const attributes = { class: "icon-button", type: "button", testid: "close-chat", aria: label, on: { click: close } };
  return h("button", attributes, icon("close"));
}

/**
 * @param {import("/chat/conversation.js").Conversation} conversation
 * @param {import("/connection/correspondence.js").Presence|null} presence
 */
function headerTitle({ header, booking, isWritable }, presence) {
  const progress = isWritable ? progressText(booking?.progress) : null;
  const photo = header.photo
    ? avatar(header.title, header.photo)
    : h("img", { class: "brand-mark", src: "/icon.svg", alt: "", width: 44, height: 44 });
  const lock = header.locked
    ? h(
        "span",
        { class: "lock", title: t("This chat is between you and your therapist") },
        icon("lock"),
        hidden(t("Private chat")),
      )
    : null;
  return h(
    "div",
    { class: "header-who" },
    photo,
    h(
      "div",
      { class: "header-names" },
      h("h1", { class: "header-title" }, h("span", { testid: "header-title" }, header.title), lock),
      h(
        "p",
        { class: "header-subtitle" },
        progress ? h("span", { class: "progress", testid: "progress" }, progress) : null,
        presenceText(presence) ?? header.subtitle,
      ),
    ),
  );
}

/** @param {string} text */
function hidden(text) {
  return h("span", { class: "visually-hidden" }, text);
}

/**
 * The booking that is under way, with what can still be done about it.
 * @param {BookingOfGuest} booking
 * @param {import("/parts/actions.js").Action[]} actions
 * @param {(action: import("/parts/actions.js").Action) => Promise<any>} perform
 */
function bookingBar(booking, actions, perform) {
  const facts = [booking.service?.name, t("{minutes} min", { minutes: booking.duration }), booking.price_text]
    .filter(Boolean)
    .join(" · ");
  const bar = h(
    "section",
    { class: "booking-bar", aria: { label: t("Your booking") } },
    h(
      "div",
      { class: "booking-words" },
      h("p", { class: "booking-facts" }, facts),
      h("p", { class: "booking-place" }, icon("pin"), h("span", {}, booking.location?.address ?? "")),
    ),
  );
  const cancel = actions.find((action) => action.command === "cancel");
  const others = actions.filter((action) => action.command !== "cancel");
  if (others.length) bar.append(actionBar(others, perform));
  if (cancel) bar.append(cancelWithQuestion(bar, cancel, perform));
  return bar;
}

/** @param {string|null|undefined} progress */
function progressText(progress) {
  const words = { on_the_way: t("On the way"), delayed: t("Delayed"), arrived: t("Arrived") };
  return words[/** @type {keyof typeof words} */ (progress)] ?? null;
}

/**
 * A therapist is on the way: a slip of the finger must not send her home.
 * @param {HTMLElement} bar
 * @param {import("/parts/actions.js").Action} cancel
 * @param {(action: import("/parts/actions.js").Action) => Promise<any>} perform
 */
function cancelWithQuestion(bar, cancel, perform) {
  const place = h("div", { class: "cancel-question" });
  /** @param {boolean} isAsking */
  const ask = (isAsking) => {
    const keep = { command: "keep_booking", label: t("Keep the booking"), style: "secondary" };
    const sure = { ...cancel, label: t("Yes, cancel"), style: "danger", testid: "confirm-cancel" };
    const first = { ...cancel, label: t("Cancel"), style: "danger-quiet" };
    /** @param {import("/parts/actions.js").Action} action */
    const press = (action) => {
      if (action === sure) return perform(cancel);
      ask(action === first);
      return Promise.resolve();
    };
    const buttons = actionBar(isAsking ? [keep, sure] : [first], press);
    replaceChildren(place, isAsking ? h("p", {}, t("Cancel this booking?")) : null, buttons);
    bar.classList.toggle("booking-bar-asking", isAsking);
    if (isAsking || place.isConnected) buttons.querySelector("button")?.focus();
  };
  ask(false);
  return place;
}
