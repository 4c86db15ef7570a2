/** A quiet line with one thing to press: what the page would like to be allowed, and why. */

import { h, replaceChildren } from "/parts/dom.js";
import { icon } from "/parts/icons.js";
import { t } from "/parts/words.js";

/**
 * @param {object} options
 * @param {string} options.testid
 * @param {Parameters<typeof icon>[0]} options.picture
 * @param {string} options.text
 * @param {{label: string, testid: string, onPress: () => void}} [options.action]
 * @param {() => void} [options.onDismiss] without it the line stays until it is not needed any more
 * @returns {HTMLElement}
 */
export function nudge({ testid, picture, text, action, onDismiss }) {
  const line = h("div", { class: "nudge", role: "status", testid });
  const button = action
    ? h(
        "button",
        { class: "btn btn-small btn-secondary", type: "button", testid: action.testid, on: { click: action.onPress } },
        action.label,
      )
    : null;
  const dismiss = { class: "icon-button", type: "button", testid: "dismiss", aria: { label: t("Dismiss") } };
  const close = onDismiss ? h("button", { ...dismiss, on: { click: onDismiss } }, icon("close")) : null;
  replaceChildren(line, icon(picture), h("p", { class: "nudge-text" }, text), button, close);
  return line;
}
