/**
 * By which keys the `answers` table is asked: the question as anybody would put it for an answer that an operator wrote, and the request
 * down to the last field for one that a model gave.
 */
import { createHash } from 'node:crypto';
import { applyQuirk } from './fields.ts';
import type { Json } from './json.ts';
import { findQuirk } from './quirks.ts';
import type { ChatRequest } from './request.ts';

/** Begins the key of every learned answer, and of no curated one. */
export const LEARNED = 'learned#';

/** DynamoDB takes 2,048 bytes in a key. */
const MAX_KEY_BYTES = 1_500;

/** Changes when what a key is made of, or what lies under it, changes: then nothing learned before is found. */
const LEARNED_VERSION = '2';

/**
 * The question as all who mean the same are taken to ask it: in NFC, trimmed, its white space folded, its case folded, without
 * `?`, `!` and `.` at its end, unless it is nothing else.
 */
export function toCanonicalQuestion(text: string): string {
  // White space first: how a word's last sigma is written depends on where the word ends.
  const spaced = text.normalize('NFC').trim().replaceAll(/\s+/g, ' ');
  // Upper case joins what lower case keeps apart, such as ß and ss, but does nothing to ẞ.
  const folded = spaced.toLowerCase().toUpperCase().toLowerCase().normalize('NFC');
  // Looked for from its first character only, or a long run of them in mid-question would take for ever.
  return folded.replace(/(?<![?!.\s])[?!.\s]+$/, '') || folded;
}

/** The key of a curated answer: the canonical question, or its SHA-256 in hex when it is too long or looks like a learned key. */
export function toCuratedKey(question: string): string {
  const canonical = toCanonicalQuestion(question);
  const isPlain = Buffer.byteLength(canonical) <= MAX_KEY_BYTES && !canonical.startsWith(LEARNED);
  return isPlain ? canonical : createHash('sha256').update(canonical).digest('hex');
}

/** SHA-256 of the question as it was written, in NFC, in hex. */
export const toQuestionDigest = (question: string): string =>
  createHash('sha256').update(question.normalize('NFC')).digest('hex');

/**
 * The key of what a model answers to exactly this request: everything that Bedrock would receive, and the tenant unless answers are
 * shared. The text of the question is `question`, the only message there is.
 */
export const toLearnedKey = (request: ChatRequest, question: string): string =>
  keyOfLearned(request, toQuestionDigest(question));

/** The same for a question of which only the digest is known, asked as this request asks. */
export const keyOfLearned = (request: ChatRequest, questionDigest: string): string =>
  LEARNED + digest([...circumstancesOf(request), questionDigest]);

/** What all have in common who would get the same answer to the same question, as a digest: the tenant, the model, every field. */
export const toAudience = (request: ChatRequest): string => digest(circumstancesOf(request));

function circumstancesOf(asked: ChatRequest): readonly Json[] {
  const request = applyQuirk(asked, findQuirk(asked.quirks, asked.model));
  const { model, system, inference, guardrail, serviceTier, modelFields, caching, caller } = request;
  return [
    LEARNED_VERSION,
    caching.scope === 'shared' ? null : caller.tenant,
    model,
    system.filter((part) => typeof part === 'string'),
    [inference.maxTokens, inference.temperature ?? null, inference.topP ?? null],
    [...inference.stopSequences],
    guardrail ? [guardrail.id, guardrail.version] : null,
    serviceTier ?? null,
    modelFields,
  ];
}

/** SHA-256 over the fields, each with its length before it, in hex. */
function digest(fields: readonly Json[]): string {
  const hash = createHash('sha256');
  for (const field of fields) {
    const bytes = Buffer.from(JSON.stringify(field));
    hash.update(`${bytes.length}:`).update(bytes);
  }
  return hash.digest('hex');
}
