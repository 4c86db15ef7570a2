/** A therapist's way in: the phone number first, then the code that was sent to it. */

import { pressOne } from "/parts/actions.js";
import { h, newId, replaceChildren, setAria } from "/parts/dom.js";
import { postJson, refusalOf } from "/connection/http.js";
import { problemLine } from "/parts/problems.js";
import { formatTime } from "/parts/time.js";
import { t } from "/parts/words.js";


/** @typedef {{expires_at: string, demo_code: string|null}} CodeSent */
/** @typedef {{token: string, therapist: {id: string, name: string, photo: string}}} SignedIn */

/**
 * @param {object} options
 * @param {ClientSettings} options.settings
 * @param {(signedIn: SignedIn) => void} options.onSignedIn
 * @param {string} [options.reason] why the therapist is asked to sign in again
 * @returns {HTMLElement}
 */
export function signInCard({ settings, onSignedIn, reason }) {
  const place = h("div", { class: "sign-in-step" });
  /** @param {string} phone */
  const toPhone = (phone) => replaceChildren(place, phoneForm({ settings, phone, onSent: toCode }));
  /** @param {string} phone @param {CodeSent} sent */
  const toCode = (phone, sent) => {
    replaceChildren(place, codeForm({ phone, sent, onSignedIn, onBack: () => toPhone(phone) }));
    place.querySelector("input")?.focus();
  };
  toPhone("");
  return h(
    "section",
    { class: "card sign-in", aria: { label: t("Sign in") } },
    h("img", { class: "brand-mark", src: "/icon.svg", alt: "", width: 56, height: 56 }),
    h("h1", {}, t("Welcome, therapist")),
    reason ? problemLine({ message: reason, dismissible: false }) : null,
    place,
  );
}

/** @param {{settings: ClientSettings, phone: string, onSent: (phone: string, sent: CodeSent) => void}} options */
function phoneForm({ settings, phone, onSent }) {
  const input = h("input", {
    type: "tel",
    name: "phone",
    testid: "phone",
    inputmode: "tel",
    autocomplete: "tel",
    placeholder: "+62 812 3456 7890",
    value: phone,
  });
  const button = h(
    "button",
    { class: "btn btn-primary btn-wide", type: "submit", testid: "request-code" },
    t("Send me a code"),
  );
  const form = formWith(input, t("Your phone number"), t("We send a code of six digits to it."), button, async () => {
    onSent(input.value.trim(), await postJson("/api/therapist/sign-in", { phone: input.value.trim() }));
  });
  if (settings.demo && settings.demo_therapist_phone) form.append(demoPhone(settings.demo_therapist_phone, input));
  return form;
}

/** @param {string} phone @param {HTMLInputElement} input */
function demoPhone(phone, input) {
  const fill = () => {
    input.value = phone;
    input.focus();
  };
  return h(
    "p",
    { class: "card-foot" },
    t("This is a demo."),
    " ",
    h(
      "button",
      { class: "link", type: "button", testid: "demo-phone", on: { click: fill } },
      t("Use {phone}", { phone }),
    ),
  );
}

/**
 * @param {object} options
 * @param {string} options.phone
 * @param {CodeSent} options.sent
 * @param {(signedIn: SignedIn) => void} options.onSignedIn
 * @param {() => void} options.onBack
 */
function codeForm({ phone, sent, onSignedIn, onBack }) {
  const input = h("input", {
    class: "code-input",
    type: "text",
    name: "code",
    testid: "code",
    inputmode: "numeric",
    autocomplete: "one-time-code",
  });
  const button = h("button", { class: "btn btn-primary btn-wide", type: "submit", testid: "sign-in" }, t("Sign in"));
  const hint = sent.expires_at
    ? t("Sent to {phone}. Valid until {time}.", { phone, time: formatTime(sent.expires_at) })
    : t("Sent to {phone}.", { phone });
  const form = formWith(input, t("Your code"), hint, button, async () => {
    const { token, therapist } = await postJson("/api/therapist/sign-in/confirm", { phone, code: input.value.replace(/\D/g, "") });
    onSignedIn({ token, therapist });
  });
  if (sent.demo_code)
    form.append(h("p", { class: "demo-code" }, t("Demo code:"), " ", h("b", { testid: "demo-code" }, sent.demo_code)));
  form.append(
    h(
      "button",
      { class: "btn btn-quiet btn-wide", type: "button", on: { click: onBack } },
      t("Another number or a new code"),
    ),
  );
  return form;
}

/**
 * A form of one field; whatever refuses it is shown below the field.
 * @param {HTMLInputElement} input
 * @param {string} label
 * @param {string} hint
 * @param {HTMLButtonElement} button
 * @param {() => Promise<void>} work
 */
function formWith(input, label, hint, button, work) {
  const hintLine = h("p", { class: "field-hint", id: newId("hint") }, hint);
  const problem = h("div", { class: "form-problem" });
  input.id = newId("field");
  setAria(input, "describedby", hintLine.id);
  const bar = h("div", { class: "actions" }, button);
  const field = h("div", { class: "field" }, h("label", { for: input.id }, label), input, hintLine);
  const form = h("form", { class: "sign-in-form", novalidate: true }, field, problem, bar);
  /** @param {import("/connection/http.js").Refusal} refusal */
  const refuse = (refusal) => {
    const reason = refusal.code === "invalid" ? (Object.values(refusal.fields)[0] ?? refusal.message) : refusal.message;
    replaceChildren(
      problem,
      problemLine({
        message: String(reason),
        retry_after_s: refusal.retry_after_s,
        code: refusal.code,
        dismissible: false,
      }),
    );
    setAria(input, "invalid", "true");
    input.focus();
  };
  form.addEventListener("submit", (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    problem.replaceChildren();
    setAria(input, "invalid", null);
    pressOne(bar, button, async () => {
      try {
        await work();
      } catch (error) {
        refuse(refusalOf(error));
        throw error;
      }
    });
  });
  return form;
}
