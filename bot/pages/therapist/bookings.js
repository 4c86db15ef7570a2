/** A therapist's bookings as a list to choose from, those that need doing first. */

import { h, replaceChildren } from "/parts/dom.js";
import { formatDayAndTime } from "/parts/time.js";
import { currentLocale, t } from "/parts/words.js";

const OPEN = new Set(["active", "confirmed", "pending", "pending_accept"]);
const EARNING = new Set([...OPEN, "completed"]);
const WRITABLE = new Set(["active", "confirmed"]);

/** @param {BookingOfTherapist} booking */
export function isOpen(booking) {
  return OPEN.has(booking.status);
}

/** @param {BookingOfTherapist} booking */
export function isWritable(booking) {
  return WRITABLE.has(booking.status);
}

/** @param {BookingOfTherapist} booking */
export function statusText({ status, progress }) {
  if (status === "active" && progress) return progressText(progress);
  /** @type {Record<string, string>} */
  const words = {
    searching: t("Searching"),
    pending_accept: t("The guest decides"),
    pending: t("Waits for you"),
    confirmed: t("Confirmed"),
    active: t("Active"),
    completed: t("Completed"),
    cancelled: t("Cancelled"),
    expired: t("Expired"),
    no_show: t("Guest was not there"),
  };
  return words[status] ?? status;
}

/** @param {string} progress */
function progressText(progress) {
  /** @type {Record<string, string>} */
  const words = { on_the_way: t("On the way"), delayed: t("Delayed"), arrived: t("Arrived") };
  return words[progress] ?? progress;
}

/**
 * @param {HTMLElement} place
 * @param {BookingOfTherapist[]} bookings
 * @param {object} options
 * @param {string|null} options.chosen
 * @param {Map<string, number>} options.unread messages not looked at, by booking
 * @param {(id: string) => void} options.onChoose
 */
export function showBookings(place, bookings, { chosen, unread, onChoose }) {
  const shown = JSON.stringify([currentLocale(), bookings, chosen, [...unread]]);
  if (place.dataset.shown === shown) return;
  place.dataset.shown = shown;
  const focused = place.contains(document.activeElement)
    ? /** @type {any} */ (document.activeElement).dataset.bookingId
    : null;
  const sorted = [...bookings].sort(
    (one, other) => Number(isOpen(other)) - Number(isOpen(one)) || timeOf(other) - timeOf(one),
  );
  const cards = sorted.map((booking) =>
    h("li", {}, bookingCard(booking, booking.id === chosen, unread.get(booking.id) ?? 0, onChoose)),
  );
  const nothing = h("p", { class: "empty" }, t("No bookings yet. Be available, and offers come to you here."));
  replaceChildren(
    place,
    h("h2", { class: "section-title" }, t("Bookings")),
    cards.length ? h("ul", { class: "bookings" }, cards) : nothing,
  );
  if (focused) /** @type {any} */ (place.querySelector(`[data-booking-id="${CSS.escape(focused)}"]`))?.focus();
}

/** @param {BookingOfTherapist} booking */
function timeOf(booking) {
  return Date.parse(booking.starts_at ?? booking.created_at ?? "") || 0;
}

/**
 * @param {BookingOfTherapist} booking
 * @param {boolean} isChosen
 * @param {number} unread
 * @param {(id: string) => void} onChoose
 */
function bookingCard(booking, isChosen, unread, onChoose) {
  const status = h("span", { class: isOpen(booking) ? "chip chip-accent" : "chip chip-quiet" }, statusText(booking));
  const news = unread
    ? h("span", { class: "unread", aria: { label: t("New messages: {count}", { count: unread }) } }, unread)
    : null;
  return h(
    "button",
    {
      class: isChosen ? "booking booking-chosen" : "booking",
      type: "button",
      testid: "booking",
      data: { status: booking.status, bookingId: booking.id },
      aria: { pressed: isChosen },
      on: { click: () => onChoose(booking.id) },
    },
    h("span", { class: "booking-line" }, h("b", {}, booking.guest.name), news, status),
    h(
      "span",
      { class: "booking-line booking-quiet" },
      `${booking.service.name} · ${t("{minutes} min", { minutes: booking.duration })}`,
      EARNING.has(booking.status) ? h("b", {}, booking.earnings_text) : null,
    ),
    h(
      "span",
      { class: "booking-line booking-quiet" },
      formatDayAndTime(/** @type {string} */ (booking.starts_at ?? booking.created_at)),
    ),
  );
}
