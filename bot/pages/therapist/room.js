/** One booking as the therapist works in it: the facts, the steps of the visit, and the chat with the guest. */

import { actionBar, actionButton, pressOne } from "/parts/actions.js";
import { isWritable, statusText } from "/therapist/bookings.js";
import { typingNote } from "/chat/chat-notes.js";
import { h, newId, replaceChildren } from "/parts/dom.js";
import { refusalOf } from "/connection/http.js";
import { icon } from "/parts/icons.js";
import { bubble, composer, systemLine } from "/parts/messages.js";
import { PendingMessages } from "/parts/pending.js";
import { presenceText } from "/parts/presence.js";
import { problemLine } from "/parts/problems.js";
import { Ticks } from "/parts/ticks.js";
import { t } from "/parts/words.js";

const DELAYS_MIN = [5, 10, 15, 20, 30, 45, 60];
const USUAL_DELAY_MIN = 10;
const NEAR_END_PX = 80;

export class Room {
  element;
  #booking;
  #send;
  #facts = h("header", { class: "room-header" });
  #steps = h("div", { class: "room-steps" });
  #list = h("ol", { class: "log-list" });
  #now = h("div", { class: "log-now" });
  #scroll;
  #presence = h("span", { class: "room-presence", testid: "presence" });
  #ticks = new Ticks();
  #isTyping = false;
  #foot = h("div", { class: "room-foot" });
  #composer;
  #pending;
  #shown = "";
  #onBack;

