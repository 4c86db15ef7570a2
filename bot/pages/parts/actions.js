/** Buttons for what the server says a person can do now. */

import { h, setAria } from "/parts/dom.js";

/** @typedef {{command: string, label: string, style?: string, payload?: any, testid?: string}} Action */

/** How long after a good answer a bar stays shut, so that the news it brought can replace it. */
const NEWS_AFTER_MS = 1500;
/** @type {Record<string, string>} */
const TESTIDS = { book: "book-now", confirm_service: "confirm" };

/** @param {Action} action */
function testidOf({ testid, command }) {
  return testid ?? TESTIDS[command] ?? command.replaceAll("_", "-");
}

/**
 * A row of buttons of which one can be pressed at a time.
 * @param {Action[]} actions
 * @param {(action: Action) => Promise<any>} perform resolves when it is done, rejects when it was refused
 * @returns {HTMLElement}
 */
export function actionBar(actions, perform) {
  const bar = h("div", { class: "actions" });
  for (const action of actions)
    bar.append(actionButton(action, (button) => pressOne(bar, button, () => perform(action))));
  return bar;
}

/** @param {Action} action @param {(button: HTMLButtonElement) => void} onPress */
export function actionButton(action, onPress, type = "button") {
  const button = h(
    "button",
    { class: `btn btn-${action.style ?? "secondary"}`, type, testid: testidOf(action) },
    action.label,
  );
  if (type === "button") button.addEventListener("click", () => onPress(button));
  return button;
}

/**
 * Shuts all buttons of a bar while one of them works; opens them again after a refusal, or when nothing came of it.
 * @param {HTMLElement} bar
 * @param {HTMLButtonElement} pressed
 * @param {() => Promise<unknown>} work
 */
export async function pressOne(bar, pressed, work) {
  const buttons = [...bar.querySelectorAll("button")];
  if (buttons.some((button) => button.disabled)) return;
  shut(buttons, pressed, true);
  try {
    await work();
    setTimeout(() => shut(buttons, pressed, false), NEWS_AFTER_MS);
  } catch {
    shut(buttons, pressed, false);
    if (document.activeElement === document.body) pressed.focus();
  }
}

/** @param {HTMLButtonElement[]} buttons @param {HTMLButtonElement} pressed @param {boolean} isShut */
function shut(buttons, pressed, isShut) {
  for (const button of buttons) button.disabled = isShut;
  setAria(pressed, "busy", isShut ? "true" : null);
}
