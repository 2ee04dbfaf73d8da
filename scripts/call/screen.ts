/**
 * What a command has for its surroundings: where it shows things, and how it hears of Ctrl-C. Whatever came from
 * elsewhere reaches a terminal without anything that the terminal would obey.
 */
import type { EventEmitter } from 'node:events';
import type { Sources } from '../credentials.ts';

/** What is typed, or the exit code of a conversation that ends in place of it. */
export type Line = { readonly text: string } | { readonly exitCode: number };

export type Io = {
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  /** Whether somebody watches `err`: only then reasoning and the summary of an answer go there. */
  readonly isTerminal?: boolean;
  readonly isOutTerminal?: boolean;
  readonly dim?: (text: string) => string;
  /** Emits `SIGINT` once for each Ctrl-C. */
  readonly interrupts?: EventEmitter;
  /** Ends the process, when Ctrl-C comes again. */
  readonly leave?: () => void;
  /** All that is piped in. */
  readonly readInput?: (signal: AbortSignal) => Promise<string>;
  /** Present where somebody can type. */
  readonly readLine?: (prompt: string) => Promise<Line>;
  /** Keeps what is typed out of an answer. */
  readonly holdTerminal?: () => Disposable;
  readonly fetch?: typeof fetch;
  readonly sources?: Sources;
  /** Where the API key of this machine's gateway is kept. */
  readonly apiKeyPath?: string;
  /** Where the latest conversations are remembered. */
  readonly lastChatsPath?: string;
  readonly pause?: (ms: number) => Promise<unknown>;
  readonly now?: () => number;
};

export type Screen = ReturnType<typeof createScreen>;

export function createScreen({ out, err, isTerminal, isOutTerminal, dim = (text) => text }: Io) {
  return {
    out: isOutTerminal ? (text: string) => out(toVisible(text)) : out,
    err: isTerminal ? (text: string) => err(toVisible(text)) : err,
    /** Only for who watches, and dimmed. */
    note: (text: string) => (isTerminal ? err(dim(toVisible(text))) : undefined),
    isTerminal: isTerminal ?? false,
  };
}

/** Control characters but for line breaks and tabs stand there as signs for themselves, ESC as ␛. */
export const toVisible = (text: string) =>
  text.replace(/[^\P{Cc}\n\t]/gu, (char) => {
    const code = char.charCodeAt(0);
    if (code === 0x7f) return '␡';
    return code < 0x20 ? String.fromCharCode(0x2400 + code) : '\ufffd';
  });

/** Until it is disposed of, Ctrl-C aborts the signal, and Ctrl-C again leaves. */
export function watchInterrupts({ interrupts, leave }: Io) {
  const cancelling = new AbortController();
  const onInterrupt = () => (cancelling.signal.aborted ? leave?.() : cancelling.abort());
  interrupts?.on('SIGINT', onInterrupt);
  return {
    signal: cancelling.signal,
    [Symbol.dispose]: () => void interrupts?.off('SIGINT', onInterrupt),
  };
}