  /**
   * @param {object} options
   * @param {BookingOfTherapist} options.booking
   * @param {(command: string, payload: any) => Promise<any>} options.send
   * @param {import("/connection/outbox.js").Outbox} options.outbox
   * @param {(on: boolean) => void} options.onTyping
   * @param {() => void} options.onSeen the therapist may see more of it than before
   * @param {() => void} options.onBack
   */
  constructor({ booking, send, outbox, onTyping, onSeen, onBack }) {
    this.#booking = booking;
    this.#send = send;
    this.#onBack = onBack;
    const waiting = h("ol", { class: "log-list log-pending" });
    this.#pending = new PendingMessages(waiting, "therapist", {
      tryAgain: (client_id) => outbox.tryAgain(client_id),
      discard: (client_id) => outbox.done(client_id),
    });
    this.#scroll = h(
      "div",
      { class: "log-scroll", tabindex: 0, role: "log", aria: { live: "off", label: t("Conversation") } },
      this.#list,
      waiting,
      this.#now,
    );
    this.#scroll.addEventListener("scroll", () => this.isAtEnd && onSeen(), { passive: true });
    this.#composer = composer({
      label: t("Write to {name}", { name: /** @type {string} */ (booking.guest.name) }),
      onTyping,
      onSend: (text) => {
        outbox.add({ booking_id: booking.id, text });
        this.scrollToEnd();
      },
    });
    this.element = h(
      "section",
      {
        class: "room",
        testid: "room",
        data: { bookingId: booking.id },
        aria: { label: t("Booking of {name}", { name: /** @type {string} */ (booking.guest.name) }) },
      },
      this.#facts,
      this.#steps,
      this.#scroll,
      this.#foot,
    );
    this.show(booking);
  }

  get isAtEnd() {
    const { scrollTop, scrollHeight, clientHeight } = this.#scroll;
    return scrollHeight - scrollTop - clientHeight < NEAR_END_PX;
  }

  get input() {
    return this.#composer.input;
  }

  /** @param {import("/connection/outbox.js").Waiting[]} waiting the messages of this booking that the server may not have */
  showWaiting(waiting) {
    this.#pending.show(waiting);
  }

  /** @param {BookingOfTherapist} booking */
  show(booking) {
    const shown = JSON.stringify(booking);
    if (shown === this.#shown) return;
    this.#shown = shown;
    this.#booking = booking;
    replaceChildren(this.#facts, this.#factsOf(booking));
    replaceChildren(this.#steps, booking.status === "active" ? this.#stepsOf(booking) : null);
    const over = h("p", { class: "room-over" }, t("This chat is closed: {status}", { status: statusText(booking) }));
    if (isWritable(booking) !== this.#foot.contains(this.#composer.element))
      replaceChildren(this.#foot, isWritable(booking) ? this.#composer.element : over);
    else if (!isWritable(booking)) replaceChildren(this.#foot, over);
  }

  /** @param {import("/connection/feeds.js").Entry} entry of the conversation; the guest's cards are not the therapist's business */
  add({ type, seq, data, at }) {
    if (type === "message") {
      const element = bubble({ ...data, at, reader: "therapist" });
      if (data.from === "therapist") {
        this.#pending.drop(data.client_id);
        this.#ticks.add(seq, element);
      }
      this.#list.append(element);
    } else if (type === "system") this.#list.append(systemLine(data.text));
    else return;
    this.scrollToEnd();
  }

  /** @param {import("/connection/correspondence.js").Correspondence} live who is there and writes, and what has arrived */
  showLive({ presence, isTyping, receipts }) {
    const isOn = isWritable(this.#booking);
    this.#ticks.show(receipts);
    this.#presence.textContent = isOn ? presenceText(presence) : null;
    this.#presence.dataset.presence = presence ?? "";
    const wasAtEnd = this.isAtEnd;
    if ((isOn && isTyping) === this.#isTyping) return;
    this.#isTyping = isOn && isTyping;
    replaceChildren(this.#now, this.#isTyping ? typingNote(/** @type {string} */ (this.#booking.guest.name)) : null);
    if (wasAtEnd) this.scrollToEnd();
  }

  scrollToEnd() {
    this.#scroll.scrollTop = this.#scroll.scrollHeight;
  }

  /** @param {import("/connection/http.js").Refusal} refusal */
  #addProblem(refusal) {
    this.#list.append(h("li", {}, problemLine({ ...refusal, message: refusal.message })));
    this.scrollToEnd();
  }

  /** @param {BookingOfTherapist} booking */
  #factsOf(booking) {
    const back = h(
      "button",
      {
        class: "icon-button room-back",
        type: "button",
        testid: "back",
        aria: { label: t("Back to the bookings") },
        on: { click: () => this.#onBack() },
      },
      icon("arrow_back"),
    );
    const { latitude, longitude, address } = /** @type {Partial<GivenLocation>} */ (booking.location ?? {});
    const map =
      latitude === undefined
        ? null
        : h(
            "a",
            {
              href: `https://www.openstreetmap.org/?mlat=${latitude}&mlon=${longitude}#map=17/${latitude}/${longitude}`,
              target: "_blank",
              rel: "noreferrer",
            },
            t("Map"),
          );
    const phone = booking.guest.phone ? h("a", { href: `tel:${booking.guest.phone}` }, booking.guest.phone) : null;
    return [
      back,
      h(
        "div",
        { class: "room-words" },
        h(
          "h2",
          {},
          h("span", {}, booking.guest.name),
          h(
            "span",
            { class: "chip chip-accent", testid: "booking-status", data: { status: booking.status } },
            statusText(booking),
          ),
          this.#presence,
        ),
        h(
          "p",
          {},
          `${booking.service.name} · ${t("{minutes} min", { minutes: booking.duration })} · ${booking.earnings_text}`,
        ),
        booking.notes ? h("p", { class: "room-notes" }, booking.notes) : null,
        h("p", { class: "room-links" }, h("span", { class: "room-address" }, icon("pin"), address), map, phone),
      ),
    ];
  }

  /** @param {BookingOfTherapist} booking */
  #stepsOf(booking) {
    const minutes = h(
      "select",
      { testid: "delay-minutes", aria: { label: t("Delay in minutes") } },
      DELAYS_MIN.map((delay) =>
        h("option", { value: delay, selected: delay === USUAL_DELAY_MIN }, t("{minutes} min", { minutes: delay })),
      ),
    );
    const steps = [
      ["on_the_way", t("On the way"), "secondary"],
      ["delayed", t("Delayed"), "secondary"],
      ["arrived", t("Arrived"), "secondary"],
      ["completed", t("Complete"), "primary"],
      ["no_show", t("Guest not there"), "quiet"],
    ];
    const bar = h("div", { class: "actions steps" });
    for (const [step, label, style] of steps) {
      const button = actionButton({ command: "progress", testid: `progress-${step}`, label, style }, (pressed) =>
        pressOne(bar, pressed, () => this.#progress(step, Number(minutes.value))),
      );
      if (booking.progress === step) button.classList.add("btn-chosen");
      bar.append(step === "delayed" ? h("span", { class: "delay" }, button, minutes) : button);
    }
    bar.append(this.#cancelButton());
    return bar;
  }

  /** @param {string} step @param {number} minutes */
  #progress(step, minutes) {
    return this.#perform("progress", {
      booking_id: this.#booking.id,
      step,
      ...(step === "delayed" ? { minutes } : {}),
    });
  }

  /** @param {string} command @param {Record<string, string|number>} payload */
  async #perform(command, payload) {
    try {
      return await this.#send(command, payload);
    } catch (error) {
      const refusal = refusalOf(error);
      this.#addProblem(refusal);
      throw refusal;
    }
  }

  #cancelButton() {
    const open = () => {
      const form = this.#cancelForm();
      replaceChildren(this.#steps, form);
      form.querySelector("textarea")?.focus();
    };
    return actionButton({ command: "cancel_booking", label: t("Cancel booking"), style: "danger-quiet" }, open);
  }

  #cancelForm() {
    const reason = h("textarea", { id: newId("reason"), testid: "cancel-reason", rows: 2 });
    const error = h("p", { class: "field-error" });
    /** @param {import("/parts/actions.js").Action} action */
    const press = ({ command }) => {
      if (command === "keep_booking") {
        replaceChildren(this.#steps, this.#stepsOf(this.#booking));
        return Promise.resolve();
      }
      if (reason.value.trim())
        return this.#perform("cancel_booking", { booking_id: this.#booking.id, reason: reason.value.trim() });
      error.textContent = t("Please give the guest a reason.");
      reason.focus();
      return Promise.reject(new Error("no reason"));
    };
    const actions = [
      { command: "confirm_cancel", label: t("Cancel booking"), style: "danger" },
      { command: "keep_booking", label: t("Keep the booking"), style: "secondary" },
    ];
    return h(
      "div",
      { class: "cancel-form field" },
      h("label", { for: reason.id }, t("Why do you cancel? The guest reads this.")),
      reason,
      error,
      actionBar(actions, press),
    );
  }
}
