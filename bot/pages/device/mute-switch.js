/** The button that switches the sound off and on, and the line that asks for a touch where the browser wants one. */

import { isMuted, needsTouch, onSoundChange, setMuted, wakeForCertain } from "/device/audio.js";
import { h, replaceChildren, setAria } from "/parts/dom.js";
import { icon } from "/parts/icons.js";
import { nudge } from "/parts/nudge.js";
import { t } from "/parts/words.js";

/** @returns {HTMLElement} */
export function muteSwitch() {
  const button = h("button", { class: "icon-button", type: "button", testid: "mute" });
  const show = () => {
    replaceChildren(button, icon(isMuted() ? "bell_off" : "bell"));
    button.title = isMuted() ? t("Sound is off") : t("Sound is on");
    setAria(button, "label", t("Sound for new messages"));
    setAria(button, "pressed", String(!isMuted()));
  };
  button.addEventListener("click", () => setMuted(!isMuted()));
  onSoundChange(show);
  show();
  return button;
}

/** Stands there only while a sound could not be heard. @returns {HTMLElement} */
export function soundHint() {
  const hint = nudge({
    testid: "sound-hint",
    picture: "bell_off",
    text: t("Your browser keeps this page silent until you tap it."),
    action: { label: t("Tap to turn sound on"), testid: "sound-on", onPress: wakeForCertain },
  });
  const show = () => {
    hint.hidden = !needsTouch();
  };
  onSoundChange(show);
  show();
  return hint;
}
