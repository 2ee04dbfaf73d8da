/**
 * Why OpenSearch does not do what it is asked, in its own form.
 */
import type { z } from 'zod';

type Details = Readonly<Record<string, unknown>>;

export class OpenSearchRefusal extends Error {
  override name = 'OpenSearchRefusal' as const;
  readonly status: number;
  /** Type, reason and what else is said, as a reply or an item of one has them. */
  readonly error: Details;

  constructor(status: number, type: string, reason: string, details: Details = {}) {
    super(reason);
    this.status = status;
    this.error = { type, reason, ...details };
  }

  /** A reply that is nothing but the refusal. */
  get body(): object {
    return { error: { root_cause: [this.error], ...this.error }, status: this.status };
  }
}

/** A search that each shard refuses, as what cannot be asked of an index is. */
export class ShardRefusal extends OpenSearchRefusal {
  readonly index: string;

  constructor(index: { readonly name: string; readonly uuid: string }, type: string, reason: string) {
    super(400, type, reason, { index: index.name, index_uuid: index.uuid });
    this.index = index.name;
  }

  override get body(): object {
    const { error, status, index } = this;
    return {
      error: {
        root_cause: [error],
        type: 'search_phase_execution_exception',
        reason: 'all shards failed',
        phase: 'query',
        grouped: true,
        failed_shards: [{ shard: 0, index, node: 'local', reason: error }],
      },
      status,
    };
  }
}

/** A body that has what is not known here. */
export const unknownTo = (type: string, { issues: [issue] }: z.ZodError) =>
  new OpenSearchRefusal(400, type, `[${issue?.path.join('.')}] is not known to this stand-in`);
