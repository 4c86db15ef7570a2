/** The form of the service card: how long, where, who, and how to reach the guest. */

import { actionButton, pressOne } from "/parts/actions.js";
import { h, newId, replaceChildren, setAria } from "/parts/dom.js";
import { Refusal, refusalOf } from "/connection/http.js";
import { forget, read, write } from "/device/storage.js";
import { problemLine } from "/parts/problems.js";
import { PlaceField } from "/chat/place-field.js";
import { t } from "/parts/words.js";

const DRAFT_KEY = "janji.draft";
/**
 * @typedef {object} Field
 * @property {HTMLElement} element
 * @property {() => void} focus
 * @property {() => boolean} hasError
 * @property {(reason: string) => void} showError
 * @property {() => any} value
 * @property {() => Promise<{latitude: number, longitude: number}|null>} [place] of an address
 * @typedef {Record<string, Field>} Fields
 */

/** The field that shows an error the server names otherwise. @type {Record<string, string>} */
const FIELD_OF = {
  location: "address",
  "location.address": "address",
  "location.latitude": "address",
  "location.longitude": "address",
  gender_preference: "gender",
};

/**
 * Remembers what the guest has already told us on the way here, as a length picked from the price list.
 * @param {object} known
 */
export function prefill(known) {
  write(DRAFT_KEY, { ...read(DRAFT_KEY), ...known });
}

/**
 * @param {any} card the service card's data
 * @param {object} does
 * @param {(action: any, fields: any) => Promise<any>} does.send rejects with a Refusal
 * @param {(action: any) => Promise<any>} does.perform the same, and shows a refusal itself
 * @param {(refusal: import("/connection/http.js").Refusal) => void} does.showRefusal
 * @returns {HTMLFormElement}
 */
export function serviceForm(card, does) {
  const known = { ...card.defaults, ...read(DRAFT_KEY) };
  const fields = {
    duration: durationField(card.durations ?? [], known.duration),
    address: addressField(known),
    name: textField("name", t("Your name"), known.name, { autocomplete: "name" }),
    phone: textField(
      "phone",
      t("WhatsApp number"),
      known.phone,
      { type: "tel", inputmode: "tel", autocomplete: "tel", placeholder: "+62 812 3456 7890" },
      t("With the country code, +62 for Indonesia"),
    ),
    gender: genderField(known.gender),
  };
  const buttons = formButtons(card, does);
  const problem = h("div", { class: "form-problem" });
  /** @param {import("/connection/http.js").Refusal} refusal */
  const showRefusal = (refusal) => {
    if (Object.keys(refusal.fields).length)
      replaceChildren(problem, problemLine({ ...refusal, message: refusal.message, dismissible: false }));
    else does.showRefusal(refusal);
  };
  const elements = Object.values(fields).map((field) => field.element);
  const form = h("form", { class: "service-form", novalidate: true }, elements, problem, buttons.bar);
  form.addEventListener("input", () => prefill(valuesOf(fields)));
  form.addEventListener("submit", /** @param {Event} event */ (event) => {
    event.preventDefault();
    problem.replaceChildren();
    if (!isFilled(fields)) return;
    /** @param {object} values */
    const send = (values) => does.send(buttons.confirmAction, values);
    pressOne(buttons.bar, buttons.confirm, () => submit(fields, send, showRefusal));
  });
  return form;
}

/** @param {any} card @param {{perform: (action: import("/parts/actions.js").Action) => Promise<any>}} does */
function formButtons(card, does) {
  /** @type {import("/parts/actions.js").Action[]} */
  const actions = card.actions ?? [];
  const confirmAction = actions.find((one) => one.command === "confirm_service") ?? {
    command: "confirm_service",
    label: t("Confirm & search"),
    payload: { revision: card.revision },
  };
  const cancelAction = actions.find((one) => one.command === "cancel") ?? {
    command: "cancel",
    label: t("Cancel"),
    style: "quiet",
  };
  const confirm = actionButton({ ...confirmAction, style: "primary" }, () => {}, "submit");
  const bar = h("div", { class: "actions" }, confirm);
  const cancel = actionButton(cancelAction, (button) => {
    forget(DRAFT_KEY);
    pressOne(bar, button, () => does.perform(cancelAction));
  });
  bar.append(cancel);
  return { bar, confirm, confirmAction };
}

/**
 * Sends the form; an error that names fields is shown at them, the first of them in focus.
 * @param {Fields} fields
 * @param {(values: object) => Promise<any>} send
 * @param {(refusal: Refusal) => void} showRefusal
 */
async function submit(fields, send, showRefusal) {
  for (const field of Object.values(fields)) field.showError("");
  const place = await fields.address.place?.();
  if (!place) {
    refuse(fields, { address: t("Where is that? Choose the place on the list, or use your location.") });
    throw new Refusal({ code: "invalid" });
  }
  const { duration, address, name, phone, gender } = valuesOf(fields);
  try {
    const { latitude, longitude } = place;
    const location = { address, latitude, longitude };
    await send({ duration, location, name, phone, gender_preference: gender });
    forget(DRAFT_KEY);
  } catch (error) {
    const refusal = refusalOf(error);
    showRefusal(refusal);
    refuse(fields, refusal.fields);
    throw refusal;
  }
}

