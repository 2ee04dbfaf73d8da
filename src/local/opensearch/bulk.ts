/**
 * Adding documents to an index, many at once: each is taken or refused by itself.
 *
 * @see https://docs.opensearch.org/latest/api-reference/document-apis/bulk/
 */
import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import { parseJson } from '../../chat/json.ts';
import type { Index, Indexes } from './indexes.ts';
import { type Document, definition, toDocument } from './mapping.ts';
import { OpenSearchRefusal } from './refusal.ts';

const action = z.strictObject({ index: z.strictObject({ _id: z.string().optional() }) });
const source = z.record(z.string(), z.unknown());

type Outcome = { readonly id: string; readonly document?: Document; readonly error?: OpenSearchRefusal };

/** The reply, but for how long it took. An index that is not there is made. @throws OpenSearchRefusal 400 */
export function addBulk(indexes: Indexes, name: string, body: string): object {
  const pairs = readPairs(body);
  const index = indexes.find(name) ?? indexes.create(name, definition.parse({}));
  const outcomes = pairs.map((pair) => toOutcome(index, pair));
  let sequence = index.documents.length;
  const items = outcomes.map(({ id, error }) => ({
    index: error
      ? { _index: name, _id: id, status: error.status, error: error.error }
      : {
          _index: name,
          _id: id,
          _version: 1,
          result: 'created',
          _shards: { total: 2, successful: 1, failed: 0 },
          _seq_no: sequence++,
          _primary_term: 1,
          status: 201,
        },
  }));
  indexes.add(
    index,
    outcomes.flatMap(({ document }) => document ?? []),
  );
  return { errors: outcomes.some(({ error }) => error !== undefined), items };
}

type Pair = { readonly id: string | undefined; readonly line: string };

/** @throws OpenSearchRefusal 400 */
function readPairs(body: string): Pair[] {
  if (body === '') throw new OpenSearchRefusal(400, 'parse_exception', 'request body is required');
  if (!body.endsWith('\n')) throw illegal('The bulk request must be terminated by a newline [\\n]');
  const lines = body.split('\n').slice(0, -1);
  return Array.from({ length: Math.ceil(lines.length / 2) }, (_, at) => {
    const { data } = action.safeParse(parseJson(lines[2 * at] ?? ''));
    const line = lines[2 * at + 1];
    if (!data || line === undefined)
      throw illegal(
        `Malformed action/metadata line [${2 * at + 1}], expected [index] and a document after it`,
      );
    return { id: data.index._id, line };
  });
}

function toOutcome({ definition }: Index, { id: given, line }: Pair): Outcome {
  const id = given ?? randomBytes(15).toString('base64url');
  try {
    if (given !== undefined) throw illegal('Document ID is not supported in create/index operation request');
    const { data } = source.safeParse(parseJson(line));
    if (!data) throw new OpenSearchRefusal(400, 'mapper_parsing_exception', 'failed to parse');
    return { id, document: toDocument(id, data, definition) };
  } catch (error) {
    if (error instanceof OpenSearchRefusal) return { id, error };
    throw error;
  }
}

const illegal = (reason: string) => new OpenSearchRefusal(400, 'illegal_argument_exception', reason);
