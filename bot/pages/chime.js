/** A short sound for what is new where nobody looks, made by the browser itself, and a switch that is remembered. */

import { h, replaceChildren, setAria } from "/dom.js";
import { icon } from "/icons.js";
import { onChangeElsewhere, read, write } from "/keep.js";
import { t } from "/words.js";

const MUTED_KEY = "janji.muted";
/** Two notes of a bell, a fourth apart: when each begins, and how high it is. */
const NOTES = [
  { at_s: 0, hertz: 659.3 },
  { at_s: 0.13, hertz: 880 },
];
const LOUDNESS = 0.12;
const FADES_S = 0.7;
/** Of several messages at once one is heard. */
const LEAST_PAUSE_MS = 1500;

/** @type {AudioContext|null} */
let audio = null;
let chimed_at = 0;

/** Browsers let a page sound only after its person has done something on it. */
export function allowChime() {
  const allow = () => {
    audio ??= "AudioContext" in window ? new AudioContext() : null;
    audio?.resume().catch(() => {});
  };
  for (const event of ["pointerdown", "keydown"]) document.addEventListener(event, allow, { once: true });
}

export function chime() {
  if (read(MUTED_KEY) || audio?.state !== "running" || Date.now() - chimed_at < LEAST_PAUSE_MS) return;
  chimed_at = Date.now();
  for (const note of NOTES) ring(audio, note);
}

function ring(context, { at_s, hertz }) {
  const begins = context.currentTime + at_s;
  const loudness = new GainNode(context, { gain: 0 });
  loudness.gain.setValueAtTime(0, begins);
  loudness.gain.linearRampToValueAtTime(LOUDNESS, begins + 0.01);
  loudness.gain.exponentialRampToValueAtTime(0.0001, begins + FADES_S);
  const tone = new OscillatorNode(context, { type: "sine", frequency: hertz });
  tone.connect(loudness).connect(context.destination);
  tone.start(begins);
  tone.stop(begins + FADES_S);
}

/** A button that switches the sound off and on again, for all tabs of this browser. @returns {HTMLElement} */
export function muteSwitch() {
  const button = h("button", { class: "icon-button", type: "button", testid: "mute" });
  const show = () => {
    const isMuted = Boolean(read(MUTED_KEY));
    const label = isMuted ? t("Sound is off") : t("Sound is on");
    replaceChildren(button, icon(isMuted ? "bell_off" : "bell"));
    button.title = label;
    setAria(button, "label", t("Sound for new messages"));
    setAria(button, "pressed", String(!isMuted));
  };
  button.addEventListener("click", () => {
    write(MUTED_KEY, !read(MUTED_KEY));
    show();
  });
  onChangeElsewhere((key) => key === MUTED_KEY && show());
  show();
  return button;
}
