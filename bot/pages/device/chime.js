/** Two notes of a bell for a message that came where nobody looks, made by the browser itself. */

import { isMuted, openOutput } from "/device/audio.js";

/** The notes a fourth apart: when each begins, and how high it is. */
const NOTES = [
  { at_s: 0, hertz: 659.3 },
  { at_s: 0.13, hertz: 880 },
];
const LOUDNESS = 0.12;
const FADES_S = 0.7;
/** Of several messages at once one is heard. */
const LEAST_PAUSE_MS = 1500;

let chimed_at = 0;

export function chime() {
  const output = openOutput();
  if (isMuted() || !output || Date.now() - chimed_at < LEAST_PAUSE_MS) return;
  chimed_at = Date.now();
  for (const note of NOTES) ring(output, note);
}

/** @param {AudioContext} context @param {(typeof NOTES)[number]} note */
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
