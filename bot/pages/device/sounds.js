/** The sounds of notifications: loaded before they are needed, one at a time, the urgent one again until it is seen. */

import { isMuted, onSoundChange, output } from "/device/audio.js";

/** @typedef {"low"|"normal"|"high"|"urgent"} Urgency */

/** @type {Record<Urgency, number>} */
const LOUDNESS = { low: 0.2, normal: 0.4, high: 0.65, urgent: 0.95 };
const FADE_IN_S = 0.03;
const FADE_OUT_S = 0.15;
const PAUSE_S = 0.8;
/** After that nobody is there to hear it. */
const REPEATED_FOR_S = 60;
/** Two entries may tell of one thing. */
const SAME_AGAIN_AFTER_MS = 4000;
/** Older news is read, not heard. */
const FRESH_MS = 60000;

/** @type {Map<string, Promise<AudioBuffer|null>>} */
const loaded = new Map();
/** @typedef {{name: string, urgency: Urgency, at: number, playing: Playing|null}} Turn */
/** What is heard now, or is just about to be. @type {Turn|null} */
let current = null;

/**
 * Fetches and decodes them, so that none has to wait for the network.
 * @param {string[]} names
 */
export function loadSounds(names) {
  for (const name of names) bufferOf(name);
}

/** Ends what is urgent when its person shows that they are there, and everything when sound is switched off. */
export function listenForPerson() {
  for (const event of ["pointerdown", "keydown"]) document.addEventListener(event, seen, { capture: true });
  document.addEventListener("visibilitychange", seenIfLookedAt);
  window.addEventListener("focus", seenIfLookedAt);
  onSoundChange(() => isMuted() && stop());
}

/**
 * Plays what an entry says, if it has only just come.
 * @param {import("/connection/feeds.js").Entry} entry a notification
 * @param {import("/parts/time.js").Clock} clock
 */
export function hearNotification({ at, data }, clock) {
  if (data.sound && clock.now() - Date.parse(at) < FRESH_MS) play(data.sound, data.urgency);
}

/** @param {string} name @param {Urgency} urgency */
export async function play(name, urgency) {
  if (isMuted() || !isWorthIt(name, urgency)) return;
  /** @type {Turn} */
  const turn = { name, urgency, at: Date.now(), playing: null };
  current?.playing?.stop();
  current = turn;
  const [context, buffer] = await Promise.all([output(), bufferOf(name)]);
  if (current !== turn) return;
  if (context && buffer) turn.playing = new Playing(context, buffer, urgency, () => ended(turn));
  else current = null;
}

/** What was urgent has been seen. */
export function seen() {
  if (current?.urgency === "urgent") stop();
}

function seenIfLookedAt() {
  if (!document.hidden && document.hasFocus()) seen();
}

/** @param {string} name @param {Urgency} urgency */
function isWorthIt(name, urgency) {
  if (current?.urgency === "urgent" && urgency !== "urgent") return false;
  return !current || current.name !== name || Date.now() - current.at > SAME_AGAIN_AFTER_MS;
}

function stop() {
  current?.playing?.stop();
  current = null;
}

/** @param {Turn} turn */
function ended(turn) {
  if (current === turn) current = null;
}

/** @param {string} name */
function bufferOf(name) {
  const buffer = loaded.get(name) ?? load(name);
  loaded.set(name, buffer);
  return buffer;
}

/**
 * What could not be had is asked for again the next time.
 * @param {string} name
 */
async function load(name) {
  try {
    const response = await fetch(`/sounds/${encodeURIComponent(name)}.mp3`, { priority: "low" });
    if (!response.ok) throw new Error(String(response.status));
    // Needs no permission to sound, unlike the context that plays.
    return await new OfflineAudioContext(1, 1, 44100).decodeAudioData(await response.arrayBuffer());
  } catch {
    loaded.delete(name);
    return null;
  }
}

/** One sound; all its repetitions are set at once, since timers of a page in the background are late. */
class Playing {
  #context;
  #loudness;
  /** @type {AudioBufferSourceNode[]} */
  #sources;

  /** @param {AudioContext} context @param {AudioBuffer} buffer @param {Urgency} urgency @param {() => void} onEnd */
  constructor(context, buffer, urgency, onEnd) {
    this.#context = context;
    this.#loudness = new GainNode(context, { gain: 0 });
    this.#loudness.connect(context.destination);
    const every_s = buffer.duration + PAUSE_S;
    const times = urgency === "urgent" ? Math.floor((REPEATED_FOR_S + PAUSE_S) / every_s) : 1;
    const level = LOUDNESS[urgency] ?? LOUDNESS.normal;
    const begins = Array.from({ length: times }, (_, turn) => context.currentTime + turn * every_s);
    this.#sources = begins.map((at_s) => this.#schedule(buffer, level, at_s));
    this.#sources.at(-1)?.addEventListener("ended", onEnd, { once: true });
  }

  stop() {
    const now = this.#context.currentTime;
    this.#loudness.gain.cancelScheduledValues(now);
    this.#loudness.gain.setTargetAtTime(0, now, FADE_OUT_S / 4);
    for (const source of this.#sources) source.stop(now + FADE_OUT_S);
  }

  /** @param {AudioBuffer} buffer @param {number} level @param {number} at_s */
  #schedule(buffer, level, at_s) {
    const ends = at_s + buffer.duration;
    const { gain } = this.#loudness;
    gain.setValueAtTime(0, at_s);
    gain.linearRampToValueAtTime(level, at_s + FADE_IN_S);
    gain.setValueAtTime(level, ends - FADE_OUT_S);
    gain.linearRampToValueAtTime(0, ends);
    const source = new AudioBufferSourceNode(this.#context, { buffer });
    source.connect(this.#loudness);
    source.start(at_s);
    return source;
  }
}
