// What our pages find on the window, for the type checker alone: no browser is ever sent this file's meaning.

interface Window {
  /** The widget, once its script has run. */
  Janji?: Readonly<{ open(): void; close(): void; book(wish?: object): void }>;
}
