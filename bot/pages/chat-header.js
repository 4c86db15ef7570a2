/** The top of the guest's chat: who is there, how the connection is, the language, and the booking that stands. */

import { actionBar } from "/actions.js";
import { avatar } from "/avatar.js";
import { h, replaceChildren } from "/dom.js";
import { icon } from "/icons.js";
import { t } from "/words.js";

/**
 * @param {import("/conversation.js").Conversation} conversation
 * @param {string|null} presence what is known of the therapist's being there
 */
export function headerTitle({ header, booking, isWritable }, presence) {
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

function hidden(text) {
  return h("span", { class: "visually-hidden" }, text);
}

function presenceText(presence) {
  if (presence === "online") return t("Online");
  if (presence === "away") return t("Away for a moment");
  if (presence === "offline") return t("Offline, will see your messages later");
  return null;
}

/**
 * The booking that is under way, with what can still be done about it.
 * @param {any} booking
 * @param {import("/actions.js").Action[]} actions
 * @param {(action: import("/actions.js").Action) => Promise<any>} perform
 */
export function bookingBar(booking, actions, perform) {
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

function progressText(progress) {
  const words = { on_the_way: t("On the way"), delayed: t("Delayed"), arrived: t("Arrived") };
  return words[progress] ?? null;
}

/** A therapist is on the way: a slip of the finger must not send her home. */
function cancelWithQuestion(bar, cancel, perform) {
  const place = h("div", { class: "cancel-question" });
  const ask = (isAsking) => {
    const keep = { command: "keep_booking", label: t("Keep the booking"), style: "secondary" };
    const sure = { ...cancel, label: t("Yes, cancel"), style: "danger", testid: "confirm-cancel" };
    const first = { ...cancel, label: t("Cancel"), style: "danger-quiet" };
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
