/**
 * The requests that are known here, and what each refuses.
 *
 * @see https://docs.opensearch.org/latest/api-reference/index-apis/create-index/
 * @see https://docs.aws.amazon.com/opensearch-service/latest/developerguide/serverless-genref.html
 */
import { performance } from 'node:perf_hooks';
import type { OpenSearchService } from '../../aws/opensearch.ts';
import { parseJson } from '../../chat/json.ts';
import { addBulk } from './bulk.ts';
import type { Indexes } from './indexes.ts';
import { type Definition, definition } from './mapping.ts';
import { OpenSearchRefusal, unknownTo } from './refusal.ts';
import { runSearch } from './search.ts';

/**
 * The reply to `PUT /name`, `POST /name/_bulk` or `POST /name/_search`. Without an await, so that requests that come together change the
 * indexes one after the other.
 *
 * @throws OpenSearchRefusal
 */
export function runOperation(
  indexes: Indexes,
  service: OpenSearchService,
  call: string,
  body: string,
): object {
  const startedAt = performance.now();
  const timed = (reply: object) => ({ took: Math.round(performance.now() - startedAt), ...reply });
  const [, method, name = '', operation = ''] = /^(\w+) \/([^/?]*)\/?(.*)$/.exec(call) ?? [];
  requireName(name);
  switch (`${method} ${operation}`) {
    case 'PUT ':
      return createIndex(indexes, service, name, body);
    case 'POST _bulk':
      return timed(addBulk(indexes, name, body));
    case 'POST _search':
      return timed(runSearch(findIndex(indexes, name), service, parse(body)));
    default:
      throw new OpenSearchRefusal(405, 'illegal_argument_exception', `${call} is not known to this stand-in`);
  }
}

function createIndex(indexes: Indexes, service: OpenSearchService, name: string, body: string): object {
  const { data, error } = definition.safeParse(parse(body));
  if (!data) throw unknownTo('mapper_parsing_exception', error);
  if (service === 'aoss' && namesEngine(data)) {
    const reason = "Field parameter 'engine' is not supported";
    throw new OpenSearchRefusal(400, 'mapper_parsing_exception', reason);
  }
  const there = indexes.find(name);
  if (there) {
    const reason = `index [${name}/${there.uuid}] already exists`;
    const details = { index: name, index_uuid: there.uuid };
    throw new OpenSearchRefusal(400, 'resource_already_exists_exception', reason, details);
  }
  indexes.create(name, data);
  return { acknowledged: true, shards_acknowledged: true, index: name };
}

/** Collections of the first generation took it. */
const namesEngine = ({ mappings }: Definition) =>
  Object.values(mappings.properties).some((field) => 'method' in field && field.method?.engine !== undefined);

/** OpenSearch takes some more; these can all be files, too. @throws OpenSearchRefusal 400 */
function requireName(name: string) {
  if (/^[a-z0-9][a-z0-9._-]{0,239}$/.test(name)) return;
  const details = { index: name, index_uuid: '_na_' };
  const reason = `Invalid index name [${name}], must be of a-z, 0-9, ., _ and -`;
  throw new OpenSearchRefusal(400, 'invalid_index_name_exception', reason, details);
}

/** @throws OpenSearchRefusal 404 */
function findIndex(indexes: Indexes, name: string) {
  const index = indexes.find(name);
  if (index) return index;
  throw new OpenSearchRefusal(404, 'index_not_found_exception', `no such index [${name}]`, {
    index: name,
    'resource.id': name,
    'resource.type': 'index_or_alias',
    index_uuid: '_na_',
  });
}

/** @throws OpenSearchRefusal 400 */
function parse(body: string): unknown {
  const value = parseJson(body);
  if (value !== undefined) return value;
  throw new OpenSearchRefusal(400, 'json_parse_exception', 'The request is not JSON.');
}
