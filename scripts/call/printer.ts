/**
 * An answer as it is shown while it is written.
 */
import { isRecord, isText, type Print } from '../answer.ts';
import type { Screen } from './screen.ts';

type Shown = { at: number; firstAt?: number; model?: unknown; cached?: unknown; chatId?: unknown };

/** Each event as a line of JSON. Or text as it comes, the line ended after it; reasoning apart from it, and a summary, for who watches. */
export function createPrinter(screen: Screen, now: () => number) {
  const shown: Shown = { at: now() };
  let isLineOpen = false;
  let isThinking = false;
  const endThinking = () => {
    if (isThinking) screen.err('\n');
    isThinking = false;
  };
  const endLine = () => {
    endThinking();
    if (isLineOpen) screen.out('\n');
    isLineOpen = false;
  };
  const printDelta = (text: unknown, reasoning: unknown) => {
    shown.firstAt ??= now();
    if (isText(reasoning) && screen.isTerminal) {
      screen.note(reasoning);
      isThinking = true;
    }
    if (!isText(text)) return;
    endThinking();
    screen.out(text);
    isLineOpen = !text.endsWith('\n');
  };
  const printText: Print = (name, data) => {
    if (name === 'start') Object.assign(shown, { ...data, chatId: data['chat_id'] });
    if (name === 'delta') printDelta(data['text'], data['reasoning']);
    if (name !== 'done') return;
    endLine();
    if (data['stop_reason'] === 'max_tokens')
      screen.err('The answer was cut at its limit of tokens; --max-tokens raises it.\n');
    screen.note(`${summarise(shown, data['usage'], now())}\n`);
  };
  const printJson: Print = (name, data) => screen.out(`${JSON.stringify({ event: name, ...data })}\n`);
  return { printText, printJson, endLine };
}

function summarise({ at, firstAt = at, model, cached, chatId }: Shown, usage: unknown, now: number): string {
  const { input_tokens: read, output_tokens: written } = !cached && isRecord(usage) ? usage : {};
  const seconds = (now - firstAt) / 1000;
  const isPaced = typeof written === 'number' && seconds > 0;
  const facts = [
    model,
    cached && `cached (${cached})`,
    `first token after ${Math.round(firstAt - at)} ms`,
    isPaced && `${Math.round(written / seconds)} tokens/s`,
    typeof written === 'number' && `${read} tokens in, ${written} out`,
    chatId && `chat ${chatId}`,
  ];
  return facts.filter(isText).join(' · ');
}
