/**
 * What is known of an answer, in a line below it: who gave it, how fast it came, and what is wrong with it.
 */
import { type Answer, isOver, measure } from './answer.ts';
import type { Usage } from './answer-event.ts';
import { make } from './element.ts';
import { describeArrivals, PLOT, toSteps } from './plot.ts';

const badges = {
  curated: ['Curated', 'Written by an operator and kept in the table of answers'],
  learned: ['Learned', 'What the model said when exactly the same was asked before'],
  similar: ['Similar', 'Kept for a question that is much like this one'],
} as const;

/** Empty while there is nothing to say. */
export function drawFacts(answer: Answer): HTMLElement[] {
  const { cached, model, usage, saved, state } = answer;
  const { firstTokenMs, tokensPerSecond } = measure(answer);
  const [badge, meaning] = cached ? badges[cached] : [];
  const isEstimate = state === 'cancelled';
  const plot = isOver(answer) ? drawPlot(answer) : undefined;
  return [
    badge && make('span', { className: 'badge', title: meaning ?? '' }, badge),
    model && make('span', { className: 'model' }, model),
    firstTokenMs !== undefined &&
      make('span', { title: 'Measured in this page' }, `first token ${Math.round(firstTokenMs)} ms`),
    tokensPerSecond !== undefined &&
      make('span', { title: 'Measured in this page' }, `${toRate(tokensPerSecond)} tokens/s`),
    usage && make('span', {}, describeUsage(usage, isEstimate)),
    plot && make('span', {}, plot),
    !saved && isOver(answer) && make('span', { className: 'warning' }, 'Not kept in the history'),
  ].filter((fact) => fact instanceof HTMLElement);
}

const describeUsage = ({ input, output }: Usage, isEstimate: boolean) =>
  input + output === 0 ? 'no tokens used' : `${input} tokens in, ${isEstimate ? 'about ' : ''}${output} out`;

const toRate = (rate: number) => (rate < 10 ? rate.toFixed(1) : String(Math.round(rate)));

const stopReasons: Readonly<Record<string, string>> = {
  max_tokens: 'Cut at its limit of tokens.',
  stop_sequence: 'Ended at a stop sequence.',
  guardrail_intervened: 'A guardrail stepped in.',
  content_filtered: 'Filtered by the provider of the model.',
  model_context_window_exceeded: 'Cut where the context of the model is full.',
};

/** A sentence about an end that was not the usual one; nothing for an error, which has a sentence of its own. */
export function describeEnd({ state, stopReason, failure }: Answer): string | undefined {
  if (state === 'cancelled') return 'Stopped before its end.';
  if (state === 'partial') return 'This answer broke off before its end.';
  if (state === 'failed' && !failure) return 'This question got no answer.';
  if (state !== 'complete' || stopReason === '' || stopReason === 'end_turn') return undefined;
  return stopReasons[stopReason] ?? `It ended for the reason “${stopReason}”.`;
}

const SVG = 'http://www.w3.org/2000/svg';

function drawPlot({ arrivals }: Answer): SVGElement | undefined {
  const steps = toSteps(arrivals);
  if (steps.length === 0) return undefined;
  const { width, height } = PLOT;
  const points = steps.map((point) => point.join()).join(' ');
  const words = describeArrivals(arrivals);
  const title = draw('title', {});
  title.textContent = words;
  const size = { viewBox: `0 -2 ${width} ${height + 3}`, width: `${width}`, height: `${height + 3}` };
  const plot = draw('svg', { class: 'plot', role: 'img', 'aria-label': words, ...size });
  const area = draw('polygon', { class: 'area', points: `${points} ${width},${height} 0,${height}` });
  plot.append(title, area, draw('polyline', { class: 'line', points }));
  return plot;
}

function draw(name: string, attributes: Readonly<Record<string, string>>): SVGElement {
  const element = document.createElementNS(SVG, name) as SVGElement;
  for (const [attribute, value] of Object.entries(attributes)) element.setAttribute(attribute, value);
  return element;
}
