/**
 * Whoever sits at the terminal: the lines that they type, and Ctrl-C.
 */
import { EventEmitter } from 'node:events';
import { createInterface } from 'node:readline';
import type { ReadStream } from 'node:tty';
import type { Line } from './screen.ts';

/** npm passes a terminal's Ctrl-C on although it was received already, and people press it twice; within this time it is the same one. */
const SAME_MS = 300;

/** What emits `SIGINT` for each Ctrl-C, and how it is told of one; where nobody listens, it ends the process. */
export function createInterrupts() {
  const interrupts = new EventEmitter();
  let last = Number.NEGATIVE_INFINITY;
  const press = () => {
    const isNew = performance.now() - last > SAME_MS;
    last = performance.now();
    if (isNew && !interrupts.emit('SIGINT')) process.exit(130);
  };
  return { interrupts, press };
}

/**
 * Until it is disposed of, keys are not shown in the midst of what is, and Ctrl-C is but a key: as a signal it would end the shell
 * that npm runs, however well the conversation ends.
 */
export function holdTerminal(input: ReadStream, press: () => void): Disposable {
  const onData = (keys: Buffer) => keys.includes(CTRL_C) && press();
  input.setRawMode(true);
  input.on('data', onData).resume();
  return {
    [Symbol.dispose]() {
      input.off('data', onData).pause();
      input.setRawMode(false);
    },
  };
}

const CTRL_C = 3;

/** Takes the terminal for a line, and gives it back. */
export function createPrompt(
  input: NodeJS.ReadableStream,
  output: NodeJS.WritableStream,
  interrupts: EventEmitter,
): (prompt: string) => Promise<Line> {
  let history: string[] = [];
  return (prompt) =>
    new Promise((resolve) => {
      const lines: string[] = [];
      let said: Line = { exitCode: 0 };
      const readline = createInterface({ input, output, prompt, history, removeHistoryDuplicates: true });
      const end = (line: Line) => {
        said = line;
        readline.close();
      };
      const onInterrupt = () => {
        output.write('\n');
        if (readline.line === '' && lines.length === 0) return end({ exitCode: 130 });
        lines.length = 0;
        readline.write(null, { ctrl: true, name: 'e' });
        readline.write(null, { ctrl: true, name: 'u' });
      };
      readline.on('line', (line) => {
        lines.push(line);
        // What is pasted comes all at once, and is one question.
        setImmediate(() => readline.line === '' && end({ text: lines.join('\n') }));
      });
      readline.on('history', (kept) => {
        history = [...kept];
      });
      readline.on('SIGINT', onInterrupt);
      interrupts.on('SIGINT', onInterrupt);
      readline.on('close', () => {
        interrupts.off('SIGINT', onInterrupt);
        if ('exitCode' in said && said.exitCode === 0) output.write('\n');
        resolve(said);
      });
      readline.prompt();
    });
}
