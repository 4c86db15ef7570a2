/** The page's one way to be heard: allowed by its person's first touch, and off for all tabs where they say so. */

import { onChangeElsewhere, read, write } from "/device/storage.js";

const MUTED_KEY = "janji.muted";
/** How long a browser that allows sound without a touch may take to say so. */
const SETTLES_MS = 400;

/** @type {AudioContext|null} */
let audio = null;
let isMissed = false;
/** A touch did not help: there is nothing to play sounds on. */
let isHopeless = false;
/** @type {Set<() => void>} */
const listeners = new Set();

/** Browsers let a page sound only after its person has done something on it, and some stop it again in between. */
export function allowSound() {
  for (const event of ["pointerup", "keydown"]) document.addEventListener(event, wake, { capture: true });
  onChangeElsewhere((key) => key === MUTED_KEY && tell());
}

export function wake() {
  if (!audio && "AudioContext" in window) {
    audio = new AudioContext();
    audio.addEventListener("statechange", tell);
  }
  if (audio && audio.state !== "running") audio.resume().catch(() => {});
}

/**
 * What sounds are played to.
 * @returns {Promise<AudioContext|null>} null where the browser waits for a touch; the page should say so then
 */
export async function output() {
  wake();
  if (audio && audio.state !== "running") await settled(audio);
  if (audio?.state === "running") return audio;
  isMissed = true;
  tell();
  return null;
}

/** The person has asked for sound by a touch; where it does not come then, it never will, and nothing more is asked. */
export async function wakeForCertain() {
  wake();
  if (audio && audio.state !== "running") await settled(audio);
  isHopeless = audio?.state !== "running";
  tell();
}

/** Finds out whether the browser waits for a touch, before there is anything to hear. */
export function askForSound() {
  output();
}

/** The same without waiting, for what may as well be missed. @returns {AudioContext|null} */
export function openOutput() {
  return audio?.state === "running" ? audio : null;
}

/** Whether a sound could not be heard, and a touch would help. */
export function needsTouch() {
  return isMissed && !isHopeless && audio !== null && audio.state !== "running" && !isMuted();
}

export function isMuted() {
  return Boolean(read(MUTED_KEY));
}

/** @param {boolean} muted */
export function setMuted(muted) {
  write(MUTED_KEY, muted);
  tell();
}

/**
 * Calls back when sound was switched, allowed or missed.
 * @param {() => void} callback
 */
export function onSoundChange(callback) {
  listeners.add(callback);
}

function tell() {
  for (const listener of listeners) listener();
}

/** @param {AudioContext} context */
function settled(context) {
  return new Promise((resolve) => {
    context.addEventListener("statechange", () => resolve(undefined), { once: true });
    setTimeout(resolve, SETTLES_MS);
  });
}
