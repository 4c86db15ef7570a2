/** The form of the rating card: one to five stars, and a few words. */

import { actionButton, pressOne } from "/parts/actions.js";
import { h, newId } from "/parts/dom.js";
import { refusalOf } from "/connection/http.js";
import { icon } from "/parts/icons.js";
import { t } from "/parts/words.js";


/**
 * @param {any} card the rating card's data; `stars` are those that were given already
 * @param {import("/chat/chat-cards.js").CardDoes} does
 * @returns {HTMLFormElement}
 */
export function ratingForm(card, does) {
  const action = card.actions?.[0] ?? { command: "rate", label: t("Send rating"), payload: {} };
  const stars = starsField(card.stars);
  const comment = commentField();
  const button = actionButton({ ...action, style: "primary" }, () => {}, "submit");
  const bar = h("div", { class: "actions" }, button);
  const form = h("form", { class: "rating-form", novalidate: true }, stars.element, comment.element, bar);
  button.disabled = stars.value() === 0;
  stars.element.addEventListener("change", () => (button.disabled = false));
  form.addEventListener("submit", /** @param {Event} event */ (event) => {
    event.preventDefault();
    const fields = { stars: stars.value(), ...(comment.value() ? { comment: comment.value() } : {}) };
    pressOne(bar, button, () => send(does, action, fields));
  });
  return form;
}

/**
 * @param {import("/chat/chat-cards.js").CardDoes} does
 * @param {import("/parts/actions.js").Action} action
 * @param {object} fields
 */
async function send(does, action, fields) {
  try {
    await does.send(action, fields);
  } catch (error) {
    const refusal = refusalOf(error);
    does.showRefusal(refusal);
    throw refusal;
  }
}

/**
 * Five radio buttons, so that keys and screen readers know them; the stars up to the chosen one are filled.
 * @param {number|undefined} given
 */
function starsField(given) {
  const name = newId("stars");
  const inputs = [1, 2, 3, 4, 5].map((value) =>
    h("input", { class: "visually-hidden", type: "radio", name, value, checked: value === given }),
  );
  const labels = inputs.map((input, index) =>
    h(
      "label",
      { class: "star", testid: `stars-${index + 1}` },
      input,
      icon("star"),
      h("span", { class: "visually-hidden" }, t("{stars} of 5 stars", { stars: index + 1 })),
    ),
  );
  const value = () => Number(inputs.find((input) => input.checked)?.value ?? 0);
  const fill = () => labels.forEach((label, index) => label.classList.toggle("star-filled", index < value()));
  const element = h(
    "fieldset",
    { class: "stars", on: { change: fill } },
    h("legend", { class: "visually-hidden" }, t("Your rating")),
    labels,
  );
  fill();
  return { element, value };
}

function commentField() {
  const control = h("textarea", {
    id: newId("comment"),
    testid: "field-comment",
    rows: 2,
    autocomplete: "off",
  });
  const label = h("label", { for: control.id }, t("A few words (optional)"));
  return {
    element: h("div", { class: "field" }, h("div", { class: "field-top" }, label), control),
    value: () => control.value.trim(),
  };
}
