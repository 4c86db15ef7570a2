/**
 * Where the guest is: a point that they have confirmed, by their device, from the list of places, or as they said last
 * time. It belongs to the text that stood there then: who changes the text is asked again.
 */

import { currentPlace } from "/device/geolocation.js";
import { getJson } from "/connection/http.js";
import { h, replaceChildren } from "/parts/dom.js";
import { icon } from "/parts/icons.js";
import { clientSettings } from "/parts/settings.js";
import { t } from "/parts/words.js";

const ASK_AFTER_MS = 350;

/** @typedef {{latitude: number, longitude: number, label: string, text: string}} Confirmed */
/** @typedef {{name: string, region: string, latitude: number, longitude: number}} FoundPlace */

export class PlaceField {
  /** Stands beside the label. */
  locate = h(
    "button",
    { class: "btn btn-quiet btn-small", type: "button", testid: "use-location" },
    icon("locate"),
    t("Use my location"),
  );
  #note = h("p", { class: "field-note", role: "status", testid: "place-note" });
  #choices = h("div", { class: "place-choices", role: "group", aria: { label: t("Which place is it?") } });
  element = h("div", { class: "place" }, this.#note, this.#choices);
  /** Called when a point was confirmed. */
  onConfirm = () => {};
  #control;
  #remember;
  /** @type {Confirmed|null} */
  #confirmed = null;
  #timer = 0;
  #asked = 0;

  /**
   * @param {HTMLInputElement} control the address as text
   * @param {any} known what the guest said before: `address` with its point, or the place of a form that was left
   * @param {(confirmed: Confirmed|null) => void} remember
   */
  constructor(control, known, remember) {
    this.#control = control;
    this.#remember = remember;
    const before = known.place ?? placeOf(known);
    if (before && before.text === control.value.trim()) this.#show(before);
    else if (control.value) this.#ask();
    else this.#beginWithTheDefault();
    control.addEventListener("input", () => this.#changed());
    this.locate.addEventListener("click", () => this.#useDevice());
  }

  /** The point of the text that stands there now, null where nobody has confirmed one. @returns {Confirmed|null} */
  confirmed() {
    const isOfThisText = this.#confirmed?.text === this.#control.value.trim();
    if (!isOfThisText) this.#ask();
    return isOfThisText ? this.#confirmed : null;
  }

  /** A demonstration has one, whose text and point belong together. */
  async #beginWithTheDefault() {
    const { map_default } = await clientSettings();
    if (this.#control.value || !map_default?.address) return;
    this.#control.value = map_default.address;
    const { latitude, longitude, address } = map_default;
    this.#show({ latitude, longitude, label: address, text: address });
  }

  #changed() {
    clearTimeout(this.#timer);
    replaceChildren(this.#note);
    this.#timer = window.setTimeout(() => this.#ask(), ASK_AFTER_MS);
  }

  /** Which of the places that the text names is meant; whoever has only added a room says so by one press. */
  async #ask() {
    clearTimeout(this.#timer);
    const text = this.#control.value.trim();
    const number = (this.#asked += 1);
    if (!text || this.#confirmed?.text === text) {
      replaceChildren(this.#choices);
      if (this.#confirmed && text) this.#show(this.#confirmed);
      return;
    }
    const answer = await getJson(`/api/places?${new URLSearchParams({ q: text })}`).catch(() => null);
    if (number !== this.#asked) return;
    /** @type {FoundPlace[]} */
    const places = answer?.places ?? [];
    const before = this.#confirmed;
    replaceChildren(
      this.#choices,
      before ? this.#choice(t("Still near {place}", { place: before.label }), before) : null,
      ...places.map((place) => this.#choice([place.name, place.region].filter(Boolean).join(", "), place)),
    );
    const isKnown = places.length > 0 || before !== null;
    const unknown = answer
      ? t("Please add the district and the town, like Kuta, Bali.")
      : t("We can't look for places just now. Use your location.");
    replaceChildren(this.#note, isKnown ? t("Which place is it?") : unknown);
  }

  /**
   * @param {string} label
   * @param {{latitude: number, longitude: number, label?: string}} point
   */
  #choice(label, { latitude, longitude, label: known }) {
    const confirm = () => this.#confirm({ latitude, longitude, label: known ?? label });
    const attributes = { class: "btn btn-secondary btn-small", type: "button", testid: "place", on: { click: confirm } };
    return h("button", attributes, icon("pin"), label);
  }

  /** @param {{latitude: number, longitude: number, label: string}} point */
  #confirm(point) {
    const confirmed = { ...point, text: this.#control.value.trim() };
    this.#asked += 1;
    this.#remember(confirmed);
    this.#show(confirmed);
    this.onConfirm();
    this.#control.focus();
  }

  /** @param {Confirmed} confirmed */
  #show(confirmed) {
    this.#confirmed = confirmed;
    replaceChildren(this.#choices);
    replaceChildren(this.#note, t("We look for therapists near {place}.", { place: confirmed.label }));
  }

  async #useDevice() {
    this.locate.disabled = true;
    replaceChildren(this.#note, t("Looking for you…"));
    const found = await currentPlace();
    this.locate.disabled = false;
    if (found) this.#confirm({ ...found, label: t("where you are now") });
    else {
      replaceChildren(this.#note, t("Your device does not tell us where you are. Please write the address."));
      if (this.#control.value.trim()) this.#ask();
    }
  }
}

/** @param {{address?: string, latitude?: number|null, longitude?: number|null}} known @returns {Confirmed|null} */
function placeOf({ address, latitude, longitude }) {
  if (!address || latitude == null || longitude == null) return null;
  return { latitude, longitude, label: address, text: address };
}
