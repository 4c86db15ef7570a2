// What our pages find on the window, for the type checker alone: no browser is ever sent this file's meaning.

/** How long a page waits for what, in seconds: see `PagesRhythm` in bot/settings/rhythms.py. */
interface Patience {
  command_s: number;
  signal_s: number;
  session_s: number;
  offline_after_s: number;
  stream_starts_s: number;
  stream_silent_s: number;
  probe_every_s: number;
}

interface Window {
  /** The widget, once its script has run. */
  Janji?: Readonly<{ open(): void; close(): void; book(wish?: object): void }>;
}
