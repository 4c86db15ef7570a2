/** The switch by which a therapist says that offers may come, and from where. */

import { h, replaceChildren, setAria } from "/parts/dom.js";
import { refusalOf } from "/connection/http.js";
import { currentPlace } from "/device/geolocation.js";
import { t } from "/parts/words.js";

/** @typedef {{available: boolean, latitude?: number, longitude?: number}} Availability */

export class AvailabilitySwitch {
  element = h("section", { class: "card availability" });
  #send;
  #onRefused;
  #isAvailable = false;
  #title = h("h2");
  #hint = h("p");
  #toggle;

  /**
   * @param {object} does
   * @param {(availability: Availability) => Promise<void>} does.send
   * @param {(refusal: import("/connection/http.js").Refusal) => void} does.onRefused
   */
  constructor({ send, onRefused }) {
    this.#send = send;
    this.#onRefused = onRefused;
    const attributes = {
      class: "switch",
      type: "button",
      role: "switch",
      testid: "available",
      aria: { label: t("Available") },
    };
    this.#toggle = h(
      "button",
      { ...attributes, on: { click: () => this.#change() } },
      h("span", { class: "switch-knob" }),
    );
    replaceChildren(this.element, h("div", {}, this.#title, this.#hint), this.#toggle);
    this.show(false);
  }

  /** @param {boolean} isAvailable */
  show(isAvailable) {
    this.#isAvailable = isAvailable;
    this.#title.textContent = isAvailable ? t("You are available") : t("You are not available");
    this.#hint.textContent = isAvailable
      ? t("Offers near you appear here at once.")
      : t("Switch on to receive offers.");
    setAria(this.#toggle, "checked", isAvailable);
  }

  /** Says so at once; where she is follows when the browser tells. */
  async #change() {
    const available = !this.#isAvailable;
    this.#toggle.disabled = true;
    setAria(this.#toggle, "busy", "true");
    await this.#tell({ available });
    this.#toggle.disabled = false;
    setAria(this.#toggle, "busy", null);
    this.#toggle.focus();
    const place = available ? await currentPlace() : null;
    if (place && this.#isAvailable) await this.#tell({ available: true, ...place });
  }

  /** @param {Availability} payload */
  async #tell(payload) {
    try {
      await this.#send(payload);
      this.show(payload.available);
    } catch (error) {
      this.#onRefused(refusalOf(error));
    }
  }
}
