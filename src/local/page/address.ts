/**
 * Which conversation is open, as the page's address says it: a reload finds it, and it is told to no server.
 */
export const toHash = (id: string | undefined) => (id === undefined ? '' : `#chat=${encodeURIComponent(id)}`);

export const readHash = (hash: string): string | undefined =>
  new URLSearchParams(hash.replace(/^#/, '')).get('chat') ?? undefined;