/** @param {Fields} fields */
function isFilled(fields) {
  const missing = ["address", "name", "phone"].filter((name) => !fields[name].value());
  for (const field of Object.values(fields)) field.showError("");
  refuse(fields, Object.fromEntries(missing.map((name) => [name, t("Please fill this in.")])));
  return missing.length === 0;
}

/** @param {Fields} fields @param {Record<string, unknown>} reasons */
function refuse(fields, reasons) {
  for (const [name, reason] of Object.entries(reasons)) fields[FIELD_OF[name] ?? name]?.showError(String(reason));
  const first = Object.values(fields).find((field) => field.hasError());
  first?.focus();
}

/** @param {Fields} fields */
function valuesOf(fields) {
  return Object.fromEntries(Object.entries(fields).map(([name, field]) => [name, field.value()]));
}

/**
 * A label, a control, a hint and the place of its error, tied together for screen readers.
 * @param {string} name
 * @param {string} label
 * @param {HTMLElement} control
 * @param {{hint?: string, beside?: HTMLElement|null, after?: HTMLElement|null}} [more]
 */
function labelled(name, label, control, { hint = "", beside = null, after = null } = {}) {
  const hintLine = hint ? h("p", { class: "field-hint", id: newId("hint") }, hint) : null;
  const errorLine = h("p", { class: "field-error", id: newId("error"), testid: `error-${name}` });
  control.id = newId(name);
  setAria(control, "describedby", [hintLine?.id, errorLine.id].filter(Boolean).join(" "));
  const top = h("div", { class: "field-top" }, h("label", { for: control.id }, label), beside);
  const element = h("div", { class: "field" }, top, control, errorLine, after, hintLine);
  return { element, ...errorOf(element, control, errorLine) };
}

/** @param {HTMLElement} element @param {HTMLElement} control @param {HTMLElement} line */
function errorOf(element, control, line) {
  return {
    focus: () => control.focus(),
    hasError: () => line.textContent !== "",
    /** @param {string} reason */
    showError: (reason) => {
      line.textContent = reason;
      element.classList.toggle("field-wrong", reason !== "");
      setAria(control, "invalid", reason ? "true" : null);
    },
  };
}

/**
 * @param {string} name
 * @param {string} label
 * @param {string|null|undefined} value
 * @param {object} attributes
 * @param {string} [hint]
 */
function textField(name, label, value, attributes, hint) {
  const control = h("input", { type: "text", name, testid: `field-${name}`, value: value ?? "", ...attributes });
  const field = labelled(name, label, control, { hint });
  control.addEventListener("input", () => field.showError(""));
  return { ...field, value: () => control.value.trim() };
}

/** @param {DurationPrice[]} durations @param {unknown} chosen */
function durationField(durations, chosen) {
  const minutes = durations.map((one) => one.minutes);
  const present = minutes.includes(Number(chosen)) ? Number(chosen) : (minutes[0] ?? null);
  const inputs = durations.map((one) =>
    h("input", { type: "radio", name: "duration", value: one.minutes, checked: one.minutes === present }),
  );
  const cards = durations.map((one, index) =>
    h(
      "label",
      { class: "radio-card", testid: `duration-${one.minutes}` },
      inputs[index],
      h("span", { class: "radio-card-title" }, t("{minutes} min", { minutes: one.minutes })),
      h("span", { class: "radio-card-price" }, one.price_text),
    ),
  );
  const error = h("p", { class: "field-error", id: newId("error"), testid: "error-duration" });
  const element = h(
    "fieldset",
    { class: "field", aria: { describedby: error.id } },
    h("legend", {}, t("How long?")),
    h("div", { class: "radio-cards" }, cards),
    error,
  );
  const control = inputs.find((input) => input.checked) ?? element;
  return {
    element,
    ...errorOf(element, control, error),
    value: () => Number(inputs.find((input) => input.checked)?.value ?? 0),
  };
}

/** @param {string|undefined} chosen */
function genderField(chosen) {
  const choices = [
    ["any", t("No preference")],
    ["female", t("A woman, please")],
    ["male", t("A man, please")],
  ];
  const options = choices.map(([value, label]) => h("option", { value, selected: value === chosen }, label));
  const control = h("select", { name: "gender", testid: "field-gender" }, options);
  return { ...labelled("gender", t("Therapist (optional)"), control), value: () => control.value };
}

/**
 * The address as text, and the point that the guest has confirmed for it.
 * @param {any} known
 */
function addressField(known) {
  const control = h("input", {
    type: "text",
    name: "address",
    testid: "field-address",
    autocomplete: "street-address",
    value: known.address ?? "",
  });
  const place = new PlaceField(control, known, (confirmed) => prefill({ place: confirmed }));
  const field = labelled("address", t("Address"), control, {
    hint: t("Street and number, district and town; villa or hotel, room"),
    beside: place.locate,
    after: place.element,
  });
  control.addEventListener("input", () => field.showError(""));
  place.onConfirm = () => field.showError("");
  return { ...field, value: () => control.value.trim(), place: async () => place.confirmed() };
}
