/**
 * What the page is told of the laptop that serves it, as JSON in its own document.
 */
export type Laptop = {
  /** The API key that `npm start` made. Not there when the keys were given: then the page asks for one. */
  readonly key?: string;
  /** Where signed requests are taken. */
  readonly functionUrl: string;
  /** Whether the built-in simulator answers, which is no real model. */
  readonly isSimulated: boolean;
};
