/**
 * The files of the report: questions, each with what somebody else asked, and the questions that there are answers to.
 */
import { createReadStream } from 'node:fs';
import { toComparable } from '../../src/chat/similarity.ts';
import { readItems } from '../bulk-upload/reader.ts';
import { FileProblem } from '../bulk-upload/syntax.ts';

/** What is wrong with a file, in a sentence that names it. */
export class SampleProblem extends Error {}

/** As it was written, and as it is compared. */
export type Text = { readonly text: string; readonly comparable: string };

export type Sample = { readonly question: Text; readonly asked: Text };

/** @throws SampleProblem */
export const readSamples = (path: string): Promise<Sample[]> =>
  readList(path, (item) => ({ question: toText(item, 'question'), asked: toText(item, 'asked') }));

/** Of a file for `npm run bulk-upload`. Those that are too long to be compared stay away. @throws SampleProblem */
export async function readQuestions(path: string): Promise<Text[]> {
  const texts = await readList(path, ({ pk: text }) => {
    if (typeof text !== 'string' || text.trim() === '')
      throw new FieldProblem('pk must be a text that is not blank.');
    return { text, comparable: toComparable(text) };
  });
  return texts.flatMap(({ text, comparable }) => (comparable === undefined ? [] : { text, comparable }));
}

/**
 * What is asked must not be one of the questions: it would be answered as such, whatever is near.
 * @throws SampleProblem
 */
export function requireOthers(
  path: string,
  samples: readonly Sample[],
  questions: ReadonlyMap<string, Text>,
): void {
  const at = samples.findIndex(({ asked }) => questions.has(asked.comparable));
  if (at >= 0)
    throw new SampleProblem(
      `${path}, item ${at + 1}: asked must not be one of the questions, for it would have its own answer.`,
    );
}

/** A sentence without the place. */
class FieldProblem extends Error {}

type Item = Readonly<Record<string, unknown>>;

function toText(item: Item, field: string): Text {
  const text = item[field];
  const comparable = typeof text === 'string' ? toComparable(text) : undefined;
  if (typeof text === 'string' && comparable !== undefined) return { text, comparable };
  throw new FieldProblem(
    `${field} must be prose on one line, without symbols, code and addresses, of at most 1,500 bytes: other texts are not compared.`,
  );
}

async function readList<T>(path: string, take: (item: Item) => T): Promise<T[]> {
  const taken: T[] = [];
  try {
    for await (const { items } of readItems(createReadStream(path)))
      for (const { number, line, value, problem } of items) {
        try {
          if (problem !== undefined) throw new FieldProblem(problem);
          taken.push(take(Object(value)));
        } catch (error) {
          if (!(error instanceof FieldProblem)) throw error;
          throw new SampleProblem(`${path}, item ${number} on line ${line}: ${error.message}`);
        }
      }
  } catch (error) {
    if (error instanceof FileProblem) throw new SampleProblem(`${path}: ${error.message}`);
    if (error instanceof Error && 'code' in error)
      throw new SampleProblem(`${path} cannot be read (${error.code}).`);
    throw error;
  }
  if (taken.length === 0) throw new SampleProblem(`${path} must hold at least one item.`);
  return taken;
}
